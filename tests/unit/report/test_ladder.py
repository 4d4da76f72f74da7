"""Labels of the rate axis stay readable."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from escalade.report.charts.ladder import rate_labels


def test_a_rate_whose_label_would_touch_the_one_before_has_a_tick_only() -> None:
    assert rate_labels([1.5, 2.5, 4, 12], right=13.1) == ["1.5", "", "4", "12"]


def test_rates_that_are_apart_are_all_labelled() -> None:
    assert rate_labels([10, 100, 500], right=520) == ["10", "100", "500"]


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=12, unique=True).map(sorted))
def test_the_first_rate_always_has_its_label_and_labelled_ones_are_apart(rates: list[int]) -> None:
    right = 1.08 * rates[-1]

    labels = rate_labels(rates, right)

    assert labels[0] != ""
    shown = [rate for rate, label in zip(rates, labels, strict=True) if label]
    assert all(b - a >= 0.06 * right for a, b in itertools.pairwise(shown))
