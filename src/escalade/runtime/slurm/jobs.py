"""The jobs of a run: each is written down before it is waited for, and swept with the run.

Append-only JSON lines beside the ledger of processes, which knows one machine only.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from escalade.errors import EscaladeError, InfrastructureError
from escalade.files import append_line
from escalade.runtime import daemon

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.runtime.slurm.commands import Slurm


def parts(job: str) -> list[str]:
    """Give the jobs of an allocation, which are several where its components are jobs each."""
    return job.split(",")


def record(path: Path, job: str, cell: str) -> None:
    """Enter a job that was submitted, or given to another cell.

    Raises
    ------
    InfrastructureError
        When the line can't be written: the caller has to cancel the job.
    """
    for part in parts(job):
        _append(path, {"job": part, "cell": cell})


def ended(path: Path, job: str) -> None:
    """Note that a job is gone, and need not be swept."""
    for part in parts(job):
        _append(path, {"job": part, "ended": True})


def cells(path: Path, job: str) -> int:
    """Count the cells that a job was given to."""
    first = parts(job)[0]
    return sum(1 for entry in _entries(path) if entry["job"] == first and not entry.get("ended"))


def left(path: Path) -> list[str]:
    """Give the jobs that were entered and not noted as gone; [] without a file."""
    open_jobs: dict[str, None] = {}
    for entry in _entries(path):
        if entry.get("ended"):
            open_jobs.pop(entry["job"], None)
        else:
            open_jobs[entry["job"]] = None
    return list(open_jobs)


def _entries(path: Path) -> list[dict[str, Any]]:
    """Read all entries; one cut short by a crash is passed over: its job ends with its lease."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict) and isinstance(entry.get("job"), str):
                found.append(entry)
    return found


def sweep(path: Path, slurm: Slurm) -> bool:
    """Cancel the jobs that are left; True when none can be running any more.

    A controller that does not answer is no error here: the jobs' own lease ends them.
    """
    jobs = left(path)
    if not jobs:
        return True
    try:
        slurm.cancel(jobs)
        for job in jobs:
            ended(path, job)
    except EscaladeError as error:
        daemon.say(f"jobs {', '.join(jobs)} could not be cancelled: {error}")
        return False
    return True


def _append(path: Path, entry: dict[str, object]) -> None:
    try:
        append_line(path, json.dumps(entry))
    except OSError as error:
        raise InfrastructureError(
            f"The list of jobs {path} can't be written: {error.strerror or error}. "
            "Free some space, then start again."
        ) from error
