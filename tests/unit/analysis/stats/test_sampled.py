"""Intervals of what was scraped and of loads without a rate: by hand, as properties, and against scipy."""

from __future__ import annotations

import math
import re

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
from escalade.analysis.stats.sampled import (
    METHOD,
    NOT_ABOVE,
    NOT_BELOW,
    highest_correlation,
    largest,
    over_samples,
    ratio_over_samples,
)
from unit.analysis.builders import series_frame

SAMPLES = st.lists(st.floats(0.0, 1e6), min_size=1, max_size=60).map(np.array)
FEW = settings(max_examples=30, deadline=None)
ALTERNATING = np.array([1.0, 3.0] * 20)


def test_samples_that_alternate_are_worth_all_of_them_and_have_students_interval() -> None:
    # no pair of autocorrelations is positive, ranks alike; batches of two all have the mean 2
    found = over_samples(2.0, ALTERNATING, 1.0)

    # their correlation is −0.975, so that even its upper end is below 0
    low, high = stats.t.interval(0.95, 39, 2.0, stats.sem(ALTERNATING))
    assert (found.method, found.n, found.n_eff) == (METHOD, 40, 40.0)
    assert found.low == pytest.approx(low)  # 2 − 2.0227 · 1.01274 / √40
    assert found.low == pytest.approx(1.6761, abs=1e-4)
    assert found.high == pytest.approx(2 * math.exp((high - 2) / 2))


def test_few_independent_samples_leave_the_side_of_the_tail_open() -> None:
    # 20 samples under 30 independent ones; their tail lies above, and of the mirrored ones below
    crowd = np.array([1.0, 1.0, 1.0, 4.0] * 5)
    above, below = over_samples(1.75, crowd, 1.0), over_samples(3.25, 5.0 - crowd, 1.0)

    half = stats.t.ppf(0.975, above.n_eff - 1) * math.sqrt(crowd.var() / (above.n_eff - 1))
    assert (above.method, above.high) == (NOT_ABOVE, math.inf)
    assert above.low == pytest.approx(1.75 - half)
    assert (below.method, below.low) == (NOT_BELOW, -math.inf)
    assert below.high == pytest.approx(3.25 * math.exp(half / 3.25))
    assert above.n_eff == below.n_eff


def test_samples_that_lean_have_a_99_percent_end_on_the_side_of_their_tail() -> None:
    # worth more than 60 independent ones, and correlated from neighbour to neighbour
    rng = np.random.default_rng(5)
    noise = rng.exponential(1.0, 2000)
    leaning = noise[1:] + 0.7 * noise[:-1] + 1.0
    found = over_samples(float(leaning.mean()), leaning, 1.0)

    size = found.n_eff
    half = stats.t.ppf(0.995, size - 1) * math.sqrt(leaning.var() / (size - 1))
    assert found.method == METHOD
    assert 60 < size < 1000
    assert found.high == pytest.approx(found.value * math.exp(half / found.value))
    lower = stats.t.ppf(0.975, size - 1) * math.sqrt(leaning.var() / (size - 1))
    assert found.low == pytest.approx(found.value - lower)


def test_a_share_with_its_tail_below_has_that_end_on_the_distance_to_the_whole() -> None:
    shares = 1 - np.array([0.1, 0.1, 0.1, 0.4] * 20)
    found = over_samples(0.825, shares, 1.0, 1.0)

    half = stats.t.ppf(0.975, found.n_eff - 1) * math.sqrt(shares.var() / (found.n_eff - 1))
    assert found.method == METHOD
    assert found.low == pytest.approx(1 - 0.175 * math.exp(half / 0.175))
    assert found.high == pytest.approx(0.825 * math.exp(half / 0.825))


@pytest.mark.parametrize(
    ("found", "n", "highest"),
    [
        # 0 + 1/100 is the middle; (0.01 + √(0.9999/100 + 0.0001)) / 1.01 = (0.01 + 0.100494) / 1.01
        (0.0, 100, 0.109400),
        # 0.5 + 2.5/100; (0.525 + √(0.724375/100 + 0.0001)) / 1.01 = (0.525 + 0.085696) / 1.01
        (0.5, 100, 0.604649),
        (-0.9, 100, 0.0),
    ],
)
def test_the_correlation_of_neighbours_is_taken_a_standard_error_higher(
    found: float, n: int, highest: float
) -> None:
    assert highest_correlation(found, n) == pytest.approx(highest, abs=1e-6)


@FEW
@given(st.floats(-1.0, 1.0), st.integers(20, 5000))
def test_that_correlation_solves_its_equation_and_is_none_below_nought(
    found: float, n: int
) -> None:
    highest = highest_correlation(found, n)

    assert 0.0 <= highest <= 0.9999
    middle = found + (1 + 3 * found) / n
    if highest > 0.0 and middle < 0.99:
        assert (middle - highest) ** 2 == pytest.approx((1 - highest**2) / n, abs=1e-9)


def test_a_queue_in_a_short_window_has_no_interval_and_is_told_how_long_one_might_do() -> None:
    # a random walk: 60 samples of which each is where the one before was
    walk = 20.0 + np.cumsum(np.random.default_rng(3).choice([-1.0, 1.0], 60))
    found = over_samples(float(walk.mean()), walk, 2.0)

    assert math.isnan(found.low)
    assert found.n_eff < 10
    wanted = 120.0 * 10 / found.n_eff
    said = re.search(r"a window of (\d+) s or more might do", found.method)
    assert said is not None
    assert wanted <= float(said[1]) < 2 * wanted
    assert said[1].strip("0") in "123456789"


def test_a_whole_that_hardly_came_is_nothing_to_divide_by() -> None:
    # one answer in 40 intervals: its mean 1/40 has a standard error of as much
    wholes = np.zeros(40)
    wholes[3] = 1.0
    found = ratio_over_samples(40.0, np.ones(40), wholes, 1.0)

    assert found.method == "not estimable: too little in the window to divide by"
    assert math.isnan(found.high)


def test_a_rise_that_lasts_the_whole_window_has_no_interval() -> None:
    found = over_samples(49.5, np.arange(100.0), 1.0)

    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.method.startswith("not estimable: samples that lean on each other, worth ")
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
    found = over_samples(0.0, samples, 1.0)

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

    found = over_samples(point, samples, 1.0, highest)

    assert found.value == point
    assert found.n_eff <= found.n == len(samples)
    if found.method == METHOD:
        assert 0.0 <= found.low <= point <= found.high
        assert found.high <= max(point, highest)
    elif found.method in (NOT_ABOVE, NOT_BELOW):
        assert found.low <= point <= found.high
        assert (found.high == math.inf) == (found.method == NOT_ABOVE)
        assert (found.low == -math.inf) == (found.method == NOT_BELOW)
        assert found.n_eff < 60
    else:
        assert found.method.startswith("not estimable: ")
        assert math.isnan(found.low)


def test_the_share_of_two_counters_is_bounded_by_the_delta_method() -> None:
    # wholes all 2: the share is a mean of parts / 2, so the interval is that of this mean
    parts, wholes = ALTERNATING / 4, np.full(40, 2.0)

    found = ratio_over_samples(0.25, parts, wholes, 1.0, 1.0)

    plain = over_samples(0.25, parts / 2, 1.0, 1.0)
    assert found.method == METHOD
    assert (found.low, found.high) == (pytest.approx(plain.low), pytest.approx(plain.high))
    none = ratio_over_samples(0.0, parts[:0], wholes[:0], 1.0, 1.0)
    assert none.method == "not estimable: no sample of the whole"


@FEW
@given(SAMPLES, st.floats(0.1, 10.0))
def test_a_share_is_the_same_in_any_unit(samples: np.ndarray, unit: float) -> None:
    wholes = np.linspace(1.0, 2.0, len(samples)) * max(1.0, samples.max())
    point = float(samples.sum() / wholes.sum())

    one, other = (
        ratio_over_samples(point, samples * each, wholes * each, 1.0) for each in (1.0, unit)
    )

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


def test_without_a_fixed_interval_the_window_is_told_to_be_so_many_times_as_long() -> None:
    found = over_samples(49.5, np.arange(100.0))

    assert re.search(r"a window [1-9]0* times as long might do", found.method)
