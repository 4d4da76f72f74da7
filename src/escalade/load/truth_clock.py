"""Wakes coroutines to about 0.1 ms: asyncio's own timers are up to 1 ms late."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time

from escalade.load import timerfd


class AsyncTimer:
    """One timer for all coroutines of the running loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._fd = timerfd.create()
        self._loop.add_reader(self._fd, self._ring)
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    async def sleep_until(self, when: float) -> None:
        """Return once `time.monotonic()` is `when`; a past time returns at once."""
        if when <= time.monotonic():
            return
        woken: asyncio.Future[None] = self._loop.create_future()
        heapq.heappush(self._waiting, (when, next(self._order), woken))
        if self._waiting[0][2] is woken:
            timerfd.arm(self._fd, when)
        await woken

    def _ring(self) -> None:
        timerfd.clear(self._fd)
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            _, _, woken = heapq.heappop(self._waiting)
            if not woken.done():
                woken.set_result(None)
        if self._waiting:
            timerfd.arm(self._fd, self._waiting[0][0])
