"""Figures that set several deployments against each other."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from escalade.report.charts.front import front_charts
from escalade.report.charts.interactivity import interactivity_charts
from escalade.report.charts.latency import latency_charts
from escalade.report.charts.overlay import LOOKS
from unit.report import campaign

if TYPE_CHECKING:
    from escalade.report.charts.drawing import Chart
    from escalade.report.data import ReportData

RATES = (1.0, 2.0, 5.0)


@pytest.fixture(scope="module")
def five() -> ReportData:
    """Give two deployments with five repetitions each."""
    return campaign.report_data(("slots-2", "slots-3"), 5, RATES)


def words_of(chart: Chart) -> str:
    return re.sub(r"<[^>]+>", " ", str(chart.svg))


def test_no_two_deployments_of_a_figure_differ_in_colour_alone() -> None:
    assert len({(marker, str(style)) for _, marker, style in LOOKS}) == len(LOOKS)
    assert len({marker for _, marker, _ in LOOKS}) == len(LOOKS)


def test_every_time_has_one_figure_of_all_deployments_with_a_row_for_every_point(
    five: ReportData,
) -> None:
    charts = latency_charts(five)

    assert [chart.key for chart in charts] == ["latency-1", "ttft-1", "itl-1"]
    for chart in charts:
        assert len(chart.table.rows) == 2 * 5 * 3
        assert {row[0] for row in chart.table.rows} == {"slots-2", "slots-3"}
        assert "over repetitions" in chart.caption
    assert "SLO: p90 ≤ 1.5" in words_of(charts[0])


def test_two_repetitions_give_no_band_between_runs_and_the_caption_says_so() -> None:
    data = campaign.report_data(("slots-2", "slots-3"), 2, (1.0, 2.0))
    assert all(
        "so few repetitions give none between runs" in c.caption for c in latency_charts(data)
    )
    (alone, *_) = latency_charts(campaign.report_data(rates=(1.0, 2.0)))
    assert "nothing is known between runs" in alone.caption


def test_more_deployments_than_looks_are_spread_over_figures() -> None:
    names = tuple(f"slots-{place}" for place in range(2, 9))
    charts = latency_charts(campaign.report_data(names, 1, (1.0,)))

    end_to_end = [chart for chart in charts if chart.key.startswith("latency")]
    assert [chart.title for chart in end_to_end] == [
        "End-to-end latency, p90, part 1 of 2",
        "End-to-end latency, p90, part 2 of 2",
    ]
    assert sum(len(chart.table.rows) for chart in end_to_end) == 7


def test_without_chunks_there_is_no_figure_of_the_first_token() -> None:
    cell = campaign.simulated_cell(rates=(1.0, 2.0))
    whole = cell.requests.assign(
        first_chunk_at=float("nan"), last_chunk_at=float("nan"), chunk_offsets=None
    )
    whole["chunk_offsets"] = [[] for _ in range(len(whole))]
    data = campaign.analysed(
        [replace(cell, requests=whole)], campaign.configuration(("smollm2",), 1, (1.0, 2.0))
    )

    assert [chart.key for chart in latency_charts(data)] == ["latency-1"]
    assert interactivity_charts(data) == []


def test_the_front_is_that_of_the_verdicts_and_its_direction_is_said(five: ReportData) -> None:
    (chart,) = front_charts(five)

    marked = [row for row in chart.table.rows if row[-1] == "yes"]
    assert len(marked) == sum(bool(row["on_front"]) for row in five.front) > 0
    assert "better is up and to the left" in words_of(chart)
    assert front_charts(campaign.report_data(rates=(1.0,))) == []
    assert front_charts(replace(five, verdicts={})) == []


def test_tokens_are_per_core_without_gpus_and_the_axis_says_so(one: ReportData) -> None:
    (chart,) = interactivity_charts(one)

    assert "tokens/s per core" in words_of(chart)
    assert "GPU" not in words_of(chart)
    assert [row[3] for row in chart.table.rows] == ["valid"] * 4 + ["over-saturated"]


def test_tokens_are_per_gpu_with_gpus() -> None:
    cell = campaign.with_gpus(campaign.simulated_cell(rates=(1.0, 2.0)), 2)
    alone = campaign.simulated_cell(rates=(1.0, 2.0))
    shape: tuple[Any, ...] = (("smollm2",), 1, (1.0, 2.0))
    data, without = (
        campaign.analysed([each], campaign.configuration(*shape)) for each in (cell, alone)
    )
    (chart,) = interactivity_charts(data)

    assert "tokens/s per GPU" in words_of(chart)
    per_gpu = data.estimate(cell.name, 2, "output_tokens_per_second_per_gpu").value
    whole = without.estimate(cell.name, 2, "output_tokens_per_second").value
    assert per_gpu == pytest.approx(whole / 2)
