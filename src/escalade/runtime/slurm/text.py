"""What Slurm's programs print, read without running any.

Jobs are asked for as text with a format of our own. `squeue --json` would need none,
but its schema is a plugin that most releases change (`job_state` became a list in
23.11, `nodes` a structure in 24.05), it gives 6 KB a job, ended ones too, and
it is missing where Slurm was built without it: see `tests/data/slurm/README.md`. The
`%` letters of `squeue --format` and the columns of `sacct` keep their meaning, and
neither cuts a field that was given no width.

The fields are divided by the ASCII unit separator, which no name, host or reason holds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError
from escalade.runtime.slurm.notation import (
    SEPARATOR,
    expand_hosts,
    parse_exit_code,
    parse_time,
    scontrol_entries,
    unexpected,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

SQUEUE_FORMAT = SEPARATOR.join(("%i", "%A", "%T", "%j", "%P", "%L", "%N", "%r"))
"""For `squeue --noheader --format`: ids, state, name, partition, time left, nodes, reason."""

SACCT_FORMAT = "JobID,JobIDRaw,State,JobName,Partition,ExitCode,NodeList,Reason"
"""For `sacct --noheader --parsable2 --allocations --format`, with `SEPARATOR` as delimiter."""

_NEVER = re.compile(
    r"PerJob|not.permitted|NotAllowed|NeverSatisfied|PartitionConfig|PartitionNodeLimit"
    r"|PartitionTimeLimit|BadConstraints|InvalidAccount|InvalidQOS"
)


_NO_STEP = re.compile(
    r"srun: error: (Unable to (create step|confirm allocation|allocate resources)|Slurm job \S+ has"
    r"|No directives to start|Requested het-group|Step requested|Invalid|.*node list)"
    r"|srun: (fatal: |unrecognized option)|slurmstepd-\S+: error: execve\(\): "
)
_PASSING = re.compile(
    r"nodes are busy|Unable to contact slurm controller|Socket timed out|authentication error"
    r"|temporarily disabled|in standby mode"
    # While nodes come back after a restart of slurmctld. No step asks for more than its job has.
    r"|Memory required by task is not available"
)


class JobState(StrEnum):
    """States and state flags as Slurm prints them, of 22.05 to 25.05."""

    PENDING = "PENDING"
    CONFIGURING = "CONFIGURING"
    RUNNING = "RUNNING"
    RESIZING = "RESIZING"
    SIGNALING = "SIGNALING"
    SUSPENDED = "SUSPENDED"
    STOPPED = "STOPPED"
    COMPLETING = "COMPLETING"
    STAGE_OUT = "STAGE_OUT"
    REQUEUED = "REQUEUED"
    REQUEUE_FED = "REQUEUE_FED"
    REQUEUE_HOLD = "REQUEUE_HOLD"
    RESV_DEL_HOLD = "RESV_DEL_HOLD"
    SPECIAL_EXIT = "SPECIAL_EXIT"
    POWER_UP_NODE = "POWER_UP_NODE"
    RECONFIG_FAIL = "RECONFIG_FAIL"
    UPDATE_DB = "UPDATE_DB"
    LAUNCH_FAILED = "LAUNCH_FAILED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    NODE_FAIL = "NODE_FAIL"
    PREEMPTED = "PREEMPTED"
    BOOT_FAIL = "BOOT_FAIL"
    DEADLINE = "DEADLINE"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    REVOKED = "REVOKED"
    UNKNOWN = "UNKNOWN"
    """A word that this version does not know, or a job that Slurm no longer knows."""

    @classmethod
    def _missing_(cls, value: object) -> JobState:
        """Read "CANCELLED by 1000" as CANCELLED, and what is new as UNKNOWN."""
        first = (str(value).split() or [""])[0].rstrip("+")
        return cls.__members__.get(first, cls.UNKNOWN)

    @property
    def ended(self) -> bool:
        """True when the job is over and holds nothing any more."""
        return self in _ENDED

    @property
    def running(self) -> bool:
        """True when the job holds its nodes and steps can run there."""
        return self in _RUNNING


_ENDED = {
    JobState.COMPLETED,
    JobState.CANCELLED,
    JobState.FAILED,
    JobState.TIMEOUT,
    JobState.NODE_FAIL,
    JobState.PREEMPTED,
    JobState.BOOT_FAIL,
    JobState.DEADLINE,
    JobState.OUT_OF_MEMORY,
    JobState.REVOKED,
    JobState.LAUNCH_FAILED,
}
_RUNNING = {JobState.RUNNING, JobState.RESIZING, JobState.SIGNALING}


@dataclass(frozen=True, slots=True)
class Job:
    """A job, or one component of a heterogeneous job, as Slurm tells of it.

    Parameters
    ----------
    id
        "12"; of a component "12+0", "12+1", …
    number
        "12"; a component has one of its own ("13"), by which Slurm calls its steps.
    state
        Its state; UNKNOWN when Slurm does not know the job (any more), or says a word
        that is not in `JobState`.
    reason
        Why it waits or how it ended, in Slurm's word; "" when there is none.
    nodes
        Host names, expanded; empty while it waits.
    name, partition
        As submitted.
    time_left_seconds
        Until the time limit; `math.inf` without one, None when not known.
    exit_code, signal
        How the batch script ended; None while it has not, or nobody knows, or when
        `state` and `reason` say it (OUT_OF_MEMORY, JobLaunchFailure).
    """

    id: str
    number: str
    state: JobState
    reason: str = ""
    nodes: tuple[str, ...] = ()
    name: str = ""
    partition: str = ""
    time_left_seconds: float | None = None
    exit_code: int | None = None
    signal: int | None = None

    @property
    def het_job_id(self) -> str | None:
        """The id of the whole heterogeneous job; None for a plain job."""
        return self.id.partition("+")[0] if "+" in self.id else None

    @property
    def het_offset(self) -> int | None:
        """The het group, from 0; None for a plain job."""
        return int(self.id.partition("+")[2]) if "+" in self.id else None

    @property
    def gone(self) -> bool:
        """True when neither the controller nor the accounting knows the job: it is over."""
        return self.state is JobState.UNKNOWN and not self.partition

    @property
    def never_starts(self) -> bool:
        """True when it waits for something that waiting does not bring.

        Most sites accept a job that breaks a limit of its partition or QOS, and keep
        it PENDING for ever (`EnforcePartLimits=NO`, the default).
        """
        return self.state is JobState.PENDING and _NEVER.search(self.reason) is not None

    @property
    def submitted_as(self) -> str:
        """The id that sbatch gave, and that srun and scancel take."""
        return self.id.partition("+")[0]


@dataclass(frozen=True, slots=True)
class NoStep:
    """Why srun started nothing.

    Parameters
    ----------
    words
        What it said.
    passing
        True when the same command may succeed in a moment: the controller is away, or
        has just come back and does not know its nodes yet.
    """

    words: str
    passing: bool


def why_no_step(said: str) -> NoStep | None:
    """Tell from standard error of srun whether it started its task at all.

    Its exit code does not tell: it is 1 when srun refuses, and that of the task else.

    Parameters
    ----------
    said
        Standard error; what the task itself wrote there may be among it.

    Returns
    -------
    NoStep or None
        None when the task was started, however it ended.
    """
    lines = [line for line in said.splitlines() if _NO_STEP.match(line)]
    if not lines:
        return None
    words = "; ".join(re.sub(r"^\w+(-[^:]*)?: (error: )?", "", line) for line in lines)
    return NoStep(words, _PASSING.search(words) is not None)


def parse_sbatch(text: str) -> str:
    """Read the job id that `sbatch --parsable` printed: "12" or "12;cluster".

    Raises
    ------
    InfrastructureError
        When there is none. The job may exist all the same.
    """
    for line in reversed(text.splitlines()):
        if found := re.fullmatch(r"(\d+)(;[^;\s]+)?", line.strip()):
            return found[1]
    raise InfrastructureError(
        f"sbatch was accepted but printed no job id: {text.strip()[-200:]!r}. "
        "Look for the job with `squeue --me`, and cancel it if it is there."
    )


def parse_squeue(text: str) -> list[Job]:
    """Read `squeue --noheader` in `SQUEUE_FORMAT`; no line gives no job.

    Raises
    ------
    InfrastructureError
        When a line has other fields than asked for, as when it was cut.
    """
    return [_squeue_job(line) for line in _lines(text)]


def _squeue_job(line: str) -> Job:
    job_id, number, state, name, partition, left, nodes, reason = _fields(line, 8, "squeue")
    return Job(
        id=_job_id(job_id, line, "squeue"),
        number=number,
        state=JobState(state),
        reason=_word(reason),
        nodes=expand_hosts(nodes),
        name=name,
        partition=partition,
        time_left_seconds=parse_time(left),
    )


def parse_sacct(text: str) -> list[Job]:
    """Read `sacct --noheader --parsable2 --allocations` in `SACCT_FORMAT`.

    Steps ("12.batch", "12.0") are left out should they be there.

    Raises
    ------
    InfrastructureError
        When a line has other fields than asked for, as when it was cut.
    """
    lines = (line for line in _lines(text) if "." not in line.partition(SEPARATOR)[0])
    return [_sacct_job(line) for line in lines]


def _sacct_job(line: str) -> Job:
    job_id, number, state, name, partition, code, nodes, reason = _fields(line, 8, "sacct")
    found = JobState(state)
    exit_code, signal = parse_exit_code(code) if found.ended else (None, None)
    return Job(
        id=_job_id(job_id, line, "sacct"),
        number=number,
        state=found,
        reason=_word(reason),
        nodes=expand_hosts(nodes),
        name=name,
        partition=partition,
        exit_code=exit_code,
        signal=signal,
    )


def parse_scontrol_jobs(text: str) -> list[Job]:
    """Read `scontrol show job`, with or without `--oneliner`.

    Raises
    ------
    InfrastructureError
        When an entry lacks the job's id or state.
    """
    return [_scontrol_job(entry) for entry in scontrol_entries(text, "JobId")]


def _scontrol_job(entry: dict[str, str]) -> Job:
    if "JobState" not in entry:
        raise unexpected("scontrol", f"JobId={entry['JobId']}", "an entry with JobState=")
    state = JobState(entry["JobState"])
    exit_code, signal = parse_exit_code(entry.get("ExitCode", "")) if state.ended else (None, None)
    leader, offset = entry.get("HetJobId"), entry.get("HetJobOffset")
    return Job(
        id=_job_id(f"{leader}+{offset}" if leader else entry["JobId"], str(entry), "scontrol"),
        number=entry["JobId"],
        state=state,
        reason=_word(entry.get("Reason", "")),
        nodes=expand_hosts(entry.get("NodeList", "")),
        name=entry.get("JobName", ""),
        partition=entry.get("Partition", ""),
        exit_code=exit_code,
        signal=signal,
    )


def _lines(text: str) -> Iterator[str]:
    return (line for line in text.split("\n") if line.strip())


def _fields(line: str, count: int, program: str) -> list[str]:
    fields = [field.strip() for field in line.split(SEPARATOR)]
    if len(fields) != count:
        raise unexpected(program, line, f"{count} fields, got {len(fields)}")
    return fields


def _job_id(number: str, line: str, program: str) -> str:
    if not re.fullmatch(r"\d+(\+\d+)?", number):
        raise unexpected(program, line, 'a job id such as "12" or "12+0"')
    return number


def _word(reason: str) -> str:
    return "" if reason in {"None", "(null)", "N/A"} else reason
