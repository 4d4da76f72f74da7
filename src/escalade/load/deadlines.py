"""Ends requests that take too long, at no cost for each of those that do not."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import gevent
from gevent.hub import get_hub

from escalade.load.arrival import Arrival, RequestTimeoutError
from escalade.load.clock import now

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

_SHORTEST_SECONDS = 0.001


class Deadlines:
    """Raises `RequestTimeoutError` in users whose request is over time.

    Parameters
    ----------
    in_flight
        The users at work and their arrivals, in the order in which they took them.
    seconds
        That a request of each workload of the step may take, counted from its planned send
        or, where it was taken later, from then.
    """

    def __init__(
        self, in_flight: MutableMapping[gevent.Greenlet, Arrival], seconds: Sequence[float]
    ) -> None:
        self._in_flight = in_flight
        self._seconds = seconds
        self._least, self._alike = min(seconds), len(set(seconds)) == 1

    def set(self, arrival: Arrival) -> None:
        """Take an arrival that goes into flight now."""
        arrival.deadline = max(arrival.planned, now()) + self._seconds[arrival.part]

    def run(self) -> None:
        """Watch until the greenlet is killed.

        Where all have the same time, who took first is over first: only the oldest is looked
        at. With none in flight nobody can be over before the least time has passed.
        """
        while True:
            at = now()
            over: list[tuple[gevent.Greenlet, Arrival]] = []
            wake = at + self._least
            for user, arrival in self._in_flight.items():
                if at < arrival.deadline < inf:
                    wake = min(wake, arrival.deadline)
                    if self._alike:
                        break
                if arrival.deadline <= at:
                    over.append((user, arrival))
            for user, arrival in over:
                arrival.deadline = inf  # a task that goes on after it is left alone
                get_hub().loop.run_callback(self._end, user, arrival)
            gevent.sleep(max(wake - at, _SHORTEST_SECONDS))

    def _end(self, user: gevent.Greenlet, arrival: Arrival) -> None:
        if self._in_flight.get(user) is arrival:
            seconds = self._seconds[arrival.part]
            user.throw(RequestTimeoutError(f"no end of the answer within {seconds} s"))
