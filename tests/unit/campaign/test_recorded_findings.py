"""Bottleneck and findings of recorded cells: the demo, bound by its CPU, and a service bound by its slots.

The cell `slots` was measured against the truth server: two slots, a quarter of a second for each
answer. The machine was busy with other programs meanwhile, which a service that sleeps does not
feel; the CPU time of the node was left out, so that the gate on neighbours has nothing to look at.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from escalade.analysis.findings import findings, fired
from escalade.analysis.findings.rule import LIMIT, PROBLEM
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.verdicts.judge import judge
from escalade.campaign.measured import read_campaign
from escalade.campaign.stored import StoredCell
from escalade.files import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.measured.cell import CellData, Slo

DATA = Path(__file__).parents[2] / "data"


def verdicts_of(cells: Sequence[CellData], slos: Sequence[Slo]) -> dict[str, Any]:
    kpis = pd.concat([cell_kpis(cell, slos) for cell in cells], ignore_index=True)
    verdicts = judge(kpis, cells, slos)
    return {**verdicts, "findings": findings(verdicts, kpis, cells)}


@pytest.fixture(scope="module")
def demo() -> dict[str, Any]:
    measured = read_campaign(DATA / "campaigns" / "schema-1")
    return verdicts_of(measured.cells, measured.slos)


@pytest.fixture(scope="module")
def slots() -> dict[str, Any]:
    folder = DATA / "cells" / "slots"
    content = {name: read_json(folder / f"{name}.json", name) for name in ("cell", "windows")}
    cell = StoredCell(
        folder / "requests.parquet",
        **content,
        series=pd.read_parquet(folder / "series.parquet"),
        environment=read_json(folder / "environment.json", "environment"),
    )
    return verdicts_of([cell], [])


def test_the_demo_is_bound_by_its_cpu_and_its_slots_are_full_in_consequence(
    demo: dict[str, Any],
) -> None:
    (row,) = demo["bottlenecks"]

    assert (row["outcome"], row["resource"], row["step"]) == ("found", "service_cpu", 4)
    assert row["ranking"][0]["share"] == pytest.approx(0.987, abs=0.001)
    demands = [
        e["value"] for e in row["ranking"][0]["evidence"] if e["unit"] == "CPU s per request"
    ]
    assert demands == [pytest.approx(0.227, abs=0.001), pytest.approx(0.224, abs=0.001)]


def test_nothing_is_amiss_in_the_demo_and_its_short_ladder_is_advised_on(
    demo: dict[str, Any],
) -> None:
    told = [(row["kind"], row["rule"]) for row in fired(demo["findings"])]

    assert told == [
        (LIMIT, "limited-by-cpu"),
        (LIMIT, "queue-grows"),
        ("advice", "too-few-requests"),
        ("advice", "too-few-repetitions"),
        ("advice", "ladder-too-coarse"),
    ]


def test_a_service_that_sleeps_in_its_slots_is_bound_by_these(slots: dict[str, Any]) -> None:
    (row,) = slots["bottlenecks"]

    assert (row["outcome"], row["resource"], row["step"]) == ("found", "slots", 3)
    assert slots["capacity"][0]["capacity_qps"] == pytest.approx(8.0, rel=0.02)
    told = fired(slots["findings"])
    assert [each["rule"] for each in told if each["kind"] == LIMIT] == [
        "limited-by-slots",
        "queue-grows",
    ]
    assert [each["rule"] for each in told if each["kind"] == PROBLEM] == []
    assert told[0]["next"][0] == "raise the parameter `slots` of the deployment, now 2"
