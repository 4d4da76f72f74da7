"""Processes by identity: a pid names a process only together with its kernel start time.

Pids are re-used. Everything that signals a process it did not just start goes
through `Identity`, so that a newcomer with an old pid is never touched.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ALLOCATION_VARIABLE = "ESCALADE_ALLOCATION"
"""Environment variable that every process of an allocation inherits: its id."""

STEP_VARIABLE = "ESCALADE_STEP"
"""Environment variable that every process of a step inherits: the step's name."""

_LOOK_SECONDS = 0.02

SURVIVAL_SECONDS = 10.0
"""How long a process may take to die of SIGKILL: freeing a GPU's memory takes seconds."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that can't be confused with a later one of the same pid.

    Parameters
    ----------
    pid
        The process id.
    start_time
        When the kernel started it, in clock ticks since boot (field 22 of
        `/proc/<pid>/stat`).
    """

    pid: int
    start_time: int

    def alive(self) -> bool:
        """Tell whether this very process runs; a zombie does not."""
        found = read_stat(self.pid)
        return found is not None and found.start_time == self.start_time and not found.dead


@dataclass(frozen=True, slots=True)
class Stat:
    """What `/proc/<pid>/stat` says about the place of a process in the system."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    start_time: int

    @property
    def identity(self) -> Identity:
        """The process itself."""
        return Identity(self.pid, self.start_time)

    @property
    def dead(self) -> bool:
        """True for a zombie: it has ended and only waits to be reaped."""
        return self.state in "ZX"


def read_stat(pid: int) -> Stat | None:
    """Read `/proc/<pid>/stat`; None when there is no such process."""
    try:
        content = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name stands in parentheses and may itself hold spaces and parentheses.
    fields = content[content.rindex(b")") + 2 :].split()
    state, parent, group, session = fields[0].decode(), *map(int, fields[1:4])
    return Stat(pid, state, parent, group, session, int(fields[19]))


def identify(pid: int) -> Identity | None:
    """Give the identity of the process that has `pid` now; None when it is gone."""
    found = read_stat(pid)
    return None if found is None or found.dead else found.identity


def read_identity(pid: int) -> Identity | None:
    """Give the identity of a child that nobody has reaped yet, a zombie included."""
    found = read_stat(pid)
    return None if found is None else found.identity


def own_identity() -> Identity:
    """Give the identity of this process."""
    found = read_stat(os.getpid())
    if found is None:  # pragma: no cover - a Linux without /proc
        raise OSError("/proc does not show this process; is /proc mounted?")
    return found.identity


def snapshot() -> dict[int, Stat]:
    """Read the table of all living processes, by pid; zombies are left out."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - bare names, many
    stats = (read_stat(pid) for pid in pids)
    return {found.pid: found for found in stats if found is not None and not found.dead}


def boot_id() -> str:
    """Name this boot of this machine: pids and start times mean nothing beyond it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def started_unix(identity: Identity) -> float:
    """Convert a kernel start time to Unix seconds (to about 0.01 s)."""
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time() - since_boot + identity.start_time / os.sysconf("SC_CLK_TCK")


def descendants(roots: Iterable[int], table: dict[int, Stat]) -> set[int]:
    """Give the pids of all children, grandchildren, … of `roots`, without the roots."""
    children: dict[int, list[int]] = {}
    for found in table.values():
        children.setdefault(found.parent, []).append(found.pid)
    reached: set[int] = set()
    waiting = list(roots)
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in reached:
                reached.add(child)
                waiting.append(child)
    return reached


def lineage(pid: int, table: dict[int, Stat]) -> set[int]:
    """Give `pid`, its parent, its parent's parent and so on."""
    line: set[int] = set()
    while pid not in line and pid in table:
        line.add(pid)
        pid = table[pid].parent
    return line


def marked(variable: str, value: str, table: dict[int, Stat]) -> set[int]:
    """Give the pids that were started with `variable=value` in their environment."""
    wanted = f"\0{variable}={value}\0".encode()
    found = set()
    for pid in table:
        with contextlib.suppress(OSError):  # another user's, or gone
            if wanted in b"\0" + Path(f"/proc/{pid}/environ").read_bytes() + b"\0":
                found.add(pid)
    return found


def send(identity: Identity, number: int) -> bool:
    """Signal this very process; False when it is gone or not ours.

    A pidfd holds on to the process between the look and the signal, so that even
    a pid re-used in that instant is safe; kernels without it get the look alone.
    """
    handle = -1
    try:
        with contextlib.suppress(AttributeError):
            handle = _pidfd_or_minus_one(identity.pid)
        if not identity.alive():
            return False
        if handle >= 0:
            signal.pidfd_send_signal(handle, number)
        else:
            os.kill(identity.pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        if handle >= 0:
            os.close(handle)
    return True


def kill_tree(pid: int | None) -> float:
    """Send SIGKILL to a process and all its descendants; give the time of it, in Unix seconds."""
    table = snapshot()
    own = {pid} & table.keys() if pid is not None else set()
    doomed = own | descendants(own, table)
    at = time.time()
    for each in sorted(doomed):
        send(table[each].identity, signal.SIGKILL)
    return at


def _pidfd_or_minus_one(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError:  # a kernel before 5.3
        return -1


def kill_all(find: Callable[[], set[Identity]], grace_seconds: float) -> set[Identity]:
    """End every process that `find` gives, until it finds none: TERM, then KILL.

    `find` is asked again and again, since a process may start others while it dies.

    Parameters
    ----------
    find
        Gives the living processes that have to end.
    grace_seconds
        How long they have between SIGTERM and SIGKILL.

    Returns
    -------
    set of Identity
        What survived SIGKILL for `SURVIVAL_SECONDS` (stuck in the kernel, or
        another user's); empty as a rule.
    """
    asked: set[Identity] = set()
    start = time.monotonic()
    while found := find():
        waited = time.monotonic() - start
        if waited > grace_seconds + SURVIVAL_SECONDS:
            return found
        if waited >= grace_seconds:
            for identity in found:
                send(identity, signal.SIGKILL)
        else:
            for identity in found - asked:
                send(identity, signal.SIGTERM)
                send(identity, signal.SIGCONT)  # a stopped process can't answer SIGTERM
            asked |= found
        time.sleep(_LOOK_SECONDS)
    return set()
