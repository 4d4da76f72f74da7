"""When a step can be given up: so many requests are beyond a limit that the rest can't save it.

The worker counts, the driver adds up and decides: no worker knows the others' requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

from escalade.errors import InputError
from escalade.files import read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from escalade.load.arrival import Arrival
    from escalade.load.records import Records


@dataclass(frozen=True)
class Bound:
    """How many requests of a step's window may be beyond a limit.

    Parameters
    ----------
    slo
        Name of the objective.
    metric
        `latency_seconds`, `ttft_seconds`, or `error_ratio`, which counts failures alone.
    limit
        In seconds; of no meaning for `error_ratio`.
    most
        More than this decide the step, whatever the rest of them do.
    planned
        Requests that the window plans.
    """

    slo: str
    metric: str
    limit: float
    most: int
    planned: int


class Beyond:
    """Counts the requests of one worker that are beyond limits, in the window alone.

    A request is beyond a limit on a time when it failed, or took longer, or has been on its
    way for longer. One that waits for a free user does not count yet, and one whose client is
    to leave never does.

    Parameters
    ----------
    bounds
        The limits.
    records
        The worker's log.
    """

    def __init__(self, bounds: Sequence[Bound], records: Records) -> None:
        self._bounds = bounds
        self._records = records
        self._over = [0] * len(bounds)
        rows = records.rows
        leaving = rows.leaving
        self._counts = rows.in_window if leaving is None else rows.in_window & ~leaving

    def ended(self, arrival: Arrival) -> None:
        """Take an arrival that is over."""
        if self._bounds and self._counts[arrival.row]:
            for place, bound in enumerate(self._bounds):
                self._over[place] += self._is_beyond(bound, arrival, inf)

    def counts(self, in_flight: Iterable[Arrival], at: float) -> list[int]:
        """Give the number beyond each limit at a time, given what is on its way then."""
        if not self._bounds:
            return []
        flying = [arrival for arrival in in_flight if self._counts[arrival.row]]
        return [
            over + sum(self._is_beyond(bound, arrival, at) for arrival in flying)
            for bound, over in zip(self._bounds, self._over, strict=True)
        ]

    def _is_beyond(self, bound: Bound, arrival: Arrival, at: float) -> bool:
        row, records = arrival.row, self._records
        if records.errors[row] is not None:
            return True
        if bound.metric == "error_ratio":
            return False
        if bound.metric == "ttft_seconds":
            chunks = records.chunks[row]
            seen = chunks[0] if chunks else at
        else:
            ended = records.ended[row]
            seen = at if ended != ended else ended  # noqa: PLR0124 - NaN: it has not ended
        return seen - arrival.planned > bound.limit


def decided(bounds: Sequence[Bound], counts: Iterable[Sequence[int]]) -> tuple[Bound, int] | None:
    """Find the first limit that more requests are beyond than may be, and their number.

    Parameters
    ----------
    bounds
        The limits.
    counts
        What each worker has counted; one that has not said anything yet may be missing.
    """
    totals = [sum(each) for each in zip(*counts, strict=True)]
    for bound, count in zip(bounds, totals, strict=False):
        if count > bound.most:
            return bound, count
    return None


def told(live: Iterable[Path], step: int, bounds: Sequence[Bound]) -> list[list[int]]:
    """Read from the live files of a step's workers what they have counted."""
    found = (_read(path) for path in live)
    return [
        list(file["beyond"])
        for file in found
        if file.get("step") == step and len(file.get("beyond") or ()) == len(bounds)
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path, "live figures")
    except InputError:  # it has not been written yet
        return {}
    return content if isinstance(content, dict) else {}
