"""What a step and everything that it started use, added up over its processes."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import psutil

from escalade.runtime.processes import Identity, Stat, descendants, read_stat, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

_SETTLING_READS = 3


@dataclass(frozen=True, slots=True)
class Usage:
    """What the tree of a step uses.

    Parameters
    ----------
    cpu_seconds
        User and system time since the step began, of ended processes too; never
        less than before.
    memory_bytes, memory_kind
        Sum over the living processes: of the proportional set size ("pss") where
        the kernel shows it for all of them, else of the resident set size ("rss"),
        which counts shared pages once for each process.
    threads, processes
        Living ones.
    """

    cpu_seconds: float
    memory_bytes: int
    memory_kind: Literal["pss", "rss"]
    threads: int
    processes: int


class Allowance:
    """Keeps a costly reading below a share of the time.

    Parameters
    ----------
    share
        Of one CPU, 0..1.
    clock
        Monotonic seconds.
    """

    def __init__(self, share: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._clock = clock
        self._next = float("-inf")

    def due(self) -> bool:
        """Tell whether the reading may be repeated now."""
        return self._clock() >= self._next

    def spent(self, began: float) -> None:
        """Note that a reading has ended which began at `began` on the clock."""
        now = self._clock()
        self._next = now + (now - began) / self._share


class ProcessTable:
    """The processes of this node, read anew only as often as that is cheap.

    Parameters
    ----------
    share
        Of one CPU that the reading may take. On a node with thousands of processes
        a new child is then seen some seconds late, with all its CPU time.
    """

    def __init__(self, share: float = 0.005) -> None:
        self._allowance = Allowance(share)
        self._table: dict[int, Stat] = {}

    def read(self) -> dict[int, Stat]:
        """Give the table, by pid."""
        if self._allowance.due():
            began = time.monotonic()
            self._table = snapshot()
            self._allowance.spent(began)
        return self._table


@dataclass(frozen=True, slots=True)
class _Reading:
    """One process: CPU seconds of its own and of the children that it waited for."""

    own: float
    inherited: float
    resident: int
    threads: int
    living: bool


class StepTree:
    """Follows the processes of one step.

    Parameters
    ----------
    root
        The step's first process. Members are its descendants, what shares the
        session that it leads, and, once seen, whatever was a member before.
    memory_share
        Of one CPU that the reading of proportional set sizes may take: the kernel
        walks all pages for it, tens of milliseconds for a large service.
    """

    def __init__(self, root: Identity, memory_share: float = 0.005) -> None:
        self.root = root
        self._members: dict[Identity, psutil.Process] = {}
        self._last: dict[Identity, _Reading] = {}
        self._ended_seconds = 0.0
        self._cpu_seconds = 0.0
        self._allowance = Allowance(memory_share)
        self._proportional: int | None = None

    def usage(self, table: dict[int, Stat]) -> Usage | None:
        """Give what the tree uses now, or None when none of it is alive.

        Parameters
        ----------
        table
            A recent table of processes, to find new members in.
        """
        self._find_members(table)
        now = self._settled_readings()
        self._keep_ended(now)
        self._last = now
        self._count(now)
        living = [reading for reading in now.values() if reading.living]
        if not living:
            return None
        memory = self._proportional_bytes()
        return Usage(
            cpu_seconds=self._cpu_seconds,
            memory_bytes=sum(it.resident for it in living) if memory is None else memory,
            memory_kind="rss" if memory is None else "pss",
            threads=sum(it.threads for it in living),
            processes=len(living),
        )

    def _find_members(self, table: dict[int, Stat]) -> None:
        own = {self.root, *self._members}
        known = {identity.pid for identity in own if not _taken_over(identity, table)}
        found = known | descendants(known, table)
        if self.root.pid in known:
            found |= {pid for pid, stat in table.items() if stat.session == self.root.pid}
        identities = {table[pid].identity for pid in found & table.keys() - {self.root.pid}}
        for identity in (identities | {self.root}) - self._members.keys():
            with contextlib.suppress(psutil.NoSuchProcess):
                self._members[identity] = psutil.Process(identity.pid)

    def _settled_readings(self) -> dict[Identity, _Reading]:
        """Read all members until no child was waited for in the middle of it.

        Its time would else be found at both the child and the parent, or at none.
        """
        readings = self._readings()
        for _ in range(_SETTLING_READS):
            before, readings = readings, self._readings()
            if _inheritance(before) == _inheritance(readings):
                break
        return readings

    def _readings(self) -> dict[Identity, _Reading]:
        found = {identity: _read(identity, process) for identity, process in self._members.items()}
        return {identity: reading for identity, reading in found.items() if reading is not None}

    def _keep_ended(self, now: dict[Identity, _Reading]) -> None:
        """Carry on the time of processes that are gone and that no member waited for."""
        gone = [reading for identity, reading in self._last.items() if identity not in now]
        lost = sum(reading.own + reading.inherited for reading in gone)
        gained = sum(
            reading.inherited - self._last[identity].inherited
            for identity, reading in now.items()
            if identity in self._last
        )
        self._ended_seconds += max(0.0, lost - gained)
        self._members = {identity: self._members[identity] for identity in now}

    def _count(self, now: dict[Identity, _Reading]) -> None:
        """Add up, to the clock tick: a counter that falls by 1e-16 has been reset to a reader."""
        total = self._ended_seconds + sum(it.own + it.inherited for it in now.values())
        self._cpu_seconds = max(self._cpu_seconds, round(total, 2))

    def _proportional_bytes(self) -> int | None:
        if self._allowance.due():
            began = time.monotonic()
            self._proportional = self._read_proportional()
            self._allowance.spent(began)
        return self._proportional

    def _read_proportional(self) -> int | None:
        sizes = [_proportional(process) for process in self._members.values()]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None


def _taken_over(identity: Identity, table: dict[int, Stat]) -> bool:
    """Tell whether another process has the pid by now: its children are not ours."""
    stat = table.get(identity.pid)
    return stat is not None and stat.start_time != identity.start_time


def _read(identity: Identity, process: psutil.Process) -> _Reading | None:
    stat = read_stat(identity.pid)
    if stat is None or stat.start_time != identity.start_time:
        return None
    try:
        with process.oneshot():
            times = process.cpu_times()
            return _Reading(
                own=times.user + times.system,
                inherited=times.children_user + times.children_system,
                resident=process.memory_info().rss,
                threads=process.num_threads(),
                living=not stat.dead,
            )
    except psutil.NoSuchProcess:
        return None


def _proportional(process: psutil.Process) -> int | None:
    """Give the proportional set size: 0 of a process that is gone, None where unreadable."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.NoSuchProcess:  # a zombie has no memory either
        return 0
    except (psutil.AccessDenied, OSError):
        return None


def _inheritance(readings: dict[Identity, _Reading]) -> dict[Identity, float]:
    return {identity: reading.inherited for identity, reading in readings.items()}
