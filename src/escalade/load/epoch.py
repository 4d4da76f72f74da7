"""The instant that a step's offsets count from, the same for all its workers."""

from __future__ import annotations

import os
import struct

from gevent.select import select

from escalade.errors import InfrastructureError
from escalade.load.clock import now
from escalade.load.plan import LEAD_SECONDS

READY = b"r"
_TIME = struct.Struct("d")
_links: list[tuple[int, int]] = []


def join(answers: int, orders: int) -> None:
    """Wait with the other workers of a step: two descriptors, to say READY and to read the epoch."""
    _links.append((answers, orders))


def packed(at: float) -> bytes:
    """Give an epoch as workers read it: `clock.now()` is the same in all processes of a node."""
    return _TIME.pack(at)


def agree() -> float:
    """Say that this worker is ready, and give the epoch in `clock.now()`.

    A process that is nobody's worker has an epoch of its own.

    Raises
    ------
    InfrastructureError
        When another worker ended before it was ready.
    """
    if not _links:
        return now() + LEAD_SECONDS
    answers, orders = _links[-1]
    os.write(answers, READY)
    select([orders], [], [])  # users that are waiting do not mind
    told = os.read(orders, _TIME.size)
    if len(told) < _TIME.size:
        raise InfrastructureError("The step has no epoch: its load generators are being stopped.")
    at: float = _TIME.unpack(told)[0]
    return at
