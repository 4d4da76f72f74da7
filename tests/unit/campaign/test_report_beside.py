"""`escalade report` with a baseline or with a history: what is shown, kept and refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from campaigns import configuration, repeated, write_campaign
from escalade.campaign.layout import CampaignFolder
from escalade.cli.main import app
from escalade.errors import InputError
from escalade.files import read_json, sha256_of
from escalade.manifest import verify, write_manifest
from escalade.replay import rebuild, replay_campaign
from escalade.report.charts import drawing
from escalade.report.charts.hover import Drawn
from unit.report.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

    from click.testing import Result

PRIMARY = "tpot_seconds:p50@3"


@pytest.fixture(scope="module", autouse=True)
def undrawn() -> Iterator[None]:
    """Leave out the drawing itself: these tests are about the command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "picture", lambda *_, **__: Drawn("<svg></svg>"))
        yield


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an earlier campaign and a later one that is slower; the later one is analysed."""
    place = tmp_path_factory.mktemp("beside")
    declared = configuration(comparison={"primary": [PRIMARY]})
    for name, capacity, day in (("before", 10.0, 1), ("small", 8.0, 2)):
        cells = [
            replace(cell, cell={**cell.cell, "started_at": 1_790_000_000.0 + 86_400 * day})
            for cell in repeated([capacity], seed=day)
        ]
        write_campaign(place / name, cells, declared)
    rebuild(CampaignFolder(place / "small"))
    write_manifest(place / "small")
    return place


@pytest.fixture
def folder(measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CampaignFolder:
    shutil.copytree(measured, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return CampaignFolder(Path("small"))


def report(*arguments: object) -> Result:
    given = ["report", *(str(each) for each in arguments)]
    result = CliRunner().invoke(app, given, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def test_a_given_baseline_is_compared_kept_sealed_and_replayed(folder: CampaignFolder) -> None:
    report("small", "--baseline", "before")

    page = folder.report.read_text(encoding="utf-8")
    assert 'id="comparison"' in page
    assert sha256_of(Path("before/MANIFEST.json")) in page
    told = read_json(folder.comparison, "comparison")
    assert told["comparison"]["primary"] == [PRIMARY]
    assert json.loads(folder.twin.read_text(encoding="utf-8"))["comparison"] == told
    assert verify(folder.path) == []
    shutil.rmtree("before")
    assert {each.verdict for each in replay_campaign(folder)} == {"identical"}


def test_a_page_elsewhere_leaves_the_campaign_as_it_was(folder: CampaignFolder) -> None:
    report("small", "--baseline", "before", "--output", "page.html")

    assert 'id="comparison"' in Path("page.html").read_text(encoding="utf-8")
    assert not folder.comparison.exists()
    assert verify(folder.path) == []


def test_markdown_has_the_comparison(folder: CampaignFolder) -> None:
    said = report("small", "--baseline", "before", "--format", "markdown").output

    assert "Undecided: tpot\\_seconds p50" in said  # one run against one
    assert not folder.comparison.exists()


def test_a_history_is_shown_on_a_page_of_its_own(folder: CampaignFolder) -> None:
    sealed = sha256_of(folder.report)

    said = report("small", "--history", "*").output

    assert said.startswith("report.history.html: ")
    page = Reader(Path("report.history.html").read_text(encoding="utf-8"))
    assert "Trend over campaigns" in page.words
    assert "Time per output token p50" in page.words
    assert "2026-09-22 14:13" in page.words  # 1,790,000,000 s and a day
    assert sha256_of(folder.report) == sealed


def test_campaigns_of_one_kind_side_by_side_have_a_trend(folder: CampaignFolder) -> None:
    rebuild(CampaignFolder(Path("before")))

    report("small", "before")

    page = Path("campaigns.html").read_text(encoding="utf-8")
    assert 'href="#trends"' in page
    assert page.count('<figure id="figure-trend-1-') == 1  # the one that is declared


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("small", "--baseline", "nowhere"), "There is no baseline baselines/nowhere."),
        (("small", "--baseline", "small"), "hold the same measurements"),
        (("small", "before", "--baseline", "before"), "give one folder"),
        (("small", "--partial", "--history", "before"), "give one folder"),
        (("small", "--history", "night-*"), "no folder is called like night-*"),
    ],
)
def test_what_can_t_be_compared_is_refused_in_one_sentence(
    folder: CampaignFolder, arguments: tuple[str, ...], why: str
) -> None:
    before = sha256_of(folder.report)

    with pytest.raises(InputError) as told:
        report(*arguments)

    assert why in str(told.value)
    assert "\n" not in str(told.value)
    assert sha256_of(folder.report) == before
