"""A campaign and its stored baseline: when its report compares, what it records, what can go wrong."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from campaigns import configuration, repeated, write_campaign
from escalade.campaign.against import ITSELF, compare_with_stored, read_comparison
from escalade.campaign.baselines import keep_baseline
from escalade.campaign.layout import CampaignFolder
from escalade.campaign.publishing import publish
from escalade.campaign.results import cells_of, read_resolved
from escalade.errors import InputError
from escalade.files import read_json, sha256_of, write_json
from escalade.manifest import write_manifest
from escalade.replay import rebuild, replay_campaign

if TYPE_CHECKING:
    from pathlib import Path

PRIMARY = "tpot_seconds:p50@3"


@pytest.fixture
def after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CampaignFolder:
    """Work beside a campaign, whose baseline is stored."""
    monkeypatch.chdir(tmp_path)
    keep_baseline(write_campaign(tmp_path / "before", repeated([10.0])))
    declared = configuration(comparison={"primary": [PRIMARY], "threshold_percent": 10})
    return CampaignFolder(write_campaign(tmp_path / "small", repeated([8.0], seed=2), declared))


def compare(folder: CampaignFolder) -> dict[str, Any]:
    provenance = read_json(folder.provenance, "provenance")
    cells = cells_of(folder, provenance["cells"])
    compare_with_stored(folder, cells, read_resolved(folder), provenance)
    return read_comparison(folder)


def test_what_is_recorded_replays_to_the_same_bytes_without_the_baseline(
    after: CampaignFolder, tmp_path: Path
) -> None:
    after.manifest.unlink()  # it is compared before it is sealed

    told = compare(after)

    digest = sha256_of(tmp_path / "baselines" / "small" / "MANIFEST.json")
    assert told["baseline"] == {"path": "baselines/small", "manifest_sha256": digest}
    found = told["comparison"]
    assert (found["primary"], found["conclusion"]) == ([PRIMARY], "undecided")  # one against one
    rebuild(after)
    write_manifest(after.path)
    shutil.rmtree(tmp_path / "baselines")
    rebuilt = replay_campaign(after, tmp_path / "again")
    assert {each.verdict for each in rebuilt} == {"identical"}
    assert digest in (tmp_path / "again" / "report.html").read_text(encoding="utf-8")


def test_without_a_baseline_an_older_comparison_goes(after: CampaignFolder, tmp_path: Path) -> None:
    assert compare(after)["comparison"]

    shutil.rmtree(tmp_path / "baselines")

    assert compare(after) == {}
    assert not after.comparison.exists()


def test_a_baseline_that_was_edited_breaks_nothing_and_is_named(
    after: CampaignFolder, tmp_path: Path
) -> None:
    (requests,) = (tmp_path / "baselines").rglob("requests.parquet")
    requests.write_bytes(b"edited")

    told = compare(after)

    assert told["comparison"] is None
    assert "is not as MANIFEST.json says" in told["why"]
    assert "requests.parquet was changed" in told["why"]


def test_a_baseline_without_manifest_breaks_nothing(after: CampaignFolder, tmp_path: Path) -> None:
    (tmp_path / "baselines" / "small" / "MANIFEST.json").unlink()

    told = compare(after)

    assert told["comparison"] is None
    assert "does not exist" in told["why"]
    assert told["baseline"]["manifest_sha256"] == ""


def test_a_campaign_is_not_compared_with_itself(after: CampaignFolder) -> None:
    keep_baseline(after.path, replace=True)

    told = compare(after)

    assert (told["comparison"], told["why"]) == (None, ITSELF)


@pytest.mark.parametrize("content", [{"schema": 2, "baseline": {}}, {"schema": 1}, []])
def test_a_comparison_that_is_none_is_refused(after: CampaignFolder, content: Any) -> None:
    write_json(after.comparison, content)

    with pytest.raises(InputError, match=r"comparison\.json is not what this Escalade wrote"):
        read_comparison(after)


def test_a_report_says_the_threshold_that_is_declared_or_asked_for(
    after: CampaignFolder, tmp_path: Path
) -> None:
    rebuild(after)
    write_manifest(after.path)
    page, twin = tmp_path / "page.html", tmp_path / "twin.json"

    for margin, percent in ((None, 10), (0.4, 40)):
        publish(after.path, "html", page, baseline="baselines/small", margin=margin)
        publish(after.path, "json", twin, baseline="baselines/small", margin=margin)
        said = f"it is more than {percent} % of the baseline"
        assert said in page.read_text(encoding="utf-8")
        found = read_json(twin, "twin")["comparison"]["comparison"]
        assert found["threshold"] == percent / 100
