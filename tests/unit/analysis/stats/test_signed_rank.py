"""The signed-rank test against hand-counted signs, and against scipy where both have it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from escalade.analysis.stats.pair_sizes import LEVEL, pairs_needed, pairs_to_see, smallest_p
from escalade.analysis.stats.sample_floors import ALPHA
from escalade.analysis.stats.signed_rank import p_value, signed_rank

DISTINCT = st.lists(
    st.floats(-10, 10, allow_nan=False).filter(lambda x: abs(x) > 1e-6),
    min_size=1,
    max_size=25,
    unique_by=lambda x: round(abs(x), 9),
)
TIED = st.lists(st.integers(-3, 3), min_size=2, max_size=8)


def test_three_differences_of_one_sign() -> None:
    found = signed_rank(np.array([1.0, 2.0, 3.0]))

    # of two, and of each with itself: 1, 1.5, 2, 2, 2.5, 3
    assert found.effect == 2.0
    assert found.p == pytest.approx(2 / 8)  # +++ and --- of eight choices of signs
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_one_small_difference_against_the_others() -> None:
    # Ranks 1 to 4, the first negative: positive sum 9. Sums of 9 or 10: two of 16 choices, twice.
    assert p_value(np.array([-1.0, 2.0, 3.0, 4.0])) == pytest.approx(4 / 16)


def test_six_pairs_of_one_sign_are_bounded_by_the_nearest_and_the_farthest() -> None:
    found = signed_rank(np.array([0.3, 0.1, 0.2, 0.6, 0.5, 0.4]))

    assert found.p == pytest.approx(2 / 64)
    assert (found.low, found.high) == (0.1, 0.6)


def test_ten_pairs_have_the_bounds_of_the_tables() -> None:
    found = signed_rank(np.arange(1.0, 11.0))

    # Critical value 8 at 5 %, n = 10: the ninth mean of two from each end.
    # From below: 1, 1.5, 2, 2, 2.5, 2.5, 3, 3, 3 …
    assert (found.low, found.high) == (3.0, 8.0)


def test_pairs_without_a_difference_vote_for_neither_side() -> None:
    assert p_value(np.zeros(8)) == 1.0
    # Ranks after Pratt: 0 has rank 1, the others 2, 3, 4: all positive is one of eight, twice.
    assert p_value(np.array([0.0, 1.0, 2.0, 3.0])) == pytest.approx(2 / 8)


@pytest.mark.parametrize("differences", [[], [1.0, math.nan], [math.inf]])
def test_what_is_no_difference_is_refused(differences: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        signed_rank(np.array(differences))


@given(DISTINCT)
@settings(max_examples=60, deadline=None)
def test_p_is_that_of_scipy(values: list[float]) -> None:
    assert p_value(np.array(values)) == pytest.approx(
        float(stats.wilcoxon(values, method="exact").pvalue), abs=1e-12
    )


@given(TIED)
@settings(max_examples=25, deadline=None)
def test_with_ties_and_zeros_p_is_that_of_all_choices_of_signs(values: list[int]) -> None:
    x = np.array(values, dtype=float)
    every = stats.PermutationMethod(n_resamples=np.inf)
    expected = 1.0 if not x.any() else stats.wilcoxon(x, zero_method="pratt", method=every).pvalue

    assert p_value(x) == pytest.approx(min(1.0, float(expected)), abs=1e-12)


@given(DISTINCT)
@settings(max_examples=40, deadline=None)
def test_the_interval_leaves_out_no_shift_exactly_when_the_test_rejects_it(
    values: list[float],
) -> None:
    found = signed_rank(np.array(values))

    assert found.excludes_none == (found.p <= LEVEL)
    assert found.low <= found.effect <= found.high
    assert found.p >= smallest_p(len(values))


@given(DISTINCT, st.floats(0.1, 5))
@settings(max_examples=40, deadline=None)
def test_turning_the_sides_round_turns_the_answer_round(values: list[float], scale: float) -> None:
    there, back = signed_rank(np.array(values)), signed_rank(-scale * np.array(values))

    assert back.effect == pytest.approx(-scale * there.effect)
    assert back.low == pytest.approx(-scale * there.high)
    assert back.p == there.p


@pytest.mark.parametrize(("family", "pairs"), [(1, 6), (2, 7), (3, 7)])
def test_so_many_pairs_are_the_fewest_that_can_decide(family: int, pairs: int) -> None:
    # 2 / 2^6 = 0.031; 2 · 2 / 2^7 = 0.031; 3 · 2 / 2^7 = 0.047
    assert pairs_needed(family) == pairs
    assert LEVEL == ALPHA
    assert family * smallest_p(pairs) <= LEVEL < family * smallest_p(pairs - 1)


def test_pairs_that_would_show_a_change_are_those_of_the_normal_approximation() -> None:
    # ((1.960 + 0.842) · 0.1 / 0.05)² · π / 3 = 31.4 · 1.047 = 32.9
    assert pairs_to_see(0.1, 0.05) == 33
    assert pairs_to_see(0.0, 0.05) == 6  # noise or not, fewer can't decide
