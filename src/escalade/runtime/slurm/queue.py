"""Submits the job of an allocation, waits for it, and says how it ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError, InputError
from escalade.files import tail
from escalade.runtime.slurm import jobs
from escalade.runtime.slurm.commands import SlurmUnreachableError
from escalade.runtime.slurm.script import sbatch_script

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from escalade.runtime.slurm.commands import Slurm
    from escalade.runtime.slurm.request import AllocationRequest
    from escalade.runtime.slurm.text import Job

_LOOK_SECONDS = 1.0
_GONE_SECONDS = 60.0
_ENDING_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Order:
    """What an allocation asks for, and for how long it may wait.

    Parameters
    ----------
    request
        The job.
    queue_timeout_seconds
        How long it may be queued.
    needed_seconds
        How long it has to last for the cell alone: a held job with less is not taken.
    interface
        Network interface by which nodes reach each other; the usual one when None.
    most_cells
        How many cells may use one job, one after the other; None for no limit.
    """

    request: AllocationRequest
    queue_timeout_seconds: float
    needed_seconds: float
    interface: str | None = None
    most_cells: int | None = None


class Queue:
    """The jobs of this user, as far as they are allocations.

    Parameters
    ----------
    slurm
        The commands.
    """

    def __init__(self, slurm: Slurm) -> None:
        self._slurm = slurm

    def submit(
        self, order: Order, folder: Path, cell: str, listed: Path, own: str | None = None
    ) -> str:
        """Submit the jobs of an order and enter them in the list of the run's jobs.

        Parameters
        ----------
        order
            What is asked for.
        folder
            Where scripts are kept.
        cell
            For which it is.
        listed
            The list of the run's jobs.
        own
            A job that stands for the first one already: the driver's.

        Returns
        -------
        str
            The id, or ids joined by commas, that of `own` first.

        Raises
        ------
        InputError
            When Slurm refuses it.
        InfrastructureError
            When it can't be entered: it is cancelled again.
        """
        order.request.log.parent.mkdir(parents=True, exist_ok=True)
        submitted: list[str] = []
        try:
            for request in order.request.jobs()[0 if own is None else 1 :]:
                submitted.append(self._slurm.submit(sbatch_script(request), folder))
                jobs.record(listed, submitted[-1], cell)
        except BaseException:
            self._slurm.cancel(submitted)
            raise
        return ",".join([*([own] if own else []), *submitted])

    def await_running(self, job: str, order: Order) -> list[Job]:
        """Wait until all components run; give them in their order.

        Raises
        ------
        InputError
            When it waits for what never comes.
        InfrastructureError
            When the job is queued for too long, or ends first.
        """
        deadline = time.monotonic() + order.queue_timeout_seconds
        why = "unknown"
        while True:
            try:
                found = self._components(job)
            except SlurmUnreachableError as error:
                found, why = [], str(error)
            if found and all(component.state.running for component in found):
                return found
            if over := [component for component in found if self._is_over(component)]:
                said = "\n".join(["", *tail(order.request.log, 10)]).rstrip()
                raise InfrastructureError(f"Job {job} ended at its start: {_say(over)}.{said}")
            if never := [component for component in found if component.never_starts]:
                raise InputError(
                    f"Slurm accepted job {job}, but it can never start: {_say(never)}. It is "
                    "cancelled. Ask for less, or for another partition or QOS."
                )
            why = ", ".join({component.reason for component in found} - {""}) or why
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"Job {job} was still queued after {order.queue_timeout_seconds:g} s ({why}); it "
                    "is cancelled. Raise execution.slurm.queue_timeout_seconds, or ask for less."
                )
            time.sleep(_LOOK_SECONDS)

    def runs(self, job: str) -> bool:
        """Tell whether every component runs; True also while the controller does not answer."""
        try:
            found = self._components(job)
        except SlurmUnreachableError:
            return True
        return all(component.state.running for component in found)

    def seconds_left(self, job: str) -> float:
        """Give the time until the limit of a job that runs, in s; 0 for one that does not."""
        found = self._components(job)
        if not found or not all(component.state.running for component in found):
            return 0.0
        return min(component.time_left_seconds or 0.0 for component in found)

    def ending(self, job: str) -> str | None:
        """Say how a job ended; None while it runs. One that is about to end is awaited.

        Raises
        ------
        InfrastructureError
            When the controller does not answer.
        """
        deadline = time.monotonic() + _ENDING_SECONDS
        while True:
            found = self._components(job)
            if all(component.state.running for component in found):
                return None
            if all(map(self._is_over, found)) or time.monotonic() > deadline:
                break
            time.sleep(_LOOK_SECONDS)
        return _say([component for component in found if not component.state.running])

    def end(self, job: str) -> None:
        """Cancel a job and wait until it holds nothing any more.

        Raises
        ------
        InfrastructureError
            When it does not go, or the controller does not answer.
        """
        self._slurm.cancel(jobs.parts(job))
        deadline = time.monotonic() + _GONE_SECONDS
        while not all(map(self._is_over, self._components(job))):
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"Job {job} does not end: it was cancelled {_GONE_SECONDS:g} s ago. "
                    f"`scontrol show job {job}` says what it waits for."
                )
            time.sleep(0.1)

    def _components(self, job: str) -> list[Job]:
        found = self._slurm.jobs(jobs.parts(job))
        return [component for part in jobs.parts(job) for component in found[part]]

    @staticmethod
    def _is_over(component: Job) -> bool:
        return component.state.ended or component.gone


def _say(components: Sequence[Job]) -> str:
    parts = []
    for component in components:
        nodes = f" on {','.join(component.nodes)}" if component.nodes else ""
        reason = component.reason if component.reason not in ("", "None") else ""
        parts.append(f"job {component.id} is {component.state}{nodes}{reason and f' ({reason})'}")
    return "; ".join(parts)
