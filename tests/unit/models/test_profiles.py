"""The profile "live": what a GPU has left when its headroom stays free."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.gpu.placement import Card
from escalade.models.profiles import LIVE, with_live
from escalade.services.catalogue import load_catalogue
from escalade.services.planning import plan_load

SHIPPED = load_catalogue(Path(__file__).parents[3] / "config" / "models.yaml")
GB = 10**9


def test_a_twelve_gigabyte_gpu_with_a_fifth_kept_free_takes_what_fits_into_nine_and_a_half() -> (
    None
):
    plan = plan_load(with_live(SHIPPED, Card("0", 12 * GB, GB // 10), 0.2), LIVE)

    assert plan.budget_bytes == 9_500_000_000  # 12 less 2.4 kept free, less 0.1 used
    assert plan.declared_bytes == 6_472_000_000


def test_the_shipped_profiles_stay_beside_it() -> None:
    known = with_live(SHIPPED, Card("0", 12 * GB), 0.2)

    assert plan_load(known, "gtx_1080").budget_bytes == 7_000_000_000
    assert LIVE not in SHIPPED.profiles


@given(
    total=st.integers(1, 200 * GB), used=st.floats(0, 1), headroom=st.floats(0, 1, exclude_max=True)
)
def test_what_is_loaded_never_touches_the_headroom(
    total: int, used: float, headroom: float
) -> None:
    card = Card("0", total, int(total * used))
    try:
        plan = plan_load(with_live(SHIPPED, card, headroom), LIVE)
    except InputError:
        return
    assert plan.declared_bytes + card.used_bytes <= total * (1 - headroom) + 1


@pytest.mark.parametrize("headroom", [-0.1, 1.0, 20.0])
def test_a_headroom_is_a_share(headroom: float) -> None:
    with pytest.raises(InputError, match="expected a share from 0 to below 1"):
        with_live(SHIPPED, Card("0", GB), headroom)


def test_a_full_gpu_says_what_is_used() -> None:
    with pytest.raises(InputError, match="GPU 3: 900 of 1000 MB are used"):
        with_live(SHIPPED, Card("3", GB, 900_000_000), 0.2)
