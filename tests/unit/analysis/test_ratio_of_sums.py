"""Shares of sums, such as cached tokens, and means over the window come with intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.stats.clusters import ratio_of_sums
from unit.analysis.builders import Request, Step, cell, value_of


def test_a_share_of_sums_by_hand() -> None:
    # 10 of 20, 0 of 80: 10 / 100, and not the mean of 0.5 and 0
    found = ratio_of_sums(np.array([10.0, 0.0]), np.array([20.0, 80.0]), (1,))

    assert found.value == pytest.approx(0.1)
    assert math.isnan(found.low)  # two requests give no interval


def test_the_interval_is_that_of_scipys_bootstrap() -> None:
    rng = np.random.default_rng(3)
    wholes = rng.uniform(50, 150, 150)
    parts = wholes * rng.uniform(0, 1, 150)

    found = ratio_of_sums(parts, wholes, (1,))
    expected = stats.bootstrap(
        (parts, wholes),
        lambda a, b, axis: a.sum(axis=axis) / b.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=2000,
        method="percentile",
        rng=np.random.default_rng(5),
    ).confidence_interval

    assert found.low == pytest.approx(expected.low, abs=0.01)
    assert found.high == pytest.approx(expected.high, abs=0.01)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1, 100)), min_size=10, max_size=60))
def test_a_share_lies_between_the_shares_of_its_requests(pairs: list[tuple[float, float]]) -> None:
    shares, wholes = (np.array(column) for column in zip(*pairs, strict=True))

    found = ratio_of_sums(shares * wholes, wholes, (1,))

    assert shares.min() - 1e-9 <= found.low <= found.value <= found.high <= shares.max() + 1e-9
    again = ratio_of_sums(shares * wholes, wholes, (1,))
    assert (again.low, again.high) == (found.low, found.high)


def test_requests_in_flight_have_the_interval_of_a_hundred_slices_of_the_window() -> None:
    # a request in flight for the first half of each second slice of 0.1 s: slices hold 0.5, 0, 0.5, 0 …
    requests = [Request(0.2 * at, latency=0.05) for at in range(50)]

    row = value_of(cell_kpis(cell(Step(requests))), "requests_in_flight", "mean")

    low, high = stats.t.interval(0.95, 99, 0.25, stats.sem([0.5, 0.0] * 50))
    assert row["value"] == pytest.approx(0.25)
    assert row["ci_low"] == pytest.approx(low, rel=1e-6)
    assert row["ci_high"] == pytest.approx(0.25 * math.exp((high - 0.25) / 0.25), rel=1e-6)
    assert (row["ci_method"], row["n"], row["n_eff"]) == ("t on n_eff samples", 50, 100.0)


def test_a_crowd_of_half_a_window_says_nothing_of_how_many_are_in_flight_by_and_large() -> None:
    requests = [Request(5.0 + 0.1 * at, latency=4.0) for at in range(10)]

    row = value_of(cell_kpis(cell(Step(requests))), "requests_in_flight", "mean")

    assert math.isnan(row["ci_low"])
    assert "worth fewer than 10 independent ones" in row["ci_method"]
