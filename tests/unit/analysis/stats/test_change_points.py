"""Change points of a short series."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.analysis.stats.change_points import (
    ALARMS,
    LEAST_PART,
    _divergences,
    best_split,
    change_points,
    least_values,
)

LOW, HIGH = [1.0, 1.3, 1.1, 1.2, 1.05], [2.0, 2.2, 2.1, 2.3, 2.05]


def divergence(before: np.ndarray, behind: np.ndarray) -> float:
    """Give mk / (m + k) times the energy distance, by its definition."""

    def apart(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.abs(x[:, None] - y[None, :]).sum())

    m, k = len(before), len(behind)
    across = apart(before, behind) / (m * k)
    within = apart(before, before) / (m * (m - 1)) + apart(behind, behind) / (k * (k - 1))
    return m * k / (m + k) * (2 * across - within)


def test_the_divergence_is_that_worked_out_by_hand() -> None:
    # ranks 1, 2, 3 | 4, 5, 6: across (3+4+5+2+3+4+1+2+3)/9 = 3; within a side (1+2+1)/3 = 4/3;
    # 9/6 · (6 - 8/3) = 5
    found = _divergences(np.arange(1.0, 7.0), np.arange(6)[None, :])

    assert found.tolist() == [[pytest.approx(5.0)]]


@given(st.lists(st.floats(-1e3, 1e3), min_size=6, max_size=12), st.randoms())
def test_divergences_are_those_of_the_definition(values: list[float], shuffle: object) -> None:
    series = np.array(values)
    order = np.array(sorted(range(len(values)), key=lambda _: shuffle.random()))  # type: ignore[attr-defined]
    found = _divergences(series, order[None, :])[0]

    moved = series[order]
    places = range(LEAST_PART, len(values) - LEAST_PART + 1)
    expected = [divergence(moved[:at], moved[at:]) for at in places]
    assert found == pytest.approx(expected, abs=1e-9 * max(1.0, np.abs(series).max()))


def test_a_step_is_found_where_it_is() -> None:
    (found,) = change_points([*LOW, *HIGH])

    assert found.index == 5
    # 2 of the C(10, 5) = 252 ways to halve the values part them so well; 4999 shuffles are drawn
    assert found.p == pytest.approx(2 / 252, abs=4 * math.sqrt(2 / 252 / 5000))


def test_two_steps_are_found_in_order() -> None:
    found = change_points([*LOW, 1.15, *HIGH, 2.15, 4.0, 4.1, 4.3, 4.05, 4.2, 4.15])

    assert [each.index for each in found] == [6, 12]


def test_one_odd_value_is_no_change() -> None:
    assert change_points([*LOW, 1.12, 50.0, *[value + 0.01 for value in LOW]]) == []


def test_what_can_not_be_tested_has_no_change() -> None:
    assert best_split([1.0, 1.1, 1.2, 5.0, 5.1]) is None  # five values have no two parts of three
    assert best_split([2.0] * 20) is None
    assert change_points([]) == []


def test_infinite_values_are_larger_than_all_others() -> None:
    dead = [*LOW, *[math.inf] * 5]

    assert [each.index for each in change_points(dead)] == [5]


@pytest.mark.parametrize(("level", "needed"), [(0.05, 8), (0.045, 8), (0.045 / 3, 10), (0.001, 16)])
def test_so_many_values_are_needed(level: float, needed: int) -> None:
    # 2 / C(7, 3) = 0.057, 2 / C(8, 4) = 0.029, 2 / C(9, 4) = 0.016, 2 / C(10, 5) = 0.008,
    # 2 / C(14, 7) = 0.0006 and three times 0.0003, 2 / C(15, 7) = 0.0003 and three times 0.00025
    assert least_values(level) == needed
    half = needed // 2
    parted = [*range(half), *range(100, 100 + needed - half)]
    assert len(change_points([float(value) for value in parted], level)) == 1


@settings(max_examples=20)
@given(st.lists(st.floats(0.1, 10), min_size=6, max_size=16))
def test_the_scale_of_values_means_nothing(values: list[float]) -> None:
    found = change_points(values)

    assert change_points([4 * value for value in values]) == found


@settings(max_examples=20)
@given(st.lists(st.floats(0.1, 10), max_size=30))
def test_parts_are_long_enough_and_p_below_the_level(values: list[float]) -> None:
    found = change_points(values)

    edges = [0, *(each.index for each in found), len(values)]
    assert edges == sorted(edges)
    if found:
        assert min(np.diff(edges)) >= LEAST_PART
    assert all(0 < each.p <= ALARMS for each in found)


def test_a_series_without_a_change_seldom_has_one() -> None:
    # 2,000 series: 4.5 % are expected, and more than 6.4 % once in 30,000 runs of this test
    rng = np.random.default_rng(6)
    seen = sum(bool(change_points(rng.standard_normal(12))) for _ in range(2000))

    assert seen / 2000 < 0.064
