"""MSER-5 cuts off what does not belong to the rest, and chance alone is left in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.analysis.stats.truncation import truncation, truncation_point

STEADY = np.random.default_rng(3).lognormal(0.0, 0.1, 200)


def brute_force(values: list[float]) -> int:
    """MSER-5 as White (1997) writes it, batch by batch."""
    means = [sum(values[at : at + 5]) / 5 for at in range(0, len(values) - 4, 5)]
    errors = []
    for cut in range(len(means) // 2 + 1):
        rest = means[cut:]
        middle = sum(rest) / len(rest)
        errors.append(sum((mean - middle) ** 2 for mean in rest) / len(rest) ** 2)
    return 5 * errors.index(min(errors))


def test_a_slow_start_is_cut_off_where_it_ends() -> None:
    # batch means 9, 1, 2, 1, 2, 1: without the first Σ(z − z̄)² / k² = 1.2 / 25 = 0.048, with it 49.3 / 36
    series = np.repeat([9.0, 1.0, 2.0, 1.0, 2.0, 1.0], 5)

    assert truncation_point(series) == 5


def test_a_constant_series_loses_nothing() -> None:
    assert truncation_point(np.full(60, 7.0)) == 0


def test_at_most_half_is_cut_off() -> None:
    assert truncation_point(np.concatenate([np.linspace(9, 1, 45), np.full(5, 1.0)])) <= 25


def test_a_warm_up_that_was_too_short_is_told_from_chance() -> None:
    cold = STEADY.copy()
    cold[:20] *= 3  # the mean of all moves by (20 · 3 + 180) / 200 / 1 = 1.2

    found = truncation(cold)

    assert found.too_short
    assert found.share == pytest.approx(0.1)
    assert found.bias == pytest.approx(1.2, abs=0.02)
    assert found.ratio == pytest.approx(3.0, rel=0.1)
    assert not truncation(STEADY).too_short


def test_a_start_that_was_faster_counts_as_well() -> None:
    filling = STEADY.copy()
    filling[:40] /= 3

    found = truncation(filling)

    assert found.too_short
    assert found.bias < 1
    assert found.high < 1


def test_a_start_that_hardly_moves_the_mean_is_let_be() -> None:
    slight = STEADY.copy()
    slight[:10] *= 1.5  # moves the mean by 0.5 · 10 / 200 = 2.5 %

    assert not truncation(slight).too_short


def test_under_a_hundred_answers_nothing_is_said() -> None:
    assert not truncation(STEADY[:99]).known
    assert truncation(STEADY[:100]).known


@given(st.lists(st.integers(0, 50), min_size=10, max_size=80))
def test_the_point_is_that_of_the_definition(values: list[int]) -> None:
    series = np.array(values, dtype=np.float64)
    means = series[: len(series) // 5 * 5].reshape(-1, 5).mean(axis=1)
    left = [means[cut:] for cut in range(len(means) // 2 + 1)]
    errors = [float(((rest - rest.mean()) ** 2).sum()) / len(rest) ** 2 for rest in left]

    found = truncation_point(series) // 5

    assert errors[found] == pytest.approx(errors[brute_force([float(v) for v in values]) // 5])


@given(st.floats(1e-4, 1e4), st.integers(0, 2**32 - 1))
def test_the_unit_of_time_does_not_matter(scale: float, seed: int) -> None:
    values = np.random.default_rng(seed).lognormal(0.0, 0.5, 150)

    found, scaled = truncation(values), truncation(values * scale)

    assert found.too_short == scaled.too_short
    assert found.bias == pytest.approx(scaled.bias)
