"""How the truth server gets worse with time: memory that it never gives back, answers that slow down."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_PAGE = b"\x01"
_HOUR = 3600.0


@dataclass
class Ageing:
    """What a service that leaks and drifts does at each request.

    Parameters
    ----------
    leak_bytes
        Resident memory that every request leaves behind.
    drift_seconds_per_hour
        By what latency grows in an hour, from the first request on.
    """

    leak_bytes: int = 0
    drift_seconds_per_hour: float = 0.0
    _kept: list[bytes] = field(default_factory=list)
    _first: float | None = None

    def leak(self) -> None:
        """Keep memory for ever; it is written to, so that it is resident."""
        if self.leak_bytes:
            self._kept.append(_PAGE * self.leak_bytes)

    def delay(self) -> float:
        """Give by how much this request is late, in seconds."""
        now = time.monotonic()
        if self._first is None:
            self._first = now
        return self.drift_seconds_per_hour * (now - self._first) / _HOUR
