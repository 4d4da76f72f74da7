"""What the load generator says about itself: whether its figures can be trusted."""

from __future__ import annotations

import os
import resource
import time
from array import array
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.load.clock import Timer, now

if TYPE_CHECKING:
    from collections.abc import Iterable

TICK_SECONDS = 0.05
SUSPENDED_AFTER_SECONDS = 2.0
_STEAL = 7  # place in a cpu line of /proc/stat; guest times after it are counted in user
_PROC_STAT = Path("/proc/stat")


class Heartbeat:
    """Ticks in the load generator's event loop and notes how late each tick is.

    A gap of over 2 s is no lag of ours: the process was stopped (Ctrl-Z) or the
    machine slept. CLOCK_BOOTTIME counts both; CLOCK_MONOTONIC stands still in sleep.
    """

    def __init__(self) -> None:
        self.lags = array("d")
        self.suspended_seconds = 0.0

    def run(self) -> None:
        """Tick until the greenlet is killed."""
        with Timer() as timer:
            due, seen = now(), _boottime()
            while True:
                due = max(due + TICK_SECONDS, now())
                timer.sleep_until(due)
                at = _boottime()
                self.note(at - seen, now() - due)
                seen = at

    def note(self, gap: float, lag: float) -> None:
        """Take one tick: seconds since the last one, and seconds that it was late."""
        if gap > SUSPENDED_AFTER_SECONDS:
            self.suspended_seconds += gap - TICK_SECONDS
        else:
            self.lags.append(lag)

    def lag(self) -> dict[str, float] | None:
        """Give p50, p99 and maximum of the lag in seconds, None before the first tick."""
        if not self.lags:
            return None
        p50, p99, largest = np.percentile(self.lags, [50, 99, 100])
        return {"p50": float(p50), "p99": float(p99), "max": float(largest)}


@dataclass(frozen=True)
class Usage:
    """Processor time at one instant.

    Parameters
    ----------
    at
        `clock.now()`.
    cpu_seconds
        Of this process, since it began.
    ticks
        Stolen and all ticks, since boot, of the CPUs it may use; None where
        /proc/stat does not say.
    """

    at: float
    cpu_seconds: float
    ticks: tuple[int, int] | None

    @classmethod
    def read(cls) -> Usage:
        """Read them now."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        ticks = None
        with suppress(OSError, ValueError, IndexError):
            ticks = steal_ticks(_PROC_STAT.read_text("ascii"), os.sched_getaffinity(0))
        return cls(now(), used.ru_utime + used.ru_stime, ticks)

    def since(self, before: Usage) -> dict[str, Any]:
        """Give CPU and wall seconds, their ratio, cores and the ratio of stolen time since `before`."""
        ratio = None
        if self.ticks and before.ticks and self.ticks[1] > before.ticks[1]:
            ratio = (self.ticks[0] - before.ticks[0]) / (self.ticks[1] - before.ticks[1])
        return {
            "cpu_seconds": (used := self.cpu_seconds - before.cpu_seconds),
            "wall_seconds": (passed := self.at - before.at),
            "cpu_ratio": used / passed if passed > 0 else None,
            "cores": len(os.sched_getaffinity(0)),
            "steal_ratio": ratio,
        }


def steal_ticks(stat: str, cpus: Iterable[int]) -> tuple[int, int]:
    """Add up stolen and all ticks of some CPUs from the text of /proc/stat.

    Raises
    ------
    ValueError
        When none of the CPUs is listed.
    """
    wanted = {f"cpu{cpu}" for cpu in cpus}
    lines = [line.split() for line in stat.splitlines()]
    ticks = [[int(field) for field in line[1:9]] for line in lines if line and line[0] in wanted]
    if not ticks:
        raise ValueError(f"/proc/stat lists none of {sorted(wanted)}")
    return sum(line[_STEAL] for line in ticks), sum(map(sum, ticks))


def _boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
