"""When jobs began and ended, as Slurm's programs print it: in local time, without a zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from escalade.runtime.slurm.notation import SEPARATOR, scontrol_entries, unexpected
from escalade.runtime.slurm.text import JobState

if TYPE_CHECKING:
    from collections.abc import Iterable

SACCT_TIMES = "JobID,State,Start,End"
"""For `sacct --noheader --parsable2 --allocations --format`, with `SEPARATOR` as delimiter."""


@dataclass(frozen=True, slots=True)
class JobTimes:
    """From when to when a job, a component or a task of an array had its nodes.

    Parameters
    ----------
    state
        As Slurm says.
    began
        Unix seconds; None while it waits, and when it never began.
    ended
        Unix seconds; None while it has not.
    """

    state: JobState
    began: float | None
    ended: float | None


def together(parts: Iterable[JobTimes]) -> JobTimes | None:
    """Give the time from the first component's begin to the last one's end; None of no part."""
    known = list(parts)
    if not known:
        return None
    begun = [part.began for part in known if part.began is not None]
    going = next((part for part in known if part.ended is None and part.began is not None), None)
    ended = [part.ended for part in known if part.ended is not None]
    state = (going or known[0]).state
    return JobTimes(state, min(begun, default=None), None if going else max(ended, default=None))


def parse_scontrol_times(text: str) -> list[JobTimes]:
    """Read `scontrol --oneliner show job`; an end that is only expected is none.

    Raises
    ------
    InfrastructureError
        When an entry lacks state or times, or a time is none.
    """
    found = []
    for entry in scontrol_entries(text, "JobId"):
        if absent := [key for key in ("JobState", "StartTime", "EndTime") if key not in entry]:
            raise unexpected("scontrol", f"JobId={entry['JobId']}", f"an entry with {absent[0]}=")
        found.append(_times(entry["JobState"], entry["StartTime"], entry["EndTime"], "scontrol"))
    return found


def parse_sacct_times(text: str) -> list[JobTimes]:
    """Read `sacct` in `SACCT_TIMES`; steps ("12.batch") are left out.

    Raises
    ------
    InfrastructureError
        When a line has other fields than asked for, or a time is none.
    """
    found = []
    for line in filter(str.strip, text.split("\n")):
        fields = [field.strip() for field in line.split(SEPARATOR)]
        if len(fields) != 4:
            raise unexpected("sacct", line, f"4 fields, got {len(fields)}")
        job, state, began, ended = fields
        if "." not in job:
            found.append(_times(state, began, ended, "sacct"))
    return found


def _times(state: str, began: str, ended: str, program: str) -> JobTimes:
    known = JobState(state)
    start = unix(began, program)
    if known is JobState.PENDING:
        start = None  # what stands there is when it is expected to begin
    return JobTimes(known, start, unix(ended, program) if known.ended else None)


def unix(text: str, program: str) -> float | None:
    """Give a local time as Unix seconds; None where there is none.

    Raises
    ------
    InfrastructureError
        When it is no time.
    """
    if text in {"Unknown", "None", "N/A", "(null)", ""}:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()  # without a zone: local time, as printed
    except ValueError:
        raise unexpected(program, text, "a time as in 2026-11-22T07:23:43") from None
