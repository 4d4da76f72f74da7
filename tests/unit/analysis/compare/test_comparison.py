"""A change counts when interval, test and margin agree; what can't be told is inconclusive."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.analysis.compare.comparison import Change, change, decide, said_of

SEVEN = [0.97, 0.98, 0.99, 1.0, 1.01, 1.02, 1.03]
INFINITE = math.inf


def times(factor: float, values: list[float] | None = None) -> list[float]:
    """Give the values, each that many times as large."""
    return [factor * value for value in values or SEVEN]


def one(found: Change, margin: float = 0.05) -> tuple[str, str]:
    """Decide a single change."""
    outcome = decide([found], margin)[0]
    return outcome.word, outcome.reason


def test_positive_values_are_compared_as_a_ratio() -> None:
    # 2, 4 against 1, 2: the ratios are 2, 1, 4, 2; the median of their logarithms is ln 2.
    found = change([1.0, 2.0], [2.0, 4.0], "lower")

    assert found.scale == "ratio"
    assert found.effect == pytest.approx(2.0)
    assert found.relative == pytest.approx(1.0)


def test_values_with_zeros_are_compared_as_a_difference() -> None:
    # 0.1, 0.2 against 0, 0.1: the differences are 0.1, 0, 0.2, 0.1; the baseline's median is 0.05.
    found = change([0.0, 0.1], [0.1, 0.2], "lower")

    assert found.scale == "difference"
    assert found.effect == pytest.approx(0.1)
    assert found.relative == pytest.approx(2.0)


def test_any_difference_from_a_baseline_of_zero_is_beyond_a_margin() -> None:
    assert change([0.0] * 4, [0.01] * 4, "lower").relative == INFINITE
    assert change([0.0] * 4, [0.0] * 4, "lower").relative == 0


@pytest.mark.parametrize(
    ("direction", "factor", "word"),
    [
        ("lower", 1.2, "worse"),
        ("lower", 0.8, "better"),
        ("higher", 1.2, "better"),
        ("higher", 0.8, "worse"),
        ("none", 1.2, "changed"),
        ("lower", 1.0, "no change shown"),
    ],
)
def test_the_catalogue_says_which_way_is_better(direction: str, factor: float, word: str) -> None:
    assert one(change(SEVEN, times(factor), direction))[0] == word  # type: ignore[arg-type]


def test_a_change_within_the_margin_is_none_however_sure() -> None:
    close = [1.0, 1.001, 1.002, 1.003, 1.004, 1.005, 1.006]
    found = change(close, times(1.03, close), "lower")

    assert found.shift.p < 0.001
    assert one(found) == (
        "no change shown",
        "+3 %, 95 % [+2.69 %, +3.31 %]: within the margin of 5 %",
    )
    assert one(found, margin=0.02)[0] == "worse"


def test_a_change_beyond_the_margin_that_may_be_chance_is_undecided() -> None:
    word, reason = one(change([0.8, 0.9, 1.0, 1.1, 1.2], [0.95, 1.0, 1.1, 1.2, 1.3], "lower"))

    assert word == "inconclusive"
    assert "worse, but not beyond chance; about " in reason
    assert "repetitions on each side would show it four times in five, at this spread" in reason


def test_an_improvement_that_may_be_chance_is_none() -> None:
    word, reason = one(change([0.95, 1.0, 1.1, 1.2, 1.3], [0.8, 0.9, 1.0, 1.1, 1.2], "lower"))

    assert word == "no change shown"
    assert "a worsening of" in reason  # the interval reaches there


def test_what_is_not_excluded_is_said() -> None:
    wide = [0.8, 0.9, 1.0, 1.1, 1.2]

    assert one(change(wide, wide, "lower"))[1] == (
        "+0 %, 95 % [−25 %, +33.3 %]; a worsening of 33.3 % is not excluded"
    )
    assert one(change(wide, wide, "higher"))[1].endswith("; a worsening of 25 % is not excluded")
    # Seven against seven: the ninth of 49 ratios. In order: one ratio six steps apart, two five, three four; then
    # 0.97/1.00, 0.98/1.01, [0.99/1.02 = 0.9706], and its inverse 1.0303.
    assert one(change(SEVEN, SEVEN, "lower"))[1] == "+0 %, 95 % [−2.94 %, +3.03 %]"


def test_too_few_repetitions_can_never_decide() -> None:
    word, reason = one(change([1.0, 1.1, 1.2], [5.0, 6.0, 7.0], "lower"))

    assert word == "inconclusive"
    assert reason.endswith("3 against 3 repetitions can't decide: 4 on each side can")
    assert one(change([1.0], [2.0], "lower"))[0] == "inconclusive"


def test_a_family_needs_more_repetitions() -> None:
    apart = change([1.0, 1.1, 1.2, 1.3], [5.0, 6.0, 7.0, 8.0], "lower")  # p = 2/70 = 0.029

    assert decide([apart])[0].word == "worse"
    outcomes = decide([apart, apart, apart])  # 3 × 0.029 is over 5 %
    assert [outcome.word for outcome in outcomes] == ["inconclusive"] * 3
    assert "at 5 % shared by 3 primary tests: 5 on each side can" in outcomes[0].reason


def test_one_of_a_family_may_decide_what_it_could_not_alone() -> None:
    # Seven apart: p = 0.0006, first of three. Four apart: p = 0.029; the second of two has 2 × 0.029.
    sure = change(SEVEN, times(1.2), "lower")
    small = change([1.0, 1.1, 1.2, 1.3], [5.0, 6.0, 7.0, 8.0], "lower")

    assert [each.word for each in decide([small, sure])] == ["worse", "worse"]
    assert [each.word for each in decide([small, sure, small])] == [
        "inconclusive",
        "worse",
        "inconclusive",
    ]


def test_failures_are_worse_than_any_value() -> None:
    failed = change([1.0, 1.1, 1.2, 1.3], [INFINITE] * 4, "lower")
    died = change([1.0, 1.1, 1.2, 1.3], [-INFINITE] * 4, "higher")

    assert one(failed) == ("worse", "+∞ %, 95 % [+∞ %, +∞ %]")
    assert one(died) == ("worse", "−100 %, 95 % [−100 %, −100 %]")


def test_one_failure_among_many_does_not_decide_but_counts() -> None:
    better = times(0.8)

    assert one(change(SEVEN, better, "lower"))[0] == "better"
    assert one(change(SEVEN, [*better[:4], *[INFINITE] * 3], "lower"))[0] != "better"


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=7), st.floats(0.001, 1000))
def test_the_unit_of_a_ratio_does_not_matter(values: list[float], unit: float) -> None:
    here = change(SEVEN, values, "lower")
    there = change(times(unit), times(unit, values), "lower")

    assert there.effect == pytest.approx(here.effect)
    assert there.low == pytest.approx(here.low)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_to_turn_a_comparison_round_turns_its_word(m: int, n: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    x, y = np.exp(draw.normal(size=m)).tolist(), np.exp(draw.normal(1, size=n)).tolist()
    there, back = decide([change(x, y, "lower")], 0.0)[0], decide([change(y, x, "lower")], 0.0)[0]
    turned = {"better": "worse", "worse": "better"}

    if there.word in turned:
        assert back.word == turned[there.word]
    assert said_of(change(x, y, "lower")) != ""
