"""Where fragmentation of CUDA memory begins is marked in the figures and told beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from escalade.analysis.kpis.fragmentation_kpis import EVENTS, FAILED, RETRIED
from escalade.report.charts.latency import latency_charts
from escalade.report.charts.pieces import begins, told_pieces
from escalade.report.charts.throughput import throughput_charts
from unit.report import campaign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.report.data import ReportData

RATES = (1.0, 2.0, 6.0)
ON = "CUDA memory is in pieces from"


def counted(data: ReportData, events: Mapping[int, float], deployment: str) -> ReportData:
    """Give the report of a service that counted these events by step, and 0 in the others.

    In every step 7 more allocations succeeded when they were tried again.
    """
    mine = data.kpis[(data.kpis["deployment"] == deployment) & (data.kpis["step"] > 0)]
    steps = mine.drop_duplicates(["cell", "step"]).assign(
        metric=EVENTS, stat="value", unit="events"
    )
    rows = [
        steps.assign(
            value=[events.get(step, 0.0) if label == FAILED else 7.0 for step in steps["step"]],
            source=f"series.parquet{label}",
            quality="ok",
        )
        for label in (FAILED, RETRIED)
    ]
    return replace(data, kpis=pd.concat([data.kpis, *rows], ignore_index=True))


def test_it_begins_at_the_lowest_rate_with_events() -> None:
    data = counted(campaign.report_data(rates=RATES), {2: 1.0, 3: 40.0}, "smollm2")
    second = data.facts[0].steps[1]

    assert begins(data, "smollm2") == data.arrival_rate(data.facts[0].name, second)
    assert begins(data, "smollm2") == pytest.approx(2.0, rel=0.3)


@pytest.mark.parametrize("events", [None, {}], ids=["not counted", "none"])
def test_without_events_there_is_no_mark_and_no_word(events: Mapping[int, float] | None) -> None:
    data = campaign.report_data(rates=RATES)
    data = data if events is None else counted(data, events, "smollm2")

    assert begins(data, "smollm2") is None
    assert told_pieces(data, ["smollm2"]) == ""
    charts = [*latency_charts(data), *throughput_charts(data)]
    assert not any(ON in chart.caption or "memory in pieces" in chart.svg for chart in charts)


def test_every_figure_against_the_rate_shows_it_in_words_and_as_a_line() -> None:
    data = counted(campaign.report_data(rates=RATES), {3: 4.0}, "smollm2")

    charts = [*latency_charts(data), *throughput_charts(data)]

    assert len(charts) >= 4
    assert all(f"{ON} 6 requests/s on (dotted line)." in chart.caption for chart in charts)
    assert all("memory in pieces" in chart.svg for chart in charts)


def test_of_several_deployments_each_has_its_own_mark() -> None:
    data = campaign.report_data(("as-it-is", "split-128"), rates=RATES)
    without = latency_charts(data)
    data = counted(data, {2: 3.0}, "as-it-is")

    for chart, before in zip(latency_charts(data), without, strict=True):
        assert chart.svg.count("<path") == before.svg.count("<path") + 1
        assert "requests/s (as-it-is) on (dotted line of its colour)." in chart.caption
        assert "split-128)" not in chart.caption
