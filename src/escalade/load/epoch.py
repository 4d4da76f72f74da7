"""The instant that a step's offsets count from, the same for all its workers, and its clock."""

from __future__ import annotations

import os
import struct

from gevent.select import select

from escalade.errors import InfrastructureError
from escalade.load.clock import now, unix_offset
from escalade.load.clocks import Epoch
from escalade.load.plan import LEAD_SECONDS

READY = b"r"
_EPOCH = struct.Struct("dd")
_links: list[tuple[int, int]] = []


def join(answers: int, orders: int) -> None:
    """Wait with the other workers of a step: two descriptors, to say READY and to read the epoch."""
    _links.append((answers, orders))


def soon() -> Epoch:
    """Give an epoch of this node's own; `clock.now()` is the same in all its processes."""
    return Epoch(now() + LEAD_SECONDS, unix_offset())


def packed(epoch: Epoch) -> bytes:
    """Give an epoch as workers read it."""
    return _EPOCH.pack(epoch.at, epoch.unix_offset)


def agree() -> Epoch:
    """Say that this worker is ready, and give the epoch.

    A process that is nobody's worker has an epoch of its own.

    Raises
    ------
    InfrastructureError
        When another worker ended before it was ready.
    """
    if not _links:
        return soon()
    answers, orders = _links[-1]
    os.write(answers, READY)
    select([orders], [], [])  # users that are waiting do not mind
    told = os.read(orders, _EPOCH.size)
    if len(told) < _EPOCH.size:
        raise InfrastructureError("The step has no epoch: its load generators are being stopped.")
    return Epoch(*_EPOCH.unpack(told))
