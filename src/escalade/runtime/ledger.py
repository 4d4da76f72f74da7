"""The ledger of a run: every process is entered before anybody waits for it.

Append-only JSON lines, flushed to disk one by one, so that whoever comes after a
crash knows what may still run. A line cut short by the crash is passed over.
"""

from __future__ import annotations

import dataclasses
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.errors import InfrastructureError
from escalade.files import append_line
from escalade.runtime import processes
from escalade.runtime.processes import ALLOCATION_VARIABLE, Identity

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

GRACE_SECONDS = 2.0
"""What a swept process has between SIGTERM and SIGKILL."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One process of a run.

    Parameters
    ----------
    pid, start_time
        The process, by pid and kernel start time (clock ticks since boot).
    group, session
        Its process group and session when it was entered.
    role
        "keeper", "holder", "workflow", or the role of a step.
    cell, name
        What it works for, and the name of the step.
    allocation
        Id of the allocation it belongs to; "" for none.
    boot
        The boot of the machine it runs on: elsewhere its pid means nothing.
    """

    pid: int
    start_time: int
    group: int
    session: int
    role: str
    cell: str
    name: str
    allocation: str
    boot: str

    @property
    def identity(self) -> Identity:
        """The process itself."""
        return Identity(self.pid, self.start_time)


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep did: the processes it had to end, and those it could not."""

    ended: frozenset[Identity]
    survived: frozenset[Identity]


def record(
    path: Path, pid: int, *, role: str, cell: str = "", name: str = "", allocation: str = ""
) -> Entry | None:
    """Enter a living process and flush the line to disk; None when it is gone already.

    Raises
    ------
    InfrastructureError
        When the ledger can't be written: what can't be entered must not run.
    """
    found = processes.read_stat(pid)
    if found is None:
        return None
    entry = Entry(
        pid=pid,
        start_time=found.start_time,
        group=found.group,
        session=found.session,
        role=role,
        cell=cell,
        name=name,
        allocation=allocation,
        boot=processes.boot_id(),
    )
    _append(path, json.dumps(dataclasses.asdict(entry)))
    return entry


def read(path: Path) -> list[Entry]:
    """Read all entries; damaged lines are passed over, a missing ledger is empty."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    entries = (_parse(line) for line in lines)
    return [entry for entry in entries if entry is not None]


def sweep(path: Path, spared: Collection[Identity] = (), grace: float = GRACE_SECONDS) -> Swept:
    """End what is left of a run; see `sweep_entries`."""
    return sweep_entries(read(path), spared, grace)


def sweep_entries(
    entries: Collection[Entry],
    spared: Collection[Identity] = (),
    grace: float = GRACE_SECONDS,
) -> Swept:
    """End the entered processes that still live, with all that belongs to them.

    To them belong their sessions and descendants, and every process that carries
    the id of one of their allocations in its environment, whoever its parent is
    by now. A process that merely has an entered pid is not touched.

    Parameters
    ----------
    entries
        Entries of a ledger; those of another machine or boot are left alone.
    spared
        Processes that are not to be ended, beside this one and its ancestors.
    grace
        Seconds between SIGTERM and SIGKILL.
    """
    here = processes.boot_id()
    local = [entry for entry in entries if entry.boot == here]
    seen: set[Identity] = set()

    def find() -> set[Identity]:
        found = _belonging(local) - set(spared)
        seen.update(found)
        return found

    survived = processes.kill_all(find, grace) if local else set()
    return Swept(ended=frozenset(seen - survived), survived=frozenset(survived))


def _belonging(entries: Collection[Entry]) -> set[Identity]:
    table = processes.snapshot()
    roots = {
        entry.pid
        for entry in entries
        if entry.pid in table and table[entry.pid].start_time == entry.start_time
    }
    found = roots | processes.descendants(roots, table)
    found |= {stat.pid for stat in table.values() if stat.session in roots}
    for allocation in {entry.allocation for entry in entries} - {""}:
        found |= processes.marked(ALLOCATION_VARIABLE, allocation, table)
    found -= processes.lineage(os.getpid(), table)
    return {table[pid].identity for pid in found}


def _append(path: Path, line: str) -> None:
    try:
        append_line(path, line)
    except OSError as error:
        raise InfrastructureError(
            f"The ledger {path} can't be written: {error.strerror or error}. Nothing is "
            "started that is not entered there; free some space, then start again."
        ) from error


def _parse(line: bytes) -> Entry | None:
    try:
        content: Any = json.loads(line)
        entry = Entry(**{field.name: content[field.name] for field in dataclasses.fields(Entry)})
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    whole = all(isinstance(n, int) for n in (entry.pid, entry.start_time))
    return entry if whole and isinstance(entry.allocation, str) else None
