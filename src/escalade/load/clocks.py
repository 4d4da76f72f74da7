"""How far the clock of another node is from the driver's, by asking it.

Every node has a clock of its own, CLOCK_MONOTONIC, which begins at the node's boot. The
driver asks what it shows, several times, and takes the answer that came quickest: the
formula is that of the Network Time Protocol (RFC 5905, section 8), the bound is
Cristian's (1989): however the way there and back share the round trip, the offset is
off by no more than half of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

EXCHANGES = 12
"""How often a clock is asked for one reading."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question to a clock, and its answer; all in seconds.

    Parameters
    ----------
    asked, heard
        When the question left and the answer came, by the clock of who asked.
    received, answered
        When the question came and the answer left, by the clock that was asked.
    unix_offset
        What the node that was asked adds to its clock for Unix time.
    """

    asked: float
    received: float
    answered: float
    heard: float
    unix_offset: float

    @property
    def offset(self) -> float:
        """What the clock that was asked shows beyond the other."""
        return ((self.received - self.asked) + (self.answered - self.heard)) / 2

    @property
    def round_trip(self) -> float:
        """Time on the way, there and back."""
        return (self.heard - self.asked) - (self.answered - self.received)


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of a node's clock at one time; all in seconds.

    Parameters
    ----------
    offset
        What it shows beyond the driver's clock.
    error
        The offset is off by this at most.
    unix_offset
        What the node adds to its clock for Unix time.
    """

    offset: float
    error: float
    unix_offset: float

    @classmethod
    def of(cls, exchanges: Iterable[Exchange]) -> Self:
        """Read a clock off the exchange with the smallest round trip."""
        best = min(exchanges, key=lambda exchange: exchange.round_trip)
        return cls(best.offset, best.round_trip / 2, best.unix_offset)


@dataclass(frozen=True, slots=True)
class Epoch:
    """The instant that a step's offsets count from, as one node has it.

    Parameters
    ----------
    at
        By the node's clock, in seconds.
    unix_offset
        What the node adds to its clock so that its times are those of the first node,
        in Unix seconds.
    """

    at: float
    unix_offset: float


def epochs(readings: list[Reading], at: float) -> list[Epoch]:
    """Give each node the same instant in its own clock, and the clock of the first for its log.

    Parameters
    ----------
    readings
        Of all nodes, just before.
    at
        The instant, by the driver's clock, in seconds.
    """
    unix = at + readings[0].offset + readings[0].unix_offset
    here = [at + reading.offset for reading in readings]
    return [Epoch(own, unix - own) for own in here]


def compared(before: list[Reading], after: list[Reading | None]) -> list[dict[str, Any]]:
    """Say of each node how its clock stood to that of the first one.

    Parameters
    ----------
    before
        Readings with which the step began.
    after
        Readings at its end; None where there is none.

    Returns
    -------
    list of dict
        In seconds. `clock_offset_seconds`: what the node's CLOCK_MONOTONIC shows beyond the
        first node's, which is taken out of its times. `wall_offset_seconds`: the same of
        its wall clock, for information. `clock_drift_seconds`: what the offset had grown by
        at the end. `clock_error_seconds`: how far its times may be off the first node's
        clock at most, with the bounds of both readings and a drift that is steady. Drift
        and error are None without a reading at the end.
    """
    none: list[dict[str, Any]] = [
        {
            "clock_offset_seconds": 0.0,
            "wall_offset_seconds": 0.0,
            "clock_drift_seconds": 0.0,
            "clock_error_seconds": 0.0,
        }
    ]
    pairs = zip(before[1:], after[1:], strict=True)
    return none + [_compared(before[0], after[0], own, then) for own, then in pairs]


def _compared(
    first: Reading, first_then: Reading | None, own: Reading, own_then: Reading | None
) -> dict[str, Any]:
    offset = own.offset - first.offset
    drift = error = None
    if first_then is not None and own_then is not None:
        drift = (own_then.offset - first_then.offset) - offset
        error = max(own.error + first.error, abs(drift) + own_then.error + first_then.error)
    return {
        "clock_offset_seconds": offset,
        "wall_offset_seconds": offset + own.unix_offset - first.unix_offset,
        "clock_drift_seconds": drift,
        "clock_error_seconds": error,
    }
