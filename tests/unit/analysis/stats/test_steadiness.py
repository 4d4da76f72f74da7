"""Backlog, drift and Little's law, by hand and by simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from escalade.analysis.measured.windows import Window, occupancy, request_log
from escalade.analysis.stats.steadiness import drift, littles_law, saturation, trend
from unit.analysis.builders import Queue, Request, Step, cell, queue_step

WINDOW = Window(0.0, 10.0)


def test_the_slope_of_a_growing_backlog_by_hand() -> None:
    # one request a second that never ends: n(t) = 1 + floor(t), slope 1 per second
    log = request_log(
        cell(
            Step([Request(float(at), latency=None, error="unfinished") for at in range(10)])
        ).requests,
        1,
    )
    window = Window(log.planned[0], log.planned[0] + 10)
    system = occupancy(log.planned, np.full(10, np.nan), window)

    found = saturation(log, window, system)

    assert found.slope == pytest.approx(1.0)
    assert (found.low, found.high) == (pytest.approx(1.0), pytest.approx(1.0))
    assert found.completed_share == 0.0
    assert found.over


def verdicts(rate: float, seeds: range) -> float:
    """Give the share of steps of a queue of capacity 10 that are called over-saturated."""
    found = []
    for seed in seeds:
        data = cell(queue_step(rate, 20.0, seed, Queue(capacity=10.0, tokens=1, scrapes=False)))
        log = request_log(data.requests, 1)
        outcome = data.steps[0]
        window = Window(outcome["window_start"], outcome["window_end"])
        found.append(saturation(log, window, occupancy(log.planned, log.ended, window)).over)
    return sum(found) / len(found)


def test_steps_at_eighty_percent_are_seldom_called_over_saturated() -> None:
    assert verdicts(8.0, range(25)) <= 0.08


def test_steps_at_a_hundred_and_twenty_percent_nearly_always_are() -> None:
    assert verdicts(12.0, range(25)) >= 0.92


def test_drift_by_hand() -> None:
    # 0.1 s in the first half, 0.2 s in the second, no spread
    requests = [Request(float(at), latency=0.1 if at < 5 else 0.2) for at in range(10)]
    log = request_log(cell(Step(requests)).requests, 1)

    found = drift(log, Window(log.planned[0], log.planned[0] + 10))

    assert found.ratio == pytest.approx(2.0)
    assert found.rises
    assert not found.falls


def test_drift_agrees_with_scipys_welch() -> None:
    rng = np.random.default_rng(5)
    requests = [Request(float(at) + 0.5, latency=float(rng.lognormal())) for at in range(10)]
    log = request_log(cell(Step(requests)).requests, 1)
    halves = np.log(log.latency[5:]), np.log(log.latency[:5])

    found = drift(log, Window(log.planned[0] - 0.5, log.planned[0] + 9.5))
    expected = stats.ttest_ind(*halves, equal_var=False).confidence_interval(0.99)

    assert math.log(found.low) == pytest.approx(expected.low)
    assert math.log(found.high) == pytest.approx(expected.high)


def test_drift_of_nothing_is_unknown() -> None:
    log = request_log(cell(Step([Request(1.0, error="reset")])).requests, 1)

    assert not drift(log, WINDOW).known


def test_littles_law_by_hand() -> None:
    # one request a second that stays 0.5 s: L = 0.5 = 1 · 0.5
    arrivals = np.arange(10.0)
    system = occupancy(arrivals, arrivals + 0.5, WINDOW)

    found = littles_law(np.full(10, 0.5), WINDOW, system)

    assert found.deviation == pytest.approx(0.0, abs=1e-12)
    # 3 · W · √2 / (T · √L) = 3 · 0.5 · 1.4142 / (10 · 0.7071)
    assert found.tolerance == pytest.approx(0.3)


def test_littles_law_sees_what_the_latencies_of_the_cohort_do_not_explain() -> None:
    system = occupancy(np.arange(10.0), np.arange(10.0) + 0.5, WINDOW)

    assert littles_law(np.full(10, 0.25), WINDOW, system).deviation == pytest.approx(1.0)
    assert math.isnan(littles_law(np.empty(0), WINDOW, system).deviation)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.0, 100.0), min_size=4, max_size=20), st.floats(-5.0, 5.0))
def test_a_trend_follows_what_is_added_to_it(heights: list[float], more: float) -> None:
    values = np.array(heights)
    edges = WINDOW.blocks(len(values))
    middles = (edges[1:] + edges[:-1]) / 2

    slope, low, high = trend(values, WINDOW)
    steeper, _, _ = trend(values + more * middles, WINDOW)
    alike, _, _ = trend(values + 7.0, WINDOW)

    assert low <= slope <= high
    assert steeper == pytest.approx(slope + more, abs=1e-6)
    assert alike == pytest.approx(slope, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.01, 10.0), min_size=20, max_size=60), st.floats(0.1, 10.0))
def test_drift_is_a_ratio_in_its_interval_and_knows_no_unit(
    latencies: list[float], unit: float
) -> None:
    def of(values: list[float]) -> Any:
        requests = [Request(10.0 * at / len(values), latency) for at, latency in enumerate(values)]
        log = request_log(cell(Step(requests)).requests, 1)
        return drift(log, Window(log.planned[0], log.planned[0] + 10))

    found, scaled = of(latencies), of([unit * latency for latency in latencies])

    assert found.low <= found.ratio <= found.high
    assert scaled.ratio == pytest.approx(found.ratio, rel=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(0.0, 5.0), st.floats(0.01, 4.0)), min_size=1, max_size=40))
def test_littles_law_holds_exactly_where_everyone_comes_and_goes_within_the_window(
    visits: list[tuple[float, float]],
) -> None:
    came = np.array([at for at, _ in visits])
    stays = np.array([stay for _, stay in visits])
    system = occupancy(came, came + stays, WINDOW)

    # the area under the number in the system is the sum of the stays: L = λ W
    assert system.mean * WINDOW.seconds == pytest.approx(stays.sum(), rel=1e-6)
