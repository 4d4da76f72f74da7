"""Percentiles, means, ratios and repetitions: against scipy, by hand, and by simulation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, stats

from escalade.analysis.stats.intervals import (
    Estimate,
    mean,
    over_repetitions,
    percentile,
    poisson,
    quantile,
    rank_bounds,
    ratio,
    sample_floor,
    wilson,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.analysis.measured.windows import FloatArray


TIMES = st.lists(st.floats(1e-4, 1e3), min_size=1, max_size=400)
SHARES = st.sampled_from([0.5, 0.9, 0.95, 0.99])


@pytest.mark.parametrize(
    ("share", "floor"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368), (0.999, 3688)]
)
def test_the_sample_floor_is_where_both_bounds_begin_to_exist(share: float, floor: int) -> None:
    assert sample_floor(share) == floor
    low, high = rank_bounds(floor, floor, share)
    assert low >= 1
    assert high <= floor
    low, high = rank_bounds(floor - 1, floor - 1, share)
    assert low < 1 or high > floor - 1


@pytest.mark.parametrize("share", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("n", [72, 137, 500])
def test_order_statistics_agree_with_scipy(share: float, n: int) -> None:
    values = np.random.default_rng(n).exponential(size=n)

    found = percentile(values, share)
    expected = stats.quantile_test(values, p=share).confidence_interval(0.95)

    assert (found.low, found.high) == (expected.low, expected.high)
    assert found.method == "order statistics"


@given(TIMES, SHARES)
def test_an_interval_contains_its_point(values: list[float], share: float) -> None:
    found = percentile(np.array(values), share)

    assert found.low <= found.high
    if math.isfinite(found.value):
        assert found.low <= found.value <= found.high
        assert min(values) <= found.value <= max(values)


@given(TIMES)
def test_percentiles_ascend(values: list[float]) -> None:
    ordered = np.sort(np.array(values))

    points = [quantile(ordered, share) for share in (0.5, 0.9, 0.95, 0.99)]

    assert points == sorted(points)
    assert points == pytest.approx(np.quantile(ordered, [0.5, 0.9, 0.95, 0.99]).tolist())


def test_below_the_floor_there_is_no_value_but_a_lower_bound() -> None:
    found = percentile(np.random.default_rng(1).permutation(np.arange(1.0, 21.0)), 0.9)

    assert math.isnan(found.value)
    assert found.quality == "not estimable: needs n ≥ 36"
    assert found.high == math.inf
    assert found.low == 15.0  # P(Bin(20, 0.9) < 15) = 0.011 ≤ 0.025 < P(Bin < 16) = 0.043


def test_a_percentile_among_failures_has_no_value() -> None:
    values = np.concatenate([np.arange(1.0, 81.0), np.full(20, np.inf)])
    values = np.random.default_rng(4).permutation(values)

    found = percentile(values, 0.9, "20 % of requests failed")

    assert math.isnan(found.value)
    assert found.quality == "not estimable: 20 % of requests failed"
    assert found.high == math.inf


def test_a_percentile_below_the_failures_is_bounded_from_below_only() -> None:
    values = np.concatenate([np.arange(1.0, 93.0), np.full(8, np.inf)])
    values = np.random.default_rng(5).permutation(values)

    found = percentile(values, 0.9)

    assert found.value == pytest.approx(90.1)  # rank 99 · 0.9 + 1 = 90.1
    assert found.quality == "ok"
    assert found.high == math.inf


def test_all_failed_is_infinite_on_both_sides() -> None:
    found = percentile(np.full(100, np.inf), 0.5, "100 % of requests failed")

    assert math.isnan(found.value)
    assert found.low == math.inf


def test_no_request_is_missing_not_zero() -> None:
    found = percentile(np.empty(0), 0.5)

    assert math.isnan(found.value)
    assert found.quality == "missing: no request"


def test_dependent_requests_are_worth_fewer() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(size=600)
    walk = signal.lfilter([1.0], [1.0, -0.9], noise)

    independent, dependent = percentile(np.exp(noise), 0.5), percentile(np.exp(walk), 0.5)

    assert independent.n_eff == 600
    # 600 · (1 − 0.9) / (1 + 0.9) = 32; the smaller of two ways to see it
    assert dependent.n_eff < 60
    assert dependent.method.startswith("order statistics, n_eff by ")


def test_too_few_effective_requests_leave_the_bound_open_and_say_so() -> None:
    values = np.exp(signal.lfilter([1.0], [1.0, -0.95], np.random.default_rng(2).normal(size=80)))

    found = percentile(values, 0.95)

    assert math.isfinite(found.value)
    assert found.high == math.inf
    assert found.quality.startswith("flagged: requests depend on each other: n_eff")


@pytest.mark.parametrize("n", [45, 90])
def test_the_p90_of_a_short_window_of_a_busy_server_is_covered(n: int) -> None:
    """Exponential service at 70 % utilisation: the time in the system is exponential, mean 1 / 0.3."""

    def draw(rng: np.random.Generator) -> FloatArray:
        gaps, service = rng.exponential(1 / 0.7, n + 300), rng.exponential(size=n + 300)
        stay = np.empty(n + 300)
        before = 0.0
        for place, (gap, mine) in enumerate(zip(gaps, service, strict=True)):
            before = max(0.0, before - gap) + mine
            stay[place] = before
        return stay[300:]

    assert coverage(draw, -math.log(0.1) / 0.3, 0.9) >= 0.85


def coverage(
    draw: Callable[[np.random.Generator], FloatArray], truth: float, share: float
) -> float:
    rng = np.random.default_rng(20261122)
    inside = [
        found.low <= truth <= found.high
        for found in (percentile(draw(rng), share) for _ in range(300))
    ]
    return sum(inside) / len(inside)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_interval_of_independent_requests_covers(share: float) -> None:
    found = coverage(lambda rng: rng.exponential(size=120), -math.log(1 - share), share)

    assert 0.93 <= found <= 1.0


@pytest.mark.parametrize(("share", "z"), [(0.5, 0.0), (0.9, 1.2815516)])
def test_the_interval_of_dependent_requests_covers_where_the_plain_one_does_not(
    share: float, z: float
) -> None:
    def draw(rng: np.random.Generator) -> FloatArray:
        walk = signal.lfilter([math.sqrt(1 - 0.8**2)], [1.0, -0.8], rng.normal(size=800))
        return np.exp(walk[200:])

    def shuffled(rng: np.random.Generator) -> FloatArray:
        return rng.permutation(draw(rng))  # hides the order: the interval for independent ones

    assert coverage(draw, math.exp(z), share) >= 0.9
    assert coverage(shuffled, math.exp(z), share) <= 0.75


def test_the_mean_of_independent_values_agrees_with_scipy() -> None:
    values = np.random.default_rng(7).exponential(size=50)

    found = mean(values)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)

    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.method == "t"


def test_the_mean_of_dependent_values_is_bounded_from_below_by_its_batches() -> None:
    values = signal.lfilter([1.0], [1.0, -0.9], np.random.default_rng(8).normal(size=500)) + 20

    found = mean(values)
    expected = stats.ttest_1samp(values.reshape(10, 50).mean(axis=1), 0.0).confidence_interval(0.95)

    assert found.method == "t over batch means"
    assert found.low == pytest.approx(expected.low)
    # 500 · (1 − 0.9) / (1 + 0.9) = 26 independent values: too few to bound a mean from above
    assert found.n_eff < 30
    assert found.high == math.inf
    assert found.quality.startswith("flagged: requests depend on each other: n_eff")


def test_the_mean_of_many_dependent_values_is_bounded_on_the_logarithm() -> None:
    walk = signal.lfilter([1.0], [1.0, -0.5], np.random.default_rng(8).normal(size=3000))
    values = np.exp(walk / 4)

    found = mean(values)

    # n_eff near 0.75 · 3000 · (1 − 0.5) / (1 + 0.5) = 750; 2.58 standard errors on the logarithm
    assert found.n_eff == pytest.approx(750, rel=0.3)
    error = values.std(ddof=1) / math.sqrt(found.n_eff)
    assert math.log(found.high / found.value) == pytest.approx(2.575829 * error / found.value)
    assert found.quality == "ok"
    shifted = mean(walk)  # about 0, where there is no logarithm
    assert shifted.high - shifted.value == pytest.approx(
        2.575829 * walk.std(ddof=1) / math.sqrt(shifted.n_eff)
    )


def test_one_value_has_a_mean_but_no_interval() -> None:
    found = mean(np.array([2.0]))

    assert found.value == 2.0
    assert math.isnan(found.low)


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_agrees_with_scipy(hits: int, more: int) -> None:
    n = hits + more
    expected = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")

    assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_ratio_without_hits_is_bounded_from_above() -> None:
    found = ratio(np.zeros(36, dtype=bool))

    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(1.959964**2 / (36 + 1.959964**2), rel=1e-6)


def test_errors_that_come_together_widen_their_interval() -> None:
    scattered = np.zeros(400, dtype=bool)
    scattered[::10] = True
    burst = np.zeros(400, dtype=bool)
    burst[100:140] = True

    assert ratio(burst).value == ratio(scattered).value
    assert ratio(burst).high > 1.5 * ratio(scattered).high


@given(st.integers(0, 1000))
def test_poisson_agrees_with_its_definition(count: int) -> None:
    low, high = poisson(count)

    assert low <= count <= high
    assert stats.poisson.cdf(count, high) == pytest.approx(0.025)
    if count:
        assert stats.poisson.sf(count - 1, low) == pytest.approx(0.025)


def test_repetitions_use_t_on_the_logarithm() -> None:
    found = over_repetitions([1.0, 2.0, 4.0])  # log₂: 0, 1, 2; t(2) = 4.302653, s = ln 2

    half = 4.302653 * math.log(2) / math.sqrt(3)
    assert found.value == pytest.approx(2.0)
    assert found.low == pytest.approx(2 * math.exp(-half), rel=1e-5)
    assert found.high == pytest.approx(2 * math.exp(half), rel=1e-5)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [1.0, 2.0, 0.0], [1.0, 2.0, math.nan]])
def test_too_few_repetitions_or_no_logarithm_give_no_estimate(values: list[float]) -> None:
    found = over_repetitions(values)

    assert math.isnan(found.value)
    assert found.quality.startswith("not estimable")


def test_a_flag_keeps_the_number_and_missing_stays_missing() -> None:
    assert Estimate(1.0).flagged("a").flagged("b").quality == "flagged: a; b"
    assert Estimate.missing("gone").flagged("a").quality == "missing: gone"
