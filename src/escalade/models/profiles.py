"""The memory that models are loaded into: a profile of the catalogue, or the GPU that is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.errors import InputError
from escalade.services.catalogue import Profile

if TYPE_CHECKING:
    from escalade.gpu.placement import Card
    from escalade.services.catalogue import ModelCatalogue

LIVE = "live"
"""Name of the profile that is read from the GPU."""


def with_live(catalogue: ModelCatalogue, card: Card, headroom: float) -> ModelCatalogue:
    """Add the profile "live": what is left of a GPU when its headroom stays free.

    Raises
    ------
    InputError
        When nothing is left of it, or the headroom is no share.
    """
    if not 0 <= headroom < 1:
        raise InputError(f"headroom: expected a share from 0 to below 1, not {headroom}.")
    room = card.room(headroom)
    if not room:
        raise InputError(
            f"GPU {card.name}: {card.used_bytes / 1e6:.0f} of {card.total_bytes / 1e6:.0f} MB are "
            f"used, so that nothing is left with {headroom:.0%} kept free. Free some of it, or "
            "choose a smaller --headroom."
        )
    profile = Profile(
        description=f"GPU {card.name} as it is now, with {headroom:.0%} kept free",
        memory_megabytes=room / 1e6,
        device="gpu",
    )
    return catalogue.model_copy(update={"profiles": {**catalogue.profiles, LIVE: profile}})
