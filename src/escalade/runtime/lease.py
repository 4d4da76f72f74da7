"""A lease: a counter in a file that someone advances for as long as work may go on.

Whoever depends on it watches the counter, not a time: clocks of different
machines need not agree, and a counter that stands still means the same on all.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from escalade.files import write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATIENCE = 0.8
"""Share of a lease after which what depends on it begins to end itself."""

_WIDTH = 20


def create(path: Path) -> None:
    """Write a lease that counts from 0.

    Raises
    ------
    InfrastructureError
        When the folder can't be written.
    """
    write_text(path, f"{0:0{_WIDTH}d}\n")


def advance(path: Path, count: int) -> None:
    """Set the counter to `count`.

    The digits are overwritten in place, since that needs no new block: a disk that
    is full must not end a run whose driver is alive. Readers only look for change,
    so even a torn read is right.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(handle, f"{count:0{_WIDTH}d}\n".encode(), 0)
    finally:
        os.close(handle)


class LeaseWatch:
    """Judges a lease by the watcher's own clock.

    Parameters
    ----------
    path
        The lease file; one that is missing counts as one that stands still.
    seconds
        How long the counter may stand still.
    clock
        Monotonic seconds.

    Notes
    -----
    Time in which the watcher itself did not look (a suspended laptop, a paused
    machine, SIGSTOP) says nothing about the lease: each look counts for at most a
    quarter of `seconds`. Look every `look_seconds`, or at least four times as
    often as the lease is long.
    """

    def __init__(
        self, path: Path, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = path
        self._seconds = seconds
        self._clock = clock
        self._last_content = self._read()
        self._last_look = clock()
        self._unchanged_seconds = 0.0

    @property
    def look_seconds(self) -> float:
        """A good pause between two looks, in seconds."""
        return min(0.5, self._seconds / 8)

    def stale(self) -> bool:
        """Look once; True when the counter has stood still for longer than allowed."""
        now, content = self._clock(), self._read()
        if content is not None and content != self._last_content:
            self._last_content = content
            self._unchanged_seconds = 0.0
        else:
            self._unchanged_seconds += min(now - self._last_look, self._seconds / 4)
        self._last_look = now
        return self._unchanged_seconds > self._seconds

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except OSError:
            return None
