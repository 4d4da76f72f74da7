"""One clock for the whole step, and a timer that keeps to it.

All times inside the load generator are `now()`: CLOCK_MONOTONIC in seconds, which no
correction of the wall clock moves. They become Unix seconds by one offset, taken
once per step.
"""

from __future__ import annotations

import os
import time
from typing import Self

import gevent
from gevent.hub import get_hub

from escalade.load import timerfd

now = time.perf_counter  # CLOCK_MONOTONIC on Linux: what timerfd counts by

_READABLE = 1


def unix_offset() -> float:
    """Give what to add to `now()` for Unix time.

    The wall clock is read between two readings of `now()`; of several tries the
    one with the closest two is taken, so that a preempted one does no harm.
    """
    tries = []
    for _ in range(16):
        before, unix, after = now(), time.time(), now()
        tries.append((after - before, unix - (before + after) / 2))
    return min(tries)[1]


class Timer:
    """Wakes the calling greenlet at a given time, to about 0.1 ms.

    gevent's own timers go by libev's milliseconds: a `sleep` is 0.5 ms late at the
    median. One greenlet may wait on a timer at a time.
    """

    def __init__(self) -> None:
        hub = get_hub()
        self._fd = timerfd.create()
        self._wait = hub.wait
        self._watcher = hub.loop.io(self._fd, _READABLE)

    def sleep_until(self, when: float, awake: float = 0.0) -> None:
        """Let other greenlets run until `now()` is `when`; a past time returns at once.

        Parameters
        ----------
        when
            In `now()`.
        awake
            For the last so many seconds the event loop turns without a pause: the
            core does not go idle, from which some machines wake 0.5 ms late.
        """
        if when - awake > now():
            timerfd.arm(self._fd, when - awake)
            self._wait(self._watcher)
            timerfd.clear(self._fd)
        while now() < when:
            gevent.sleep(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._watcher.close()
        os.close(self._fd)
