"""Intervals of what was scraped and of loads without a rate: by hand, as properties, and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from escalade.analysis.kpis.loop_kpis import answered_per_second
from escalade.analysis.kpis.readings import with_method
from escalade.analysis.measured.series import Samples, Track
from escalade.analysis.measured.windows import Window
from escalade.analysis.stats.intervals import Estimate
from escalade.analysis.stats.sampled import METHOD, largest, over_samples, ratio_over_samples
from unit.analysis.builders import series_frame

SAMPLES = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=60).map(np.array)
FEW = settings(max_examples=30, deadline=None)
ALTERNATING = np.array([1.0, 3.0] * 10)


def test_samples_that_alternate_are_worth_all_of_them_and_have_students_interval() -> None:
    # no pair of autocorrelations is positive, ranks alike; batches of two all have the mean 2
    found = over_samples(2.0, ALTERNATING)

    low, high = stats.t.interval(0.95, 19, 2.0, stats.sem(ALTERNATING))
    assert (found.method, found.n, found.n_eff) == (METHOD, 20, 20.0)
    assert found.low == pytest.approx(low)  # 2 − 2.093 · 1.0260 / √20
    assert found.low == pytest.approx(1.5198, abs=1e-4)
    assert found.high == pytest.approx(2 * math.exp((high - 2) / 2))


def test_a_rise_that_lasts_the_whole_window_has_no_interval() -> None:
    found = over_samples(49.5, np.arange(100.0))

    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.method.startswith("not estimable: 100 samples are worth ")
    assert found.n_eff < 10


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (np.arange(19.0), "19 samples, needs 20"),
        (np.zeros(60), "all 60 samples are alike"),
        (np.empty(0), "0 samples, needs 20"),
    ],
)
def test_too_little_is_not_estimable_and_says_why(samples: np.ndarray, why: str) -> None:
    found = over_samples(0.0, samples)

    assert found.method == f"not estimable: {why}"
    assert found.value == 0.0
    assert math.isnan(found.low)


@FEW
@given(SAMPLES, st.sampled_from([1.0, math.inf]))
def test_an_interval_holds_its_mean_and_keeps_its_bounds(
    samples: np.ndarray, highest: float
) -> None:
    samples = samples / max(1.0, samples.max()) if highest == 1.0 else samples
    point = float(samples.mean())

    found = over_samples(point, samples, highest)

    assert found.value == point
    assert found.n_eff <= found.n == len(samples)
    if found.method == METHOD:
        assert 0.0 <= found.low <= point <= found.high
        assert found.high <= max(point, highest)
    else:
        assert found.method.startswith("not estimable: ")
        assert math.isnan(found.low)


def test_the_share_of_two_counters_is_bounded_by_the_delta_method() -> None:
    # wholes all 2: the share is a mean of parts / 2, so the interval is that of this mean
    parts, wholes = ALTERNATING / 4, np.full(20, 2.0)

    found = ratio_over_samples(0.25, parts, wholes)

    plain = over_samples(0.25, parts / 2)
    assert (found.low, found.high) == (pytest.approx(plain.low), pytest.approx(plain.high))
    assert ratio_over_samples(0.0, parts[:0], wholes[:0]).method.startswith("not estimable")


@FEW
@given(SAMPLES, st.floats(0.1, 10.0))
def test_a_share_is_the_same_in_any_unit(samples: np.ndarray, unit: float) -> None:
    wholes = np.linspace(1.0, 2.0, len(samples)) * max(1.0, samples.max())
    point = float(samples.sum() / wholes.sum())

    one, other = (ratio_over_samples(point, samples * each, wholes * each) for each in (1.0, unit))

    if METHOD in (one.method, other.method) and one.method == other.method:
        assert other.low == pytest.approx(one.low, rel=1e-6, abs=1e-9)
        assert other.high == pytest.approx(one.high, rel=1e-6, abs=1e-9)


@FEW
@given(st.floats(0, 1e9), st.integers(1, 1000))
def test_nothing_bounds_the_largest_sample_from_above(value: float, n: int) -> None:
    found = largest(value, n)

    assert (found.low, found.value, found.high) == (value, value, math.inf)


def test_answers_per_second_by_hand() -> None:
    # 20 answers, one every half second: 20 / 10 s; [0, 10) in ten blocks: 1, 2, …, 2, 3
    ended = np.arange(0.5, 10.1, 0.5)

    found = answered_per_second(ended, np.zeros(20))

    low, high = stats.t.interval(0.95, 9, 2.0, stats.sem([1, *[2] * 8, 3]))
    assert found.value == 2.0
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert (found.method, found.n, found.n_eff) == ("t over ten blocks", 20, 10.0)


@FEW
@given(st.lists(st.floats(0.01, 100.0), max_size=60).map(np.array))
def test_answers_per_second_lie_in_their_interval_or_have_none(ended: np.ndarray) -> None:
    found = answered_per_second(ended, np.zeros(max(1, len(ended))))

    if not len(ended):
        assert found.quality.startswith("missing")
    elif len(ended) < 20:
        assert found.method == f"not estimable: {len(ended)} answers, needs 20"
    else:
        assert 0 <= found.low <= found.value <= found.high


def test_the_pace_of_a_counter_is_read_scrape_by_scrape_over_restarts() -> None:
    # 2 a second; after 3 s it begins again at 0, and what it counts then is growth
    track = Track({}, np.arange(7.0), np.array([10.0, 12, 14, 16, 2, 4, 6]))
    samples = Samples(series_frame([]), 1.0)

    (paces,) = samples.paces([[track]], Window(0.0, 10.0))

    assert paces.tolist() == [2.0] * 6


@FEW
@given(st.lists(st.integers(0, 50), min_size=2, max_size=30))
def test_paces_add_up_to_the_growth(growth: list[int]) -> None:
    levels = np.concatenate([[0], np.cumsum(growth)]).astype(float)
    track = Track({}, np.arange(float(len(levels))), levels)
    samples, window = Samples(series_frame([]), 1.0), Window(0.0, 100.0)

    (paces,) = samples.paces([[track]], window)

    grown = samples.growth([track], window)
    assert grown is not None
    assert paces.sum() == pytest.approx(grown.amount)


def test_an_exact_number_says_so_and_a_single_reading_is_not_estimable() -> None:
    exact = with_method(Estimate(3.0, n=5), "exact, counted")
    reading = with_method(Estimate(3.0), "not estimable: one reading")
    absent = with_method(Estimate.missing("away"), "exact, counted")

    assert (exact.low, exact.high, exact.method) == (3.0, 3.0, "exact, counted")
    assert (exact.n, exact.n_eff) == (5, 5.0)
    assert reading.method == "not estimable: one reading"
    assert math.isnan(reading.low)
    assert (absent.method, absent.n) == ("not estimable: no value", 0)
