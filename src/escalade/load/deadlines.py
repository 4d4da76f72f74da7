"""Ends requests that take too long, at no cost for each of those that do not."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

import gevent
from gevent.hub import get_hub

from escalade.load.arrival import Arrival, RequestTimeoutError
from escalade.load.clock import now

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_SHORTEST_SECONDS = 0.001


class Deadlines:
    """Raises `RequestTimeoutError` in users whose request is over time.

    Parameters
    ----------
    in_flight
        The users at work and their arrivals, in the order in which they took them.
    seconds
        That a request may take, counted from its planned send or, where it was taken
        later, from then.
    """

    def __init__(self, in_flight: MutableMapping[gevent.Greenlet, Arrival], seconds: float) -> None:
        self._in_flight = in_flight
        self._seconds = seconds

    def set(self, arrival: Arrival) -> None:
        """Take an arrival that goes into flight now."""
        arrival.deadline = max(arrival.planned, now()) + self._seconds

    def run(self) -> None:
        """Watch until the greenlet is killed.

        All have the same time, so who took first is over first: only the oldest is looked
        at, and with none in flight nobody can be over before that time has passed.
        """
        while True:
            at = now()
            over: list[tuple[gevent.Greenlet, Arrival]] = []
            wake = at + self._seconds
            for user, arrival in self._in_flight.items():
                if at < arrival.deadline < inf:
                    wake = arrival.deadline
                    break
                if arrival.deadline <= at:
                    over.append((user, arrival))
            for user, arrival in over:
                arrival.deadline = inf  # a task that goes on after it is left alone
                get_hub().loop.run_callback(self._end, user, arrival)
            gevent.sleep(max(wake - at, _SHORTEST_SECONDS))

    def _end(self, user: gevent.Greenlet, arrival: Arrival) -> None:
        if self._in_flight.get(user) is arrival:
            user.throw(RequestTimeoutError(f"no end of the answer within {self._seconds} s"))
