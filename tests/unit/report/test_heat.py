"""The map of latency over time: every request is counted once, in its place."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.report.charts.heat import colours_of, heat_charts, levels_of, map_of
from escalade.report.data import ReportData
from unit.report import campaign


def with_failures() -> campaign.CellData:
    """Give a cell whose first twenty requests failed."""
    cell = campaign.simulated_cell(rates=(1.0, 2.0))
    requests = cell.requests.copy()
    requests.loc[requests.index[:20], "error"] = "timeout"
    requests.loc[requests.index[:10], "ended_at"] = math.nan
    return replace(cell, requests=requests)


def test_every_request_is_in_the_map_once_and_failed_ones_in_their_own_row() -> None:
    data = campaign.analysed([with_failures()], campaign.configuration(("smollm2",), 1, (1.0, 2.0)))
    found = map_of(data.facts[0])

    assert found is not None
    assert found.failed.sum() == 20
    assert found.counts.sum() == len(data.cells[0].requests) - 20
    assert sum(len(taken) + lost for taken, lost in found.by_step.values()) == len(
        data.cells[0].requests
    )


def test_a_request_stands_at_its_planned_time_and_in_the_row_of_its_latency() -> None:
    cell = campaign.simulated_cell(rates=(2.0,))
    facts = ReportData({}, pd.DataFrame(), {}, [cell], {}).facts[0]
    found = map_of(facts)
    assert found is not None
    slowest = (cell.requests["ended_at"] - cell.requests["planned_at"]).to_numpy()
    place = int(np.argmax(slowest))

    column = int((cell.requests["planned_at"].iloc[place] - facts.started_at) // found.seconds)
    row = int(np.searchsorted(found.edges, slowest[place])) - 1

    assert found.counts[row, column] >= 1
    assert found.edges[0] < slowest.min()
    assert found.edges[-1] > slowest.max()


@given(st.integers(1, 100_000))
def test_every_count_has_one_colour_and_more_never_a_paler_one(most: int) -> None:
    levels = levels_of(most)

    assert levels[0][0] == 1
    assert levels[-1][1] == most
    assert all(later[0] == earlier[1] + 1 for earlier, later in itertools.pairwise(levels))
    assert all(first <= last for first, last in levels)
    colours = colours_of(len(levels))
    assert colours == sorted(colours)
    assert set(colours) <= set(range(1, 9))


def test_the_figure_says_how_many_have_no_answer_and_is_the_same_every_time() -> None:
    data = campaign.analysed([with_failures()], campaign.configuration(("smollm2",), 1, (1.0, 2.0)))
    (chart,) = heat_charts(data)

    assert "20\N{NO-BREAK SPACE}requests without an answer" in chart.caption
    assert heat_charts(data) == [chart]
    assert "var(--heat-8)" in chart.svg
    assert len(chart.svg) < 40_000


@pytest.mark.parametrize("rates", [(0.025,), (0.05,)])
def test_one_request_has_a_map_and_none_has_no_map(rates: tuple[float, ...]) -> None:
    cell = campaign.simulated_cell(rates=rates)
    data = campaign.analysed([cell], campaign.configuration(("smollm2",), 1, rates))
    empty = replace(data, cells=[replace(cell, requests=cell.requests.iloc[:0])])

    assert len(heat_charts(data)) == 1
    assert heat_charts(empty) == []
