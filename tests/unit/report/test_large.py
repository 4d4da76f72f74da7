"""A campaign of twenty cells and two hundred steps: what its page leaves out, and how large it is."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from escalade.report.charts import drawing
from escalade.report.charts.hover import Drawn
from escalade.report.data import MOST_DRAWN
from escalade.report.page import content_of, page_of
from escalade.report.sections.cuts import MOST_GATES, cuts, shown_gates
from unit.report import campaign
from unit.report.reader import Reader

if TYPE_CHECKING:
    from escalade.report.data import ReportData

CELLS, STEPS, LIMIT = 20, 10, 5_000_000
_PICTURE = Drawn("<svg></svg>")


@pytest.fixture(scope="module")
def first() -> ReportData:
    """Give one cell of ten steps, analysed."""
    return campaign.report_data(rates=tuple(0.5 * rung for rung in range(1, STEPS + 1)))


@pytest.fixture(scope="module")
def large(first: ReportData) -> ReportData:
    """Give twenty such cells, repetitions of four deployments: the same figures under other names."""
    name = first.cells[0].name
    own = [(f"slots-{place % 4}", 1 + place // 4) for place in range(CELLS)]
    names = [f"{deployment}_rep-{repetition}_0badcafe" for deployment, repetition in own]
    cells, tables = [], []
    verdicts = {**first.verdicts, "gates": [], "slos": [], "capacity": [], "bottlenecks": []}
    for (deployment, repetition), called in zip(own, names, strict=True):
        here = {"cell": called, "deployment": deployment, "repetition": repetition}
        cells.append(replace(first.cells[0], cell={**first.cells[0].cell, **here}))
        tables.append(first.kpis[first.kpis["cell"] == name].assign(**here))
        for section in ("gates", "slos", "capacity", "bottlenecks"):
            rows = first.verdicts[section]
            verdicts[section] += [
                {**row, **{key: here[key] for key in ("cell", "deployment") if key in row}}
                for row in rows
            ]
    return replace(first, cells=cells, kpis=pd.concat(tables, ignore_index=True), verdicts=verdicts)


@pytest.fixture(scope="module")
def undrawn(large: ReportData) -> str:
    """Give its page without the pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "picture", lambda *_, **__: _PICTURE)
        return page_of(content_of(large))


def test_what_is_left_out_is_said(large: ReportData, undrawn: str) -> None:
    words = Reader(undrawn).words

    assert (
        "Drawn for the first 8 of 20 cells; the points of the others are in report.json." in words
    )
    assert "Figures of load generator and monitoring are in kpis.csv and report.json." in words
    passed = sum(row["outcome"] == "pass" for row in large.gates)
    assert len(large.gates) > MOST_GATES
    assert len(shown_gates(large)) == len(large.gates) - passed
    assert " that passed are not listed; report.json has all of them." in words
    timelines = re.findall(r'id="figure-timeline-(\d+)"', undrawn)
    assert timelines == [str(number) for number in range(1, MOST_DRAWN + 1)]
    assert all(f'id="cell-{number}"' in undrawn for number in range(1, CELLS + 1))


def test_nothing_is_left_out_of_a_small_campaign(one: ReportData) -> None:
    assert set(cuts(one).values()) == {""}
    assert shown_gates(one) == one.gates


def test_the_page_of_twenty_cells_and_two_hundred_steps_is_small_enough(
    first: ReportData, large: ReportData, undrawn: str
) -> None:
    drawn = page_of(content_of(first))
    pictures = sum(len(picture) for picture in re.findall(r"<svg role.*?</svg>", drawn, re.DOTALL))

    # one cell draws all that a deployment draws, too: eight times that is more than the page has
    assert len(undrawn.encode()) + MOST_DRAWN * pictures < LIMIT
