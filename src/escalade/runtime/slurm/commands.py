"""What Escalade has Slurm's programs do: submit, look, signal, cancel."""

from __future__ import annotations

import os
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.errors import InputError
from escalade.files import write_text
from escalade.runtime.slurm.calls import Answer, Caller, SlurmUnreachableError
from escalade.runtime.slurm.notation import SEPARATOR
from escalade.runtime.slurm.script import clean_environment
from escalade.runtime.slurm.text import (
    SACCT_FORMAT,
    SQUEUE_FORMAT,
    Job,
    JobState,
    parse_sacct,
    parse_sbatch,
    parse_scontrol_jobs,
    parse_squeue,
)
from escalade.runtime.slurm.times import (
    SACCT_TIMES,
    JobTimes,
    parse_sacct_times,
    parse_scontrol_times,
    together,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["PROGRAMS", "Slurm", "SlurmUnreachableError", "Step"]

PROGRAMS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo", "srun")
"""What a machine has to have for jobs to be submitted and steps to be run from it."""

_LOOKS = 3
_LOOK_SECONDS = 2.0

_HINTS = (
    (r"policy|limit", "`sacctmgr show qos` and `scontrol show partition` list the limits."),
    (r"account\b", "Check `account`; `sacctmgr show associations user=$USER` lists yours."),
    (r"\bqos\b", "Check `qos`; `sacctmgr show associations user=$USER` lists yours."),
    (r"partition", "Check `partition`; `sinfo --summarize` lists them."),
    (r"reservation", "Check `reservation`; `scontrol show reservation` lists them."),
    (r"feature", "Check `constraint`; `sinfo --format='%P %N %f'` lists the features."),
    (r"gres|gpu", "Check `gpus` and `gpu_type`; `sinfo --format='%P %N %G'` lists them."),
    (r"memory", "Check `memory_mb`; `sinfo --format='%P %N %m'` lists what nodes have."),
    (r"processors|cpu", "Check `nodes` and `cpus`; `sinfo --format='%P %D %c'` lists them."),
    (
        r"node (configuration|count|name)",
        "Check what the nodes have: `sinfo --format='%P %D %c %m %G'` lists it.",
    ),
)
"""What to check, by Slurm's words; the first two that fit are said."""


@dataclass(frozen=True, slots=True)
class Step:
    """A job step that runs.

    Parameters
    ----------
    id
        As scancel takes it: "13.0", with the number of the component.
    name
        As given to srun.
    """

    id: str
    name: str


class Slurm:
    """The cluster that this machine's Slurm programs talk to.

    Parameters
    ----------
    environ
        Environment of the programs, less what would change what they do; that of
        this process when None.
    timeout_seconds, patience_seconds, sleep, clock
        See `Caller`.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        *,
        timeout_seconds: float = 60.0,
        patience_seconds: float = 60.0,
        sleep: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        clean = clean_environment(os.environ if environ is None else environ)
        self._caller = Caller(clean, timeout_seconds, patience_seconds, sleep, clock)
        self._accounting = True

    def available(self) -> bool:
        """Tell whether all programs are there; says nothing of the controller."""
        return all(self._caller.has(program) for program in PROGRAMS)

    def version(self) -> str:
        """Give the version of the programs, as "23.11.10".

        Raises
        ------
        ToolMissingError
            When there is no Slurm.
        """
        output = self._caller.call(["sinfo", "--version"]).insist()
        found = re.search(r"\d+\.\d+\S*", output)
        return found[0] if found else output.strip()

    def submit(self, script: str, folder: Path) -> str:
        """Submit a batch script and give the id of its job.

        When sbatch gets no answer, the job may have been accepted all the same: it is
        looked for by its script, which has a name of its own, before sbatch is tried
        again.

        Parameters
        ----------
        script
            Its text; it is written to `folder/job-….sh`.
        folder
            Working directory of the job; visible on its nodes.

        Raises
        ------
        InputError
            When Slurm refuses the job; with its words and what to check.
        SlurmUnreachableError
            When the controller does not answer for as long as patience lasts.
        """
        path = folder.absolute() / f"job-{secrets.token_hex(4)}.sh"
        write_text(path, script)
        deadline = self._caller.clock() + self._caller.patience_seconds
        while True:
            answer = self._caller.call(["sbatch", "--parsable", str(path)], path.parent)
            if answer.code == 0:
                return parse_sbatch(answer.output)
            if not answer.silent:
                raise _refused(answer, path)
            if (found := self._find(path, answer, deadline)) is not None:
                return found

    def _find(self, path: Path, answer: Answer, deadline: float) -> str | None:
        """Look for the job of a script once the controller answers again.

        It may still be working through what it was sent before: one look is not enough.
        """
        query = ["squeue", "--noheader", "--states=all", f"--user={os.getuid()}"]
        looks = 0
        while looks < _LOOKS and self._caller.clock() < deadline:
            self._caller.sleep(_LOOK_SECONDS)
            looked = self._caller.call([*query, "--format=%A %o"])
            if looked.code == 0:
                looks += 1
                rows = (line.strip().partition(" ") for line in looked.output.splitlines())
                if numbers := [number for number, _, script in rows if script == str(path)]:
                    return min(numbers, key=int)  # the first component's is the whole job's
        if self._caller.clock() >= deadline:
            raise self._caller.unreachable(answer)
        return None

    def jobs(self, ids: Iterable[str]) -> dict[str, tuple[Job, ...]]:
        """Ask how jobs are.

        Parameters
        ----------
        ids
            As `submit` gave them.

        Returns
        -------
        dict of str to tuple of Job
            For each id its components in their order; one for a plain job. What
            neither the controller nor the accounting knows is UNKNOWN.

        Raises
        ------
        SlurmUnreachableError
            When the controller does not answer for as long as patience lasts.
        """
        wanted = list(dict.fromkeys(ids))
        found = self._queued(wanted) if wanted else {}
        gone = [job for job in wanted if job not in found]
        found.update(self._accounted(gone) if gone else {})
        return {job: found.get(job) or (_unknown(job, ""),) for job in wanted}

    def _queued(self, wanted: Sequence[str]) -> dict[str, tuple[Job, ...]]:
        jobs = f"--jobs={','.join(wanted)}"
        form = f"--format={SQUEUE_FORMAT}"
        answer = self._caller.ask(["squeue", "--noheader", "--states=all", jobs, form])
        if answer.no_such_job:  # said only when it was the only one asked for
            return {}
        return _by_id(self._with_exit_code(job) for job in parse_squeue(answer.insist()))

    def _with_exit_code(self, job: Job) -> Job:
        """Ask for what squeue can't tell of a job that is over."""
        if not job.state.ended:
            return job
        answer = self._caller.ask(["scontrol", "--oneliner", "show", "job", job.number])
        if answer.no_such_job:  # forgotten between the two questions
            return job
        same = [told for told in parse_scontrol_jobs(answer.insist()) if told.id == job.id]
        return same[0] if same else job

    def _accounted(self, wanted: Sequence[str]) -> dict[str, tuple[Job, ...]]:
        """Ask the accounting, where there is one, about jobs that the controller forgot."""
        if not self._accounting or not self._caller.has("sacct"):
            return {}
        fields = [f"--format={SACCT_FORMAT}", f"--delimiter={SEPARATOR}"]
        jobs = f"--jobs={','.join(wanted)}"
        answer = self._caller.call(
            ["sacct", "--noheader", "--parsable2", "--allocations", jobs, *fields]
        )
        if answer.no_accounting:
            self._accounting = False
            return {}
        if answer.code != 0:
            # The controller has answered: the jobs are over. How, is not worth waiting for.
            return {job: (_unknown(job, f"sacct: {answer.words}"),) for job in wanted}
        return _by_id(_not_running(job) for job in parse_sacct(answer.output))

    def times(self, job: str) -> JobTimes | None:
        """Ask from when to when a job had its nodes, all its components and tasks together.

        Parameters
        ----------
        job
            "12"; "12+1" of a component, "12_3" of a task of an array.

        Returns
        -------
        JobTimes or None
            None when neither the controller nor the accounting knows the job.

        Raises
        ------
        SlurmUnreachableError
            When the controller does not answer for as long as patience lasts.
        """
        answer = self._caller.ask(["scontrol", "--oneliner", "show", "job", job])
        if not answer.no_such_job:
            return together(parse_scontrol_times(answer.insist()))
        if not self._caller.has("sacct"):
            return None
        form = [f"--format={SACCT_TIMES}", f"--delimiter={SEPARATOR}"]
        asked = ["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={job}", *form]
        accounts = self._caller.call(asked)
        if accounts.no_accounting:
            return None
        return together(parse_sacct_times(accounts.insist()))

    def cancel(self, ids: Iterable[str]) -> None:
        """Cancel jobs with all their components; harmless for those that are over.

        Raises
        ------
        SlurmUnreachableError
            When the controller does not answer for as long as patience lasts.
        """
        for job in dict.fromkeys(ids):  # one by one: one that fails must not hide the others
            answer = self._caller.ask(["scancel", job])
            if not answer.no_such_job:
                answer.insist()

    def steps(self, numbers: Iterable[str]) -> list[Step]:
        """List the steps that run, without the batch script's own.

        Parameters
        ----------
        numbers
            `Job.number` of the components to look at.
        """
        form = f"--format=%i{SEPARATOR}%j"
        jobs = f"--jobs={','.join(numbers)}"
        answer = self._caller.ask(["squeue", "--steps", "--noheader", jobs, form])
        if answer.no_such_job:
            return []
        rows = (line.partition(SEPARATOR) for line in answer.insist().splitlines())
        steps = [Step(number.strip(), name.strip()) for number, _, name in rows]
        return [step for step in steps if re.fullmatch(r"\d+\.\d+", step.id)]

    def position(self, job: Job) -> tuple[int, int]:
        """Give the place of a job that waits, from 1, among all that wait in its partition.

        Returns
        -------
        tuple of int and int
            Place and number of jobs; (0, 0) when it does not wait there any more. Slurm's
            scheduler may start a later one first, where it fits a gap (backfill).

        Raises
        ------
        SlurmUnreachableError
            When the controller does not answer for as long as patience lasts.
        """
        argv = ["squeue", "--noheader", "--states=PENDING", f"--partition={job.partition}"]
        output = self._caller.ask([*argv, "--sort=-p,i", "--format=%A"]).insist()
        waiting = list(dict.fromkeys(output.split()))
        number = job.number
        return (waiting.index(number) + 1, len(waiting)) if number in waiting else (0, 0)

    def signal_step(self, step: str, signal: str) -> bool:
        """Signal the processes of a step; False when Slurm knows of no such step.

        `scancel STEP` without a signal kills at once, and so does SIGTERM to its srun.

        Parameters
        ----------
        step
            "13.0", with the number of the component.
        signal
            "TERM", "USR1", …
        """
        answer = self._caller.ask(["scancel", f"--signal={signal}", step])
        if answer.no_such_job:
            return False
        answer.insist()
        return True

    def signal_batch(self, job: str, signal: str) -> None:
        """Signal the batch script of a job, and none of its steps.

        Parameters
        ----------
        job
            As `submit` gave it; harmless when it is over.
        signal
            "TERM", "USR1", …
        """
        answer = self._caller.ask(["scancel", "--batch", f"--signal={signal}", job])
        if not answer.no_such_job:
            answer.insist()

    def read(self, argv: Sequence[str]) -> str:
        """Give what a program prints, as `scontrol show partition`.

        Raises
        ------
        SlurmUnreachableError
            When Slurm does not answer for as long as patience lasts.
        InfrastructureError
            When the program fails otherwise.
        """
        return self._caller.ask(argv).insist()


def _by_id(jobs: Iterable[Job]) -> dict[str, tuple[Job, ...]]:
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.submitted_as, []).append(job)
    return {
        name: tuple(sorted(parts, key=lambda job: job.het_offset or 0))
        for name, parts in found.items()
    }


def _unknown(job: str, reason: str) -> Job:
    return Job(id=job, number=job, state=JobState.UNKNOWN, reason=reason)


def _not_running(job: Job) -> Job:
    """Correct the accounting, which learns of an end later than the controller forgets it."""
    if job.state.ended:
        return job
    return _unknown(job.id, f"sacct says {job.state}")


def _refused(answer: Answer, path: Path) -> InputError:
    words = answer.words or f"sbatch said nothing (code {answer.code})"
    hints = [hint for pattern, hint in _HINTS if re.search(pattern, words, re.IGNORECASE)]
    return InputError(
        f"Slurm refused the job: {words.rstrip('.')}. {' '.join(hints[:2])} The script is {path}."
    )
