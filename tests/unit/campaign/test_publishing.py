"""`escalade report` on results as they lie on disk: whole, broken, under way, several."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from campaigns import configuration, repeated, write_campaign
from escalade.bundle import bundle
from escalade.campaign.layout import CampaignFolder
from escalade.campaign.run import open_run
from escalade.cli.main import app
from escalade.errors import InputError
from escalade.files import read_json, write_json
from escalade.manifest import NAME as MANIFEST
from escalade.manifest import verify, write_manifest
from escalade.replay import rebuild, replay_campaign
from escalade.report.charts import drawing
from escalade.report.charts.hover import Drawn
from unit.report.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

SCHEMA = Path(__file__).parents[3] / "config" / "report.schema.json"


@pytest.fixture(scope="module", autouse=True)
def undrawn() -> Iterator[None]:
    """Leave out the drawing itself, which is most of the work: these tests are about the commands."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "picture", lambda *_, **__: Drawn("<svg></svg>"))
        yield


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a campaign of two repetitions, analysed, reported and sealed."""
    folder = write_campaign(tmp_path_factory.mktemp("results") / "small", repeated([8.0, 9.0]))
    rebuild(CampaignFolder(folder))
    write_manifest(folder)
    return folder


@pytest.fixture
def results(measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work beside a copy of that campaign."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(measured, tmp_path / "small")
    return Path("small")


def report(*arguments: object) -> Result:
    """Run `escalade report`; errors are raised here."""
    given = ["report", *(str(each) for each in arguments)]
    return CliRunner().invoke(app, given, catch_exceptions=False)


def refused(*arguments: object) -> str:
    """Give the message of unusable input, which is one line and exits with 2."""
    with pytest.raises(InputError) as told:
        report(*arguments)
    assert told.value.exit_code == 2
    assert "\n" not in str(told.value)
    return str(told.value)


def page_of(path: Path) -> Reader:
    """Read a page, and insist that it is well-formed."""
    reader = Reader(path.read_text(encoding="utf-8"))
    assert reader.unbalanced == []
    return reader


def twin_of(path: Path) -> dict[str, Any]:
    """Read a twin, and insist that the published schema takes it."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(content)] == []
    return content


def cells_of(results: Path) -> list[Path]:
    return sorted((results / "cells").iterdir())


def test_a_report_made_again_has_the_same_bytes_and_breaks_no_seal(results: Path) -> None:
    before = [(results / name).read_bytes() for name in ("report.html", "report.json", MANIFEST)]

    result = report(results)

    after = [(results / name).read_bytes() for name in ("report.html", "report.json", MANIFEST)]
    assert result.exit_code == 0
    assert before == after
    assert verify(results) == []
    assert result.stdout.splitlines()[0].startswith("small/report.html: ")


def test_what_is_rendered_otherwise_is_sealed_anew_and_nothing_else(results: Path) -> None:
    write_json(
        results / "verdicts.json", {**read_json(results / "verdicts.json", "v"), "note": "x"}
    )
    write_manifest(results)

    result = report(results)

    assert "MANIFEST.json covers report.html and report.json as rendered now." in result.stderr
    assert verify(results) == []
    (results / "kpis.csv").write_text("edited")
    report(results)
    assert [each.path for each in verify(results)] == ["kpis.csv"]


def test_measured_data_are_not_touched(results: Path) -> None:
    files = [path for path in (results / "cells").rglob("*") if path.is_file()]
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    report(results, "--format", "json")

    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files} == before
    assert twin_of(results / "report.json")["campaign"]["name"] == "small"


def test_the_page_elsewhere_finds_the_campaigns_files(results: Path, tmp_path: Path) -> None:
    report(results, "--output", tmp_path / "out" / "page.html")

    reader = page_of(tmp_path / "out" / "page.html")
    links = [a for a in reader.addresses if not a.startswith(("#", "data:"))]
    assert f"../small/{MANIFEST}" in links
    assert all((tmp_path / "out" / unquote(link)).exists() for link in links)


def test_markdown_goes_to_the_standard_output_or_a_file(results: Path) -> None:
    told = report(results, "--format", "markdown").stdout

    assert told.startswith("### ")
    assert "results" not in told.splitlines()[0]
    report(results, "--format", "markdown", "--output", "comment.md")
    assert Path("comment.md").read_text() == told


def test_a_replay_gives_the_same_page_and_twin(results: Path, tmp_path: Path) -> None:
    rebuilt = {
        each.path.name: each.verdict
        for each in replay_campaign(CampaignFolder(results), tmp_path / "replayed")
    }

    assert rebuilt["report.html"] == rebuilt["report.json"] == "identical"


def test_every_link_of_the_page_works_in_the_unpacked_bundle(results: Path, tmp_path: Path) -> None:
    bundle(results, tmp_path / "small.zip")
    shutil.unpack_archive(tmp_path / "small.zip", tmp_path / "there")

    there = tmp_path / "there" / "small"
    links = [
        a for a in page_of(there / "report.html").addresses if not a.startswith(("#", "data:"))
    ]
    assert links
    assert all((there / unquote(link)).is_file() for link in links)
    assert twin_of(there / "report.json")["schema"] == 1


def test_a_report_can_be_made_of_a_bundle_without_raw_data(results: Path) -> None:
    bundle(results, Path("small.zip"))
    shutil.unpack_archive("small.zip", "there")

    assert report("there/small").exit_code == 0

    words = page_of(Path("there/small/report.html")).words
    assert "demo_rep-1_0badcafe is missing; its figures are those of the KPI table" in words
    curves = {
        curve["metric"]: curve
        for curve in twin_of(Path("there/small/report.json"))["series"]["curves"]
    }
    points = curves["throughput_qps"]["points"]
    assert [point["state"] for point in points] == ["valid", "valid"]
    assert all(point["value"] == pytest.approx(3.0, abs=0.5) for point in points)  # as asked for


def break_cell(results: Path) -> None:
    shutil.rmtree(cells_of(results)[0])


def break_requests(results: Path) -> None:
    log = cells_of(results)[0] / "requests.parquet"
    content = bytearray(log.read_bytes())
    content[4:400] = bytes(396)  # what its footer points to
    log.write_bytes(content)


def break_footer(results: Path) -> None:
    (cells_of(results)[0] / "requests.parquet").write_bytes(b"PAR1 no more")


def break_kpis(results: Path) -> None:
    (results / "kpis.parquet").write_bytes(b"PAR1")


def break_verdicts(results: Path) -> None:
    (results / "verdicts.json").write_text("{")


def break_windows(results: Path) -> None:
    (cells_of(results)[0] / "windows.json").unlink()


def break_provenance(results: Path) -> None:
    (results / "provenance.json").unlink()


def break_configuration(results: Path) -> None:
    (results / "campaign.resolved.yaml").write_text("a: [")


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (break_cell, "is missing; its figures are those of the KPI table"),
        (break_requests, "requests.parquet can't be read as Parquet"),
        (break_footer, "requests.parquet can't be read as Parquet"),
        (break_kpis, "kpis.parquet can't be read as Parquet"),
        (break_verdicts, "verdicts.json can't be read as JSON"),
        (break_windows, "windows.json does not exist"),
        (break_provenance, "provenance.json does not exist"),
        (break_configuration, "campaign.resolved.yaml"),
    ],
)
def test_what_is_damaged_is_named_and_the_rest_is_shown(
    results: Path, broken: Callable[[Path], None], says: str
) -> None:
    broken(results)

    assert report(results).exit_code == 0  # the twin is written with the page
    assert report(results, "--format", "markdown").exit_code == 0

    assert says in page_of(results / "report.html").words
    twin = twin_of(results / "report.json")
    assert any(says in concern["text"] for concern in twin["concerns"])


def test_figures_that_were_edited_are_told(results: Path) -> None:
    verdicts = read_json(results / "verdicts.json", "verdicts")
    write_json(results / "verdicts.json", {**verdicts, "note": "better"})

    report(results)

    assert "verdicts.json was changed, says MANIFEST.json" in page_of(results / "report.html").words


@pytest.mark.parametrize("name", ["provenance.json", "verdicts.json"])
def test_results_of_a_later_release_are_refused(results: Path, name: str) -> None:
    write_json(results / name, {**read_json(results / name, name), "schema": 9})

    said = refused(results)

    assert f"{name} has schema 9, and this Escalade reads up to 1" in said
    assert "Update Escalade." in said


def test_what_is_no_campaign_is_refused(results: Path) -> None:
    Path("empty").mkdir()
    Path("file").write_text("")

    assert "is no campaign" in refused("empty")
    assert "is no folder" in refused("file")
    assert "is no folder" in refused("nowhere")
    (results / "kpis.parquet").unlink()
    (results / "verdicts.json").unlink()
    assert "neither kpis.parquet nor verdicts.json can be read" in refused(results)


def under_way(results: Path, finished: int) -> tuple[Path, list[str]]:
    """Make a campaign of three planned cells of which some are over; nothing is analysed."""
    content = configuration(repetitions=3, execution={"results": str(results.parent / "live")})
    run = open_run(content, ["small.yaml"])
    names = [cell.name for cell in run.plan.cells]
    cells = [
        replace(cell, cell={**cell.cell, "cell": name, "repetition": place})
        for place, (cell, name) in enumerate(zip(repeated([8.0, 9.0, 8.5]), names, strict=True), 1)
    ]
    folder = write_campaign(run.folder.path, cells[:finished], content)
    for name in ("provenance.json", MANIFEST):
        (folder / name).unlink()
    return folder, names


def test_a_campaign_under_way_shows_what_is_finished(results: Path) -> None:
    folder, names = under_way(results, 1)
    (folder / "cells" / names[1]).mkdir()
    (folder / "cells" / names[1] / "schedule.parquet").write_bytes(b"")

    result = report(folder, "--partial")

    assert result.exit_code == 0
    words = page_of(folder / "report.partial.html").words
    assert "Partial report. 1 of 3 cells is measured" in words
    assert f"Under way: {names[1]}." in words
    assert f"Not yet: {names[2]}." in words
    assert "PARTIAL 1 of 3 cells measured" in words
    assert not (folder / "report.html").exists()
    assert not (folder / "kpis.parquet").exists()
    assert "> **Partial report.**" in report(folder, "--partial", "--format", "markdown").stdout
    report(folder, "--partial", "--format", "json")
    assert twin_of(folder / "report.partial.json")["partial"]["measured"] == names[:1]


def test_a_driver_that_runs_is_asked_for_its_plan_and_not_waited_for(results: Path) -> None:
    folder, names = under_way(results, 2)
    content = configuration(repetitions=3, execution={"results": str(folder.parent)})
    state = Path("state/small/20261122T000000Z-abcd")
    write_json(state / "campaign.json", {"source": "small.yaml", "campaign": content})
    (state / "lock").write_text("held by another process")
    (folder / "campaign.resolved.yaml").unlink()  # written when it comes to its turn
    before = set(folder.rglob("*"))

    assert report(folder, "--partial").exit_code == 0

    assert "2 of 3 cells are measured" in page_of(folder / "report.partial.html").words
    assert set(folder.rglob("*")) - before == {folder / "report.partial.html"}
    assert names[2] in page_of(folder / "report.partial.html").words


def test_a_campaign_without_a_finished_cell_has_nothing_to_report(results: Path) -> None:
    folder, _ = under_way(results, 0)

    said = refused(folder, "--partial")

    assert "none of its 3 cells is measured yet" in said
    assert not (folder / "report.partial.html").exists()
    assert "is not analysed yet" in refused_without_configuration(folder)


def refused_without_configuration(folder: Path) -> str:
    (folder / "campaign.resolved.yaml").unlink()
    (folder / "cells").mkdir(exist_ok=True)
    return refused(folder)


def test_a_partial_report_leaves_the_finished_one_and_the_seal_alone(results: Path) -> None:
    page = (results / "report.html").read_bytes()

    report(results, "--partial")

    assert (results / "report.html").read_bytes() == page
    assert verify(results) == []


def test_several_campaigns_are_on_one_page_with_links_that_work(results: Path) -> None:
    shutil.copytree(results, "other")

    result = report(results, "other", "missing")

    assert result.exit_code == 2  # one could not be used
    assert "left out: missing is no folder." in result.stderr
    reader = page_of(Path("campaigns.html"))
    links = [a for a in reader.addresses if not a.startswith(("#", "data:"))]
    assert links == ["small/report.html", "other/report.html"]
    assert "missing is no folder." in reader.words
    assert report(results, "other", "--format", "json").exit_code == 0
    assert list(twin_of(Path("campaigns.json"))["reports"]) == ["other", "small"]
    assert "| small (other) |" in report(results, "other", "--format", "markdown").stdout


def test_several_that_can_not_be_told_are_refused(results: Path) -> None:
    assert "the same folder" in refused(results, "./small")
    assert "None of the folders is a campaign" in refused("nowhere", "elsewhere")
    assert "give one folder" in refused(results, "other", "--partial")
