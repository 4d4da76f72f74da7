"""Numbers of tokens: inside what was asked for, and distributed so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.load.drawable import check_lengths
from escalade.load.lengths import draw_lengths

MANY = 20_000


def draw(lengths: Any, count: int = MANY) -> np.ndarray:
    check_lengths(lengths)
    return draw_lengths(lengths, count, np.random.default_rng(1))


def test_a_plain_number_is_the_same_for_all() -> None:
    assert draw(7, 3).tolist() == [7, 7, 7]


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_uniform_lengths_reach_both_ends_and_no_further(least: int, width: int) -> None:
    drawn = draw({"uniform": [least, least + width]}, 50 * (width + 1))

    assert (drawn.min(), drawn.max()) == (least, least + width) or width > 100
    assert least <= drawn.min() <= drawn.max() <= least + width


def test_normal_lengths_have_their_mean_and_end_where_they_should() -> None:
    drawn = draw({"normal": {"mean": 100, "sd": 20, "min": 60, "max": 1000}})

    assert drawn.mean() == pytest.approx(100, rel=0.01)
    assert drawn.std() == pytest.approx(20, rel=0.05)
    assert drawn.min() == 60


def test_values_come_as_often_as_their_weights_say() -> None:
    drawn = draw({"values": [32, 2048], "weights": [19, 1]})

    assert set(drawn.tolist()) == {32, 2048}
    assert (drawn == 2048).mean() == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize(
    ("lengths", "said"),
    [
        (-1, "0 or more"),
        ({}, "one of uniform, normal and values"),
        ({"uniform": [1, 2], "values": [1]}, "one of uniform, normal and values"),
        ({"zipf": [1]}, "one of uniform, normal and values"),
        ({"uniform": [5, 2]}, r"\[least, most\]"),
        ({"normal": {"mean": 5, "sd": 1, "min": 6, "max": 9}}, "ascending"),
        ({"normal": {"mean": 5, "sd": -1, "min": 1, "max": 9}}, "sd must be"),
        ({"values": []}, "one number of tokens or more"),
        ({"values": [1, 2], "weights": [1]}, "as many as there are values"),
        ({"values": [1, 2], "weights": [0, 0]}, "not all 0"),
    ],
)
def test_an_impossible_distribution_is_refused(lengths: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_lengths(lengths)
