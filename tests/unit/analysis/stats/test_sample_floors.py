"""How many observations bound a percentile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.analysis.stats.sample_floors import TAIL, highest_share, sample_floor


@pytest.mark.parametrize(("share", "floor"), [(0.5, 6), (0.9, 36), (0.1, 36), (0.95, 72)])
def test_one_observation_less_may_all_lie_on_one_side(share: float, floor: int) -> None:
    all_below = max(share, 1 - share)

    assert sample_floor(share) == floor
    assert all_below**floor <= TAIL < all_below ** (floor - 1)


@given(n=st.integers(6, 100_000))
def test_the_highest_share_is_the_last_whose_floor_so_many_reach(n: int) -> None:
    share = highest_share(n)

    assert sample_floor(share - 1e-9) <= n
    assert sample_floor(share + 1e-9) > n
