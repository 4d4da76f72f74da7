"""Who sends the next request: idle users wait, arrivals never get lost.

An arrival goes to the user that became idle last, whose connection is warm. With no
idle user it waits in a queue, keeps its planned time, and is sent late: an open loop
drops nothing and shifts nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from gevent.hub import Waiter, get_hub

T = TypeVar("T")


class UserPool(Generic[T]):
    """Hands arrivals to idle users; users are greenlets that call `take`."""

    def __init__(self) -> None:
        self._schedule = get_hub().loop.run_callback
        self._idle: list[Waiter[T]] = []
        self._handed: dict[Waiter[T], T] = {}
        self._backlog: deque[T] = deque()
        self.backlog_max = 0

    @property
    def idle(self) -> int:
        """Users that wait for an arrival."""
        return len(self._idle)

    @property
    def backlog(self) -> int:
        """Arrivals that wait for a user."""
        return len(self._backlog)

    def put(self, arrival: T) -> None:
        """Give an arrival to an idle user, which runs as soon as the caller waits."""
        if self._idle:
            waiter = self._idle.pop()
            self._handed[waiter] = arrival
            self._schedule(waiter.switch, arrival)
        else:
            self._backlog.append(arrival)
            self.backlog_max = max(self.backlog_max, len(self._backlog))

    def take(self) -> T:
        """Wait for an arrival; the caller is idle until then."""
        if self._backlog:
            return self._backlog.popleft()
        waiter: Waiter[T] = Waiter()
        self._idle.append(waiter)
        try:
            arrival: T = waiter.get()
        except BaseException:
            self._give_back(waiter)
            raise
        finally:
            self._handed.pop(waiter, None)
        return arrival

    def _give_back(self, waiter: Waiter[T]) -> None:
        """Free a user that is being stopped; its arrival, if any, goes to the next one."""
        if waiter in self._idle:
            self._idle.remove(waiter)
        elif waiter in self._handed:
            self.put(self._handed[waiter])
