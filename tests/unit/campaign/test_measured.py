"""Reading a measured campaign: every schema that was written, and one clear message for what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from campaigns import repeated, write_campaign
from escalade.analysis.kpis.table import cell_kpis
from escalade.campaign.layout import CampaignFolder
from escalade.campaign.measured import inputs_of, read_campaign
from escalade.errors import InputError
from escalade.files import read_json, write_json
from escalade.manifest import write_manifest

STORED = Path(__file__).parents[2] / "data" / "campaigns"


@pytest.fixture
def campaign(tmp_path: Path) -> Path:
    """Write a finished campaign of two repetitions."""
    return write_campaign(tmp_path / "small", repeated([10.0, 11.0]))


def test_a_campaign_is_read_as_it_was_measured(campaign: Path) -> None:
    told: list[str] = []

    measured = read_campaign(campaign, told.append)

    assert measured.name == "small"
    assert [cell.repetition for cell in measured.cells] == [1, 2]
    assert [slo.name for slo in measured.slos] == ["fast"]
    assert told == ["demo_rep-1_0badcafe", "demo_rep-2_0badcafe"]
    assert len(measured.logs) == 2  # no two repetitions have the same requests


def test_the_first_schema_is_read_as_escalade_0_1_wrote_it() -> None:
    # Measured before cells had a calibration; the p50 is that of the kpis.csv of that time.
    measured = read_campaign(STORED / "schema-1")
    kpis = cell_kpis(measured.cells[0], measured.slos)
    row = kpis.query("step == 1 and metric == 'latency_seconds' and stat == 'p50'").iloc[0]

    assert measured.cells[0].calibration is None
    assert float(row["value"]) == pytest.approx(0.275371789932251)
    assert len(kpis) > 100


def fails(path: Path) -> str:
    """Give the message with which a campaign is refused."""
    with pytest.raises(InputError) as told:
        read_campaign(path)
    return str(told.value)


def test_what_is_no_campaign_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert "is no folder" in fails(tmp_path / "nowhere")
    assert "is no campaign" in fails(tmp_path / "empty")


@pytest.mark.parametrize("lacking", ["MANIFEST.json", "provenance.json"])
def test_an_unfinished_campaign_is_refused_with_what_finishes_it(
    lacking: str, campaign: Path
) -> None:
    (campaign / lacking).unlink()

    message = fails(campaign)

    assert f"has not finished: it has no {lacking}" in message
    assert f"escalade run {campaign}/campaign.resolved.yaml" in message


@pytest.mark.parametrize(
    "file", ["provenance.json", "MANIFEST.json", "cells/demo_rep-2_0badcafe/windows.json"]
)
@pytest.mark.parametrize(
    ("number", "said"),
    [
        (2, "has schema 2, and this Escalade reads schema 1; a later Escalade wrote it"),
        (0, "has schema 0, and this Escalade reads schema 1; unknown"),
        (None, "has no schema number"),
        ("1", "has no schema number"),
    ],
)
def test_a_schema_that_is_not_known_is_refused(
    file: str, number: Any, said: str, campaign: Path
) -> None:
    path = campaign / file
    content = read_json(path, "a file") | {"schema": number}
    write_json(path, content)
    if path.name != "MANIFEST.json":
        write_manifest(campaign)

    message = fails(campaign)

    assert said in message
    assert str(path) in message


def test_edited_results_are_refused_by_name(campaign: Path) -> None:
    path = campaign / "cells" / "demo_rep-1_0badcafe" / "windows.json"
    path.write_text(path.read_text().replace("poisson", "constant"))

    message = fails(campaign)

    assert "is not as MANIFEST.json says" in message
    assert "cells/demo_rep-1_0badcafe/windows.json was changed" in message


def test_what_is_derived_may_differ_since_it_is_derived_again(campaign: Path) -> None:
    (campaign / "kpis.csv").write_text("edited\n")

    assert len(read_campaign(campaign).cells) == 2


def test_a_file_that_was_put_in_later_is_refused(campaign: Path) -> None:
    write_json(campaign / "cells" / "demo_rep-1_0badcafe" / "calibration.json", {"schema": 1})

    assert "calibration.json is not in the manifest" in fails(campaign)


@pytest.mark.parametrize("name", ["requests.parquet", "series.parquet"])
def test_a_damaged_table_is_refused_by_name(name: str, campaign: Path) -> None:
    path = campaign / "cells" / "demo_rep-2_0badcafe" / name
    path.write_bytes(path.read_bytes()[:-40])

    assert f"{name} was changed" in fails(campaign)

    write_manifest(campaign)  # damaged before it was sealed

    assert f"{name} can't be read as Parquet" in fails(campaign)


def test_a_repetition_that_is_gone_is_missed(campaign: Path) -> None:
    for path in (campaign / "cells" / "demo_rep-2_0badcafe").iterdir():
        path.unlink()

    message = fails(campaign)

    assert "repetition demo_rep-2_0badcafe is missing: it was measured, and its files" in message


def test_a_repetition_that_was_never_measured_is_missed(campaign: Path) -> None:
    content = json.loads((campaign / "provenance.json").read_text())
    write_json(campaign / "provenance.json", content | {"cells": ["demo_rep-3_0badcafe"]})
    write_manifest(campaign)

    assert "repetition demo_rep-3_0badcafe is missing: it was never measured" in fails(campaign)


def test_the_inputs_are_all_that_a_campaign_needs(campaign: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for path in inputs_of(CampaignFolder(campaign), [cell.name for cell in repeated([1.0, 1.0])]):
        target = copy / path.relative_to(campaign)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    write_manifest(copy)

    assert read_campaign(copy).logs == read_campaign(campaign).logs
