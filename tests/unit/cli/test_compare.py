"""`escalade compare`, `check-regressions` and `baseline`: exit codes, formats, and one message for bad input."""

from __future__ import annotations

import json
import shutil
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from campaigns import configuration, repeated, write_campaign
from escalade.analysis.compare.derived import Derived, derive
from escalade.campaign import comparing
from escalade.cli.main import app
from escalade.errors import InfrastructureError, InputError
from escalade.files import read_json, write_json
from escalade.manifest import NAME as MANIFEST
from escalade.manifest import write_manifest
from escalade.report.texts.comparison import markdown
from escalade.report.texts.markdown import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from escalade.analysis.measured.cell import Slo
    from escalade.campaign.stored import StoredCell

PRIMARY = "tpot_seconds:p50@3"
"""Of the made-up service it is 1 / capacity / 8.75: known to its last digit."""
SPREAD = (0.98, 0.99, 1.0, 1.01)
BEFORE = [10 * factor for factor in SPREAD]
DERIVED: dict[tuple[int, tuple[Slo, ...]], Derived] = {}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write three campaigns of four repetitions each: a baseline, one like it, one that is slower."""
    place = tmp_path_factory.mktemp("campaigns")
    declared = configuration(comparison={"primary": [PRIMARY]})
    write_campaign(place / "before", repeated(BEFORE))
    write_campaign(place / "alike", repeated(BEFORE, seed=2), declared)
    slower = [factor * 8 for factor in SPREAD]
    kernel = {"kernel": "6.8.0"}
    write_campaign(place / "slower", repeated(slower, seed=3, machine=kernel), declared)
    return place


@pytest.fixture(autouse=True)
def derived_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Derive the KPIs of each request log once in this module: its tests are about the commands."""

    def derive_once(cell: StoredCell, slos: list[Slo]) -> Derived:
        key = zlib.crc32(cell._path.read_bytes()), tuple(slos)
        if key not in DERIVED:
            DERIVED[key] = derive(cell, slos)
        return replace(DERIVED[key], cell=cell)

    monkeypatch.setattr(comparing, "derive", derive_once)


@pytest.fixture
def campaigns(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work beside copies of the three campaigns."""
    shutil.copytree(stored, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def declare(campaigns: Path) -> Callable[[str, float], None]:
    """Give what writes a threshold into the stored configuration of a campaign."""

    def write(name: str, percent: float) -> None:
        resolved = campaigns / name / "campaign.resolved.yaml"
        content = yaml.safe_load(resolved.read_text(encoding="utf-8"))
        content["comparison"] = {**content.get("comparison", {}), "threshold_percent": percent}
        resolved.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        write_manifest(campaigns / name)

    return write


def escalade(*arguments: object) -> Result:
    """Run the command line; errors are raised here."""
    return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)


def refused(*arguments: object) -> str:
    """Give the message of unusable input, for which `escalade` exits with 2."""
    with pytest.raises(InputError) as told:
        escalade(*arguments)
    assert told.value.exit_code == 2
    assert "\n" not in str(told.value)
    return str(told.value)


def test_no_change_is_no_regression(campaigns: Path) -> None:
    result = escalade("compare", "before", "alike")

    assert result.exit_code == 0
    assert "No regression shown" in result.stdout
    assert "before: reading demo_rep-1_0badcafe" in result.stderr  # progress


def test_a_regression_has_its_own_exit_code(campaigns: Path) -> None:
    result = escalade("compare", "before", "slower")

    assert result.exit_code == 1
    assert "Regression: tpot_seconds p50 at 3 requests/s (demo) worse by more than 5 %." in (
        result.stdout
    )
    assert "machine.kernel: 6.1.0 → 6.8.0" in result.stdout  # a possible cause
    assert "+25 % [" in result.stdout  # 10 / 8


def test_what_is_slower_is_quicker_the_other_way_round(campaigns: Path) -> None:
    result = escalade("compare", "slower", "before", "--primary", PRIMARY)

    assert result.exit_code == 0
    assert "−20 %" in result.stdout
    assert "better" in result.stdout


def test_the_threshold_is_a_percentage(campaigns: Path) -> None:
    assert escalade("compare", "before", "slower", "--threshold", 40).exit_code == 0


def test_the_threshold_that_is_declared_counts_unless_another_one_is_given(
    campaigns: Path, declare: Callable[[str, float], None]
) -> None:
    declare("before", 30.0)  # the baseline's, where the candidate declares none
    assert escalade("compare", "before", "slower").exit_code == 0
    declare("slower", 10.0)
    result = escalade("compare", "before", "slower")
    assert (result.exit_code, "worse by more than 10 %" in result.stdout) == (1, True)
    assert escalade("compare", "before", "slower", "--threshold", 40).exit_code == 0


def test_the_threshold_of_a_report_is_that_of_its_comparison(campaigns: Path) -> None:
    assert "give --baseline too" in refused("report", "slower", "--threshold", 40)


def test_json_has_a_schema_and_the_same_bytes_every_time(campaigns: Path) -> None:
    first, again = (escalade("compare", "before", "slower", "--format", "json") for _ in range(2))
    found = json.loads(first.stdout)

    assert first.stdout == again.stdout
    assert found["schema"] == 1
    assert found["exit_code"] == first.exit_code == 1
    primary = [row for row in found["kpis"] if row["role"] == "primary"]
    assert [(row["metric"], row["verdict"]) for row in primary] == [("tpot_seconds", "worse")]
    assert primary[0]["effect"] == pytest.approx(10 / 8, rel=1e-6)
    assert primary[0]["p"] == pytest.approx(2 / 70)


def test_markdown_fits_a_comment(campaigns: Path) -> None:
    result = escalade("compare", "before", "slower", "--format", "markdown")

    assert result.stdout.startswith("### 🔴 Regression: ")
    assert "| 🔴 | demo | tpot\\_seconds p50 | 3 requests/s |" in result.stdout
    assert "<details><summary>Exploratory: " in result.stdout
    assert len(result.stdout) < LIMIT


def test_markdown_keeps_its_limit_and_foreign_text_as_text(campaigns: Path) -> None:
    found = json.loads(escalade("compare", "before", "slower", "--format", "json").stdout)
    nasty = "<img src=x> | @everyone\n# head"
    row = next(row for row in found["kpis"] if row["role"] == "primary")
    short = markdown({**found, "kpis": [{**row, "reason": nasty}]})
    long = markdown({**found, "kpis": [{**row, "reason": "word " * 2000}] * 20})

    assert "\\<img src=x\\> \\| \\@everyone \\# head" in short
    assert len(long) < 65_536
    assert long.endswith("… cut: the JSON has all.\n")


def test_all_kpis_are_shown_where_asked_for(campaigns: Path) -> None:
    short = escalade("compare", "before", "alike").stdout
    whole = escalade("compare", "before", "alike", "--all").stdout

    assert "service_memory_bytes mean" not in short
    assert "service_memory_bytes mean" in whole
    assert whole.count("\n") > short.count("\n") + 30


def test_other_hardware_is_unusable(campaigns: Path) -> None:
    write_campaign(campaigns / "other", repeated(BEFORE, seed=4, machine={"cpu_model": "Intel"}))
    result = escalade("compare", "before", "other")

    assert result.exit_code == 2
    assert "Not comparable: another CPU: AMD EPYC 7742 against Intel." in result.stdout


def test_another_workload_is_unusable(campaigns: Path) -> None:
    definition = {"workload": {"kind": "openai_chat", "input_tokens": 500}}
    write_campaign(campaigns / "other", repeated(BEFORE, seed=4, definition=definition))
    result = escalade("compare", "before", "other")

    assert result.exit_code == 2
    assert "another workload: workload.input_tokens, workload.output_tokens differ" in result.stdout


def test_three_repetitions_are_undecided_with_how_many_decide(campaigns: Path) -> None:
    write_campaign(campaigns / "few", repeated([8.0, 8.1, 8.2], seed=5))
    result = escalade("compare", "few", "before", "--primary", PRIMARY)

    assert result.exit_code == 4  # three against four show 2/35 = 0.057 at best
    assert "3 against 4 repetitions can't decide: 4 on each side can" in result.stdout
    write_campaign(campaigns / "fewer", repeated([9.0, 9.1, 9.2], seed=6))
    result = escalade("compare", "few", "fewer", "--primary", PRIMARY)
    assert result.exit_code == 4
    assert "Undecided: tpot_seconds p50 at 3 requests/s (demo)." in result.stdout
    assert "3 against 3 repetitions can't decide: 4 on each side can" in result.stdout


def test_a_campaign_of_the_first_schema_is_compared_with_todays_code(campaigns: Path) -> None:
    old = Path(__file__).parents[2] / "data" / "campaigns" / "schema-1"
    copy = campaigns / "later"
    shutil.copytree(old, copy)
    log = next(copy.glob("cells/*/requests.parquet"))
    read_and_written(log)
    write_manifest(copy)
    result = escalade("compare", old, copy, "--format", "json")

    found = json.loads(result.stdout)
    assert result.exit_code == 4  # one against one
    assert found["deployments"][0]["comparable"] is True
    assert len(found["kpis"]) > 100


def read_and_written(path: Path) -> None:
    """Write a table again with one answer that took 1 ms longer, so that it is another measurement."""
    table = pq.read_table(path)
    ended = table.column("ended_at").to_pylist()
    ended[-1] += 1e-3
    place = table.schema.get_field_index("ended_at")
    pq.write_table(table.set_column(place, "ended_at", pa.array(ended)), path)


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    write_json(path, read_json(path, "a file") | changes)


def test_bad_campaigns_are_refused_with_one_message(campaigns: Path) -> None:
    cell = campaigns / "alike" / "cells" / "demo_rep-2_0badcafe"

    assert "is no folder" in refused("compare", "before", "nowhere")
    assert "is no campaign" in refused("compare", campaigns, "before")
    assert "are the same folder" in refused("compare", "before", campaigns / "before")
    (campaigns / "slower" / MANIFEST).unlink()
    assert "has not finished" in refused("compare", "before", "slower")
    edit(cell / "cell.json", schema=2)
    assert (
        "is not as MANIFEST.json says: cells/demo_rep-2_0badcafe/cell.json was changed"
        in refused("compare", "before", "alike")
    )
    write_manifest(campaigns / "alike")
    assert "a later Escalade wrote it" in refused("compare", "before", "alike")


def test_corrupted_tables_and_missing_repetitions_are_refused(campaigns: Path) -> None:
    cell = campaigns / "alike" / "cells" / "demo_rep-2_0badcafe"
    log = cell / "requests.parquet"
    log.write_bytes(b"PAR1 and then nothing that is Parquet")
    write_manifest(campaigns / "alike")
    assert "can't be read as Parquet" in refused("compare", "before", "alike")

    shutil.rmtree(cell)
    assert "repetition demo_rep-2_0badcafe is missing" in refused("compare", "before", "alike")


def test_a_copy_is_no_second_measurement(campaigns: Path) -> None:
    shutil.copytree(campaigns / "before", campaigns / "copy")

    message = refused("compare", "before", "copy")

    assert "hold the same measurements: 4 of 4 request logs are identical" in message


@pytest.mark.parametrize(
    ("primary", "said"),
    [
        (["speed@3"], "--primary: 'speed@3': speed is no KPI"),
        ([f"latency_seconds:p{n}@3" for n in (50, 90, 95, 99)], "4 primary KPIs are declared"),
    ],
)
def test_a_primary_kpi_that_is_none_is_refused(
    primary: list[str], said: str, campaigns: Path
) -> None:
    options = [part for text in primary for part in ("--primary", text)]

    assert said in refused("compare", "before", "alike", *options)


def test_a_stored_baseline_is_found_by_the_name_of_the_campaign(campaigns: Path) -> None:
    kept = escalade("baseline", "before")
    assert kept.exit_code == 0
    assert "baselines/small: " in kept.stdout
    shutil.rmtree(campaigns / "before")  # the baseline stands by itself

    assert escalade("check-regressions", "alike").exit_code == 0
    assert escalade("check-regressions", "slower", "--threshold", 5).exit_code == 1
    assert escalade("check-regressions", "slower", "--baseline", "small").exit_code == 1
    assert escalade("check-regressions", "slower", "--baseline", "baselines/small").exit_code == 1


def test_a_baseline_is_small_and_sealed(campaigns: Path) -> None:
    (campaigns / "before" / "cells" / "demo_rep-1_0badcafe" / "tsdb.tar.zst").write_bytes(
        b"0" * 999
    )
    write_manifest(campaigns / "before")
    escalade("baseline", "before", "--folder", "kept")
    kept = campaigns / "kept" / "small"

    assert not list(kept.glob("cells/*/tsdb.tar.zst"))
    assert escalade("verify", kept).exit_code == 0
    (kept / "cells" / "demo_rep-1_0badcafe" / "windows.json").write_text("{}")
    assert "windows.json was changed" in refused("compare", kept, "alike")


def test_a_baseline_gives_way_only_when_asked_to(campaigns: Path) -> None:
    escalade("baseline", "before")

    assert "is there already. Add --replace" in refused("baseline", "alike")
    assert escalade("baseline", "alike", "--replace").exit_code == 0
    assert "hold the same measurements" in refused("check-regressions", "alike")
    assert [path.name for path in Path("baselines").iterdir()] == ["small"]  # nothing half-written


def test_a_baseline_that_can_not_be_written_leaves_the_one_before(
    campaigns: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    escalade("baseline", "before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(InfrastructureError, match="No space left on device"):
        escalade("baseline", "alike", "--replace")
    monkeypatch.undo()
    monkeypatch.chdir(campaigns)
    assert escalade("check-regressions", "alike").exit_code == 0
    assert [path.name for path in Path("baselines").iterdir()] == ["small"]


def test_without_a_baseline_the_message_says_how_to_store_one(campaigns: Path) -> None:
    message = refused("check-regressions", "alike")

    assert message.startswith("There is no baseline baselines/small.")
    assert "`escalade baseline RESULTS` stores a campaign as one" in message
    escalade("baseline", "before")
    assert "Stored are: small." in refused("check-regressions", "alike", "--baseline", "main")
    assert "is no folder" in refused("check-regressions", "nowhere")


def test_the_configured_campaign_is_checked_by_default(campaigns: Path) -> None:
    escalade("baseline", "before")
    Path("config").mkdir()
    Path("config/config.yaml").write_text(json.dumps(configuration()), encoding="utf-8")
    Path("results").mkdir()
    Path("slower").rename("results/small")

    assert escalade("check-regressions", "--threshold", "5").exit_code == 1
