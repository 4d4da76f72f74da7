"""The visible GPUs as something to place models on: their memory, read now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pynvml

from escalade.errors import InfrastructureError, InputError
from escalade.gpu import nvml
from escalade.gpu.placement import Card

if TYPE_CHECKING:
    from collections.abc import Sequence


def live_cards() -> list[Card]:
    """Read the memory of the GPUs that programs of this process may use.

    Returns
    -------
    list of Card
        At least one, named by its index, a MIG device by its UUID; what others use counts as used.

    Raises
    ------
    InfrastructureError
        When there is no GPU, or the memory of one can't be read.
    """
    found, why_none = nvml.gpus()
    if not found:
        raise InfrastructureError(
            f"GPUs: {why_none}. Run this where there is one, as in `srun --gpus=1 …`, or give the "
            "memory yourself."
        )
    try:
        with nvml.opened():
            return [_card(device) for device in nvml.devices()[0]]
    except pynvml.NVMLError as error:
        raise InfrastructureError(f"GPUs: their memory can't be read: {error}.") from None


def _card(device: nvml.Device) -> Card:
    memory = nvml.memory(device)
    if memory is None:
        raise InfrastructureError(
            f"GPU {device.index} ({device.name}) does not tell its memory: expected a driver that "
            "shows it."
        )
    taken = memory.total - memory.free  # with what the driver keeps for itself: no model gets it
    return Card(device.uuid if device.mig else str(device.index), memory.total, taken)


def card_called(name: str | None) -> Card:
    """Give the visible GPU of that index, or the first one.

    Raises
    ------
    InfrastructureError
        As `live_cards`.
    InputError
        When there is none of that index.
    """
    found = live_cards()
    if name is None:
        return found[0]
    for card in found:
        if card.name == name:
            return card
    raise InputError(
        f"There is no GPU {name}: expected one of {', '.join(card.name for card in found)}."
    )


def bytes_in_use(only: Sequence[str] | None = None) -> int | None:
    """Add up the memory that is in use on the visible GPUs.

    Parameters
    ----------
    only
        Indices or UUIDs (beginnings of them) of those that count; all by default.

    Returns
    -------
    int or None
        None when there is no GPU, none of these, or one does not tell its memory.
    """
    try:
        with nvml.opened():
            found = nvml.devices()[0]
            if only is not None:
                wanted = nvml.visible([(it.index, it.uuid) for it in found], ",".join(only))
                found = [device for device in found if device.uuid in wanted]
            memories = [nvml.memory(device) for device in found]
    except pynvml.NVMLError:
        return None
    known = [memory.total - memory.free for memory in memories if memory is not None]
    return sum(known) if known and len(known) == len(memories) else None
