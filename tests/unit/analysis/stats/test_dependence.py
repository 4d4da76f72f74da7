"""What dependent requests are worth: effective sizes, and the bounds that follow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal

from escalade.analysis.stats.dependence import (
    are_dependent,
    autocorrelation,
    effective_size,
    effective_size_by_correlation,
    effective_size_by_ranks,
    is_rising,
    ranked,
)
from escalade.analysis.stats.intervals import mean, percentile, rank_bounds

if TYPE_CHECKING:
    from escalade.analysis.measured.windows import FloatArray


TIMES = st.lists(st.floats(1e-4, 1e3), min_size=1, max_size=400)


def test_autocorrelation_of_ranks_bears_infinite_values() -> None:
    assert autocorrelation(np.array([1.0, 2.0, 3.0, 4.0, np.inf])) == pytest.approx(0.4)
    assert autocorrelation(np.full(10, 3.0)) == 0.0
    assert not are_dependent(np.array([1.0, 2.0]))


def test_effective_size_by_hand() -> None:
    # ten batches of ten; the share is 0 in five of them and 1 in five: variance of the mean
    # (10 · 0.25) / 9 / 10 = 0.0278, p (1 − p) / that = 9, and t instead of normal: 9 · (1.96 / 2.262)²
    hit = np.repeat(np.tile([False, True], 5), 10)

    assert effective_size(hit) == pytest.approx(9 * (1.959964 / 2.262157) ** 2, rel=1e-5)


def test_effective_size_by_ranks_by_hand() -> None:
    # ranks less their mean: −1.5, −0.5, 0.5, 1.5; squares add up to 5; autocorrelations 1, 1.25/5,
    # −1.5/5, −2.25/5; pairs 1.25 and −0.75: the first alone counts, 2 · 1.25 − 1 = 1.5; 4 / 1.5
    assert effective_size_by_ranks(np.array([1.0, 2.0, 30.0, np.inf])) == pytest.approx(4 / 1.5)
    assert effective_size_by_ranks(np.full(30, 2.0)) == 30


@given(TIMES)
def test_effective_size_by_ranks_is_between_one_and_all(values: list[float]) -> None:
    assert 1.0 <= effective_size_by_ranks(np.array(values)) <= len(values)


def test_effective_size_by_ranks_meets_that_of_an_autoregression() -> None:
    rng = np.random.default_rng(3)  # ρ 0.5: n / (1 + 2 · 0.5 / 0.5) = n / 3
    draws = [signal.lfilter([1.0], [1.0, -0.5], rng.normal(size=250))[100:] for _ in range(200)]

    found = np.median([effective_size_by_ranks(values) for values in draws])

    assert found == pytest.approx(150 / 3, rel=0.15)


def test_the_upper_end_of_a_long_window_takes_the_smaller_size_the_lower_its_batches() -> None:
    trend = np.arange(1.0, 1001.0)

    found = percentile(trend, 0.9)

    # all trend: ranks leave a handful, so nothing bounds it from above, and batches place the lower end
    assert effective_size_by_ranks(trend) < 4
    assert (found.n_eff, found.high) == (effective_size_by_ranks(trend), math.inf)
    low, _ = rank_bounds(1000, effective_size(trend <= found.value), 0.9)
    assert found.low == trend[low - 1] > trend.mean()


def test_a_long_series_is_worth_what_its_blocks_say() -> None:
    # blocks of ten equal values: 4,000 of them are worth the 400 independent blocks that they are
    blocks = np.repeat(np.random.default_rng(5).normal(size=400), 10)

    assert effective_size_by_correlation(blocks) == pytest.approx(400, rel=0.3)
    independent = np.random.default_rng(5).normal(size=4000)
    assert effective_size_by_correlation(independent) > 2500


@given(TIMES, st.sampled_from([0.25, 2.0, 1024.0]))
def test_the_effective_size_does_not_depend_on_the_unit(values: list[float], scale: float) -> None:
    finite = np.array([value for value in values if math.isfinite(value)] or [1.0])

    found = effective_size_by_correlation(finite)

    assert 1.0 <= found <= len(finite)
    assert effective_size_by_correlation(finite * scale) == pytest.approx(found, rel=1e-3)


def test_in_short_windows_ranks_decide_whether_the_upper_bound_exists() -> None:
    def walk(n: int, rho: float) -> FloatArray:
        return np.exp(signal.lfilter([1.0], [1.0, -rho], np.random.default_rng(6).normal(size=n)))

    weak, strong, long = (
        percentile(walk(n, rho), 0.9) for n, rho in ((199, 0.3), (199, 0.95), (200, 0.3))
    )

    assert weak.method == "order statistics, n_eff by autocorrelation"
    assert weak.n_eff == effective_size_by_ranks(walk(199, 0.3)) >= 36
    assert math.isfinite(weak.high)
    assert (strong.method, strong.high) == ("order statistics, n_eff by batch means", math.inf)
    assert strong.n_eff <= 35
    assert long.method == "order statistics, n_eff by batch means"


def test_the_lower_bound_of_a_pure_trend_stays_with_its_batches() -> None:
    trend = np.arange(1.0, 91.0)

    found = percentile(trend, 0.9)

    assert effective_size_by_ranks(trend) < 4
    assert found.n_eff == effective_size(trend <= found.value) >= 6
    assert found.low > trend.mean()


def test_a_share_that_never_varies_is_worth_all_its_requests() -> None:
    assert effective_size(np.ones(100, dtype=bool)) == 100


@given(st.lists(st.one_of(st.integers(0, 5), st.floats(allow_nan=False)), max_size=60))
def test_equal_values_share_the_mean_of_their_ranks(values: list[float]) -> None:
    array = np.array(values, dtype=np.float64)

    assert ranked(array).tolist() == pd.Series(array).rank().tolist()


def test_a_series_rises_when_its_ranks_follow_time_by_more_than_half() -> None:
    # ranks 1, 3, 2, 4: products of the deviations 2.25 − 0.25 · … = 4 of 5, so 0.8
    assert is_rising(np.array([1.0, 3.0, 2.0, 4.0]))
    # 1, 4, 2, 3: 2 of 5
    assert not is_rising(np.array([1.0, 4.0, 2.0, 3.0]))
    assert not is_rising(np.arange(10.0)[::-1])
    assert not is_rising(np.ones(10))
    assert not is_rising(np.array([1.0, 2.0]))


@given(TIMES)
def test_a_series_and_its_mirror_in_time_do_not_both_rise(values: list[float]) -> None:
    series = np.array(values)

    assert not (is_rising(series) and is_rising(series[::-1]))


def test_a_wave_that_is_longer_than_the_window_bounds_little() -> None:
    # half a wave, down and up: ranks leave a handful, so the lower end falls, and no end is above
    wave = 10.0 + np.cos(np.linspace(0.0, 2 * np.pi, 400)) + np.linspace(0.0, 1e-6, 400)
    by_ranks = effective_size_by_ranks(wave)

    found, average = percentile(wave, 0.5), mean(wave)

    assert by_ranks < 10
    low, _ = rank_bounds(400, min(by_ranks, effective_size(wave <= found.value)), 0.5)
    assert found.low == (np.sort(wave)[low - 1] if low else -math.inf)
    assert (found.high, average.high) == (math.inf, math.inf)
    assert average.low < 10.0 - wave.std() / math.sqrt(10)


def test_a_median_of_few_independent_requests_is_not_bounded_from_above() -> None:
    # 0.9 from one to the next: 300 of them are worth about 300 · 0.1 / 1.9 = 16, more than the floor of 6
    walk = signal.lfilter([1.0], [1.0, -0.9], np.random.default_rng(2).normal(size=300))

    found = percentile(walk, 0.5)

    assert 6 < found.n_eff < 30
    assert found.high == math.inf
    assert found.quality.endswith("< 30, not bounded on both sides")
