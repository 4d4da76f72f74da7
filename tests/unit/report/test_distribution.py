"""Curves of single requests: shares are of all, and what rests on few is told apart."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.analysis.stats.sample_floors import highest_share, sample_floor
from escalade.report.charts.distribution import Spread, distribution_charts
from unit.report import campaign

if TYPE_CHECKING:
    from escalade.report.data import ReportData


def spread(*seconds: float, failed: int = 0) -> Spread:
    data = campaign.report_data(rates=(1.0,))
    return Spread(data.facts[0].steps[0], np.sort(np.array(seconds)), failed)


def test_a_request_that_failed_stands_behind_the_slowest_answer() -> None:
    some = spread(*(0.1 * place for place in range(1, 91)), failed=10)
    shares, seconds = some.curve()

    # 90 answers of 100 requests: the slowest one stands at (90 - 0.5) / 100
    assert shares[-1] == pytest.approx(0.895)
    assert seconds[-1] == pytest.approx(9.0)
    assert some.within(0.5) == pytest.approx(5.05)  # between the 50th and the 51st of a hundred
    assert some.within(0.95) == float("inf")


@given(st.integers(2, 5000))
def test_the_share_that_requests_bear_is_the_one_whose_floor_they_reach(n: int) -> None:
    share = highest_share(n)

    if share > 0.5:
        assert sample_floor(share - 1e-9) <= n
        assert sample_floor(min(share + 1e-6, 1 - 1e-12)) > n


def test_a_tail_on_too_few_requests_is_dotted_and_has_no_quantile(one: ReportData) -> None:
    charts = distribution_charts(one)

    assert [chart.key for chart in charts] == ["spread-latency-1", "spread-ttft-1"]
    assert "Dotted: a tail that rests on too few requests" in charts[0].caption
    # 20 requests bear shares up to 0.025^(1/20) = 83 %; 160 bear 97.7 %
    first, last = charts[0].table.rows[0], charts[0].table.rows[-1]
    assert first[1] == "20"
    assert first[charts[0].table.columns.index("90 %")] == "—"
    assert last[charts[0].table.columns.index("95 %")] != "—"
    assert last[charts[0].table.columns.index("99 %")] == "—"


def test_requests_without_an_answer_are_named_where_the_line_ends() -> None:
    cell = campaign.simulated_cell(rates=(2.0,))
    requests = cell.requests.copy()
    requests.loc[requests.index[-7:], "error"] = "timeout"
    configured = campaign.configuration(("smollm2",), 1, (2.0,))
    data = campaign.analysed([replace(cell, requests=requests)], configured)

    caption = distribution_charts(data)[0].caption.replace("\N{NO-BREAK SPACE}", " ")
    assert "Lines end where requests have no answer: 7 requests of 80 at 2 requests/s." in caption
