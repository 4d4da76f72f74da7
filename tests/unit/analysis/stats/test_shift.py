"""The rank-sum test is exact, its interval and Holm's correction follow from it by hand and by scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from escalade.analysis.stats.shift import (
    EXACT,
    holm,
    rank_sum_p,
    repetitions_able,
    repetitions_needed,
    shift,
    smallest_p,
)

NUMBERS = st.floats(-1e6, 1e6)
SAMPLES = st.lists(NUMBERS, min_size=2, max_size=8)


def test_the_shift_is_the_median_of_all_differences() -> None:
    # 3, 5, 9 minus 1, 2, 4: 2 4 8, 1 3 7, −1 1 5; in order −1 1 1 2 [3] 4 5 7 8.
    assert shift([1, 2, 4], [3, 5, 9]).effect == 3
    # 3, 5 minus 1, 2: 2 1 4 3; between 2 and 3.
    assert shift([1, 2], [3, 5]).effect == 2.5


def test_p_counts_the_arrangements() -> None:
    # Ranks of 1, 2, 4 are 1, 2, 4: sum 7, mean 3 × 7 / 2 = 10.5. Of the 20 ways to draw three ranks
    # of six, {1 2 3} and {1 2 4} have 7 or less, and two have 14 or more: 4 / 20.
    assert rank_sum_p([1, 2, 4], [3, 5, 9]) == pytest.approx(0.2)
    # Wholly apart: one arrangement on each end of 70.
    assert rank_sum_p([1, 2, 3, 4], [5, 6, 7, 8]) == pytest.approx(2 / 70)


def test_ties_share_their_ranks() -> None:
    # Ranks 2 2 | 2 4. Pairs have the sum 4 (three) or 6 (three), both 1 from the mean of 5.
    assert rank_sum_p([1, 1], [1, 2]) == 1.0
    # Ranks 2 2 2 | 5 5 5 ... of 20 triples one has 6 and one 15: 2 / 20.
    assert rank_sum_p([0, 0, 0], [1, 1, 1]) == pytest.approx(0.1)


def test_the_interval_leaves_out_what_the_test_excludes() -> None:
    # Five against five: 4 of 252 arrangements have U ≤ 2 (1.6 %), 7 have U ≤ 3 (2.8 %): two
    # differences at each end are left out. 10 to 14 minus 0 to 4: 6, 7 7, 8 8 8, ..., 14.
    found = shift(range(5), range(10, 15))

    assert (found.low, found.effect, found.high) == (7, 10, 13)
    assert found.excludes_none


def test_three_against_three_has_no_interval_and_never_decides() -> None:
    found = shift([1, 2, 3], [7, 8, 9])

    assert (found.low, found.high) == (-math.inf, math.inf)
    assert found.p == pytest.approx(0.1)
    assert not found.excludes_none


def test_infinite_values_are_beyond_all_others_and_alike() -> None:
    found = shift([1.0, 2.0, 3.0, math.inf], [math.inf] * 4)

    assert found.effect == math.inf
    assert found.p == rank_sum_p([1, 2, 3, 9], [9, 9, 9, 9])
    assert shift([math.inf] * 4, [math.inf] * 4).effect == 0


@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 4), (5, 5), (7, 7), (4, 12), (20, 18)])
def test_p_agrees_with_scipy_where_it_is_exact(m: int, n: int) -> None:
    draw = np.random.default_rng([m, n])
    for moved in (0.0, 0.7, 3.0):
        x, y = draw.normal(size=m), draw.normal(moved, size=n)
        known = stats.mannwhitneyu(x, y, method="exact").pvalue
        assert rank_sum_p(x, y) == pytest.approx(known, rel=1e-9)


def test_p_of_ties_agrees_with_a_permutation_test_of_scipy() -> None:
    x, y = [0, 1, 1, 3, 3], [1, 2, 3, 3, 3, 5]

    def away(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
        ranks = stats.rankdata(np.concatenate([first, second], axis=axis), axis=axis)
        return np.abs(ranks[..., :5].sum(axis=axis) - 5 * 12 / 2)

    known = stats.permutation_test(
        (x, y), away, alternative="greater", n_resamples=10_000, vectorized=True
    )
    assert rank_sum_p(x, y) == pytest.approx(known.pvalue, rel=1e-9)


@pytest.mark.parametrize("ties", [False, True])
def test_many_values_have_scipys_approximation(*, ties: bool) -> None:
    draw = np.random.default_rng(5)
    x, y = draw.normal(size=EXACT), draw.normal(0.3, size=EXACT - 7)
    if ties:
        x, y = np.round(x), np.round(y)
    known = stats.mannwhitneyu(x, y, method="asymptotic").pvalue

    assert rank_sum_p(x, y) == pytest.approx(known, rel=1e-9)


def test_values_that_are_all_alike_show_nothing() -> None:
    assert shift([2.0] * 5, [2.0] * 5).p == 1.0
    assert rank_sum_p([2.0] * 40, [2.0] * 40) == 1.0


def test_the_interval_of_many_values_goes_on_from_the_exact_one() -> None:
    draw = np.random.default_rng(9)
    x, y = draw.normal(size=EXACT // 2 + 1), draw.normal(1, size=EXACT // 2 + 1)
    many, fewer = shift(x, y), shift(x[:-1], y[:-1])

    assert many.high - many.low == pytest.approx(fewer.high - fewer.low, rel=0.1)


@given(SAMPLES, SAMPLES)
def test_to_change_sides_changes_the_sign_and_nothing_else(x: list[float], y: list[float]) -> None:
    there, back = shift(x, y), shift(y, x)

    assert there.p == pytest.approx(back.p)
    assert there.effect == pytest.approx(-back.effect)
    assert (there.low, there.high) == (-back.high, -back.low)


@given(SAMPLES, SAMPLES)
def test_the_effect_lies_in_its_interval_and_p_in_its_range(x: list[float], y: list[float]) -> None:
    found = shift(x, y)

    assert found.low <= found.effect <= found.high
    assert smallest_p(len(x), len(y)) / 2 <= found.p <= 1


@given(st.lists(NUMBERS, min_size=8, max_size=16, unique=True), st.integers(4, 8))
def test_without_ties_interval_and_test_say_the_same(values: list[float], size: int) -> None:
    x, y = values[: min(size, len(values) - 4)], values[min(size, len(values) - 4) :]
    found = shift(x, y)

    assert found.excludes_none == (found.p <= 0.05)


def test_the_smallest_p_is_that_of_samples_wholly_apart() -> None:
    assert smallest_p(3, 3) == pytest.approx(0.1)
    assert smallest_p(5, 5) == pytest.approx(2 / 252)  # 0.0079
    assert smallest_p(1, 1) == 1.0


def test_holm_is_worked_out_from_the_smallest_on() -> None:
    # 0.01 × 3 = 0.03; 0.03 × 2 = 0.06; 0.04 × 1 = 0.04, but no less than the one before: 0.06.
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([]) == []
    assert holm([0.6, 0.7]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("chances", "corrected"),
    [
        # multipletests(…, method="holm") of statsmodels 0.15.0
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.02, 0.02, 0.5], [0.06, 0.06, 0.5]),
        ([0.0008, 0.013, 2 / 70], [0.0024, 0.026, 2 / 70]),
    ],
)
def test_holm_agrees_with_statsmodels(chances: list[float], corrected: list[float]) -> None:
    assert holm(chances) == pytest.approx(corrected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_a_family_never_makes_a_p_smaller(chances: list[float]) -> None:
    corrected = holm(chances)

    assert all(one <= more <= 1 for one, more in zip(chances, corrected, strict=True))
    assert min(corrected) == min(1.0, len(chances) * min(chances))


@pytest.mark.parametrize(
    ("size", "family", "able"),
    [
        (3, 1, (4, 5)),  # 2/70 = 0.029; three against five 2/56 = 0.036, against four 2/35 = 0.057
        (5, 1, (4, 3)),
        (3, 3, (5, 7)),  # 0.05 / 3: 2/252 = 0.0079; three against seven 2/120 = 0.0167, just that
        (1, 1, (4, 0)),
    ],
)
def test_how_many_repetitions_can_decide_at_all(
    size: int, family: int, able: tuple[int, int]
) -> None:
    assert repetitions_able(size, family) == able


def test_how_many_repetitions_would_likely_show_a_change() -> None:
    # Spread 0.05 on both sides, shift ln 1.1 = 0.0953: 2 × 0.05² × (1.96 + 0.84)² / (0.0953² × 3/π)
    # = 4.5, so 5.
    x = [-0.05, 0.0, 0.05]

    assert np.var(x, ddof=1) == pytest.approx(0.05**2)
    assert repetitions_needed(x, x, math.log(1.1)) == 5
    assert repetitions_needed(x, x, 1e-4) is None
    assert repetitions_needed(x, [0.0, 1.0, math.inf], 1.0) is None
    assert repetitions_needed([1.0, 1.0], [2.0, 2.0], 1.0) == 4  # no spread, yet four must be
