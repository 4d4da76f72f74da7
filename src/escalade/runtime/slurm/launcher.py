"""Allocations of a Slurm cluster: one held job each, with steps that srun starts in it.

The job is held by `hold` on its first node and ends with the run's lease. Each step is
an srun on the driver's node, child of a local holder, which knows how it ends; `frame`
on the step's node checks what the step got and stays above its program.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.errors import InfrastructureError, InputError
from escalade.files import tail
from escalade.runtime.driver import RunFolder
from escalade.runtime.local import LocalLauncher
from escalade.runtime.slurm import frame, jobs, reuse, steps
from escalade.runtime.slurm.commands import Slurm, SlurmUnreachableError
from escalade.runtime.slurm.node import signal_process
from escalade.runtime.slurm.own import own_job
from escalade.runtime.slurm.queue import Queue
from escalade.runtime.slurm.script import clean_environment
from escalade.runtime.slurm.survey import places_of
from escalade.runtime.spool import Note, Spool
from escalade.runtime.steps import StepSpec, StepState

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.runtime.allocation import AllocationState, Place
    from escalade.runtime.launcher import T
    from escalade.runtime.slurm.queue import Order

_START_SECONDS = 60.0
_LOOK_SECONDS = 0.02
_ALIVE_LOOK_SECONDS = 5.0


class SlurmLauncher:
    """Runs steps in held jobs; see `Launcher`."""

    def __init__(self) -> None:
        self._local = LocalLauncher()
        self._slurm = Slurm()
        self._queue = Queue(self._slurm)
        self._brief = Queue(Slurm(timeout_seconds=10.0, patience_seconds=2.0))
        self._looked: dict[str, tuple[float, bool]] = {}

    def allocate(
        self, cell: str, folder: Path, run: RunFolder, order: Order | None = None
    ) -> AllocationState:
        """Take a held job that has the time, or submit one and wait until it runs.

        Raises
        ------
        InputError
            When Slurm refuses the job: wrong partition, account, QOS, limits.
        InfrastructureError
            When it is still queued after `queue_timeout_seconds`, or ends at once;
            the job is cancelled.
        """
        if order is None:
            raise InputError("The launcher `slurm` needs to know what to ask for.")
        held = self._local.allocate(cell, folder, run)
        try:
            taken = reuse.take(run, order, cell, self._queue)
            job, places = taken or self._ask(run, order, held)
            if not places:
                job, places = self._complete_own(run, order, held, job)
            count = order.request.clients
        except BaseException:
            self._local.release(held)
            raise
        return dataclasses.replace(
            held,
            launcher="slurm",
            job=job,
            clients=tuple(places[:count]),
            services=tuple(places[count:]),
        )

    def start(self, allocation: AllocationState, spec: StepSpec) -> StepState:
        """Start a step on its place; returns once its program was executed.

        Raises
        ------
        InfrastructureError
            When the command can't be executed there, or the step did not get the
            CPUs and GPUs that were planned.
        """
        deadline = time.monotonic() + steps.BUSY_SECONDS
        while (state := self._begin(allocation, spec)).error is not None:
            if not steps.passes("\n".join(tail(spec.log, 5))) or time.monotonic() > deadline:
                raise InfrastructureError(f"Step {spec.name!r} {state.error}")
            self._local.stop(allocation, spec.name)  # waits until its name is free again
            time.sleep(steps.BUSY_LOOK_SECONDS)
        return state

    def state(self, allocation: AllocationState, name: str) -> StepState:
        """Tell what became of a step; pid and end are those of the program on its node."""
        state = self._local.state(allocation, name)
        notes = self._notes_of(allocation, name)
        if "started" in notes:
            state = dataclasses.replace(state, pid=int(notes["started"].content["pid"]))
        if state.running:
            return state
        if ending := self._ending(allocation):  # Slurm ends steps well before it ends a job
            return dataclasses.replace(state, error=f"ended with its job: {ending}")
        if "ended" in notes and state.error is None:
            end = notes["ended"].content
            return dataclasses.replace(state, exit_code=end["exit_code"], signal=end["signal"])
        return state

    def stop(self, allocation: AllocationState, name: str) -> StepState:
        """End a step: SIGTERM to its program first, for one to srun has the step killed at once."""
        if self._local.state(allocation, name).running:
            self._terminate(allocation, name)
            deadline = time.monotonic() + self._patience(allocation, name)
            while self._local.state(allocation, name).running and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)
        self._local.stop(allocation, name)
        return self.state(allocation, name)

    def release(self, allocation: AllocationState, *, keep: bool = False) -> None:
        """End all steps; cancel the job and wait until it is gone, or keep it for a next cell.

        The driver's own job is kept in any case: it ends with the driver.
        """
        job = str(allocation.job)
        run = RunFolder(Path(allocation.ledger).parent, allocation.lease_seconds)
        places = list(allocation.places)
        if keep and self.alive(allocation):
            self._local.release(allocation)  # ends every srun, which ends its step
            reuse.give_back(run, job, places)
            return
        if own_job() in jobs.parts(job):
            self._local.release(allocation)
        reuse.let_go(run, job, places, self._queue)
        self._local.release(allocation)

    def alive(self, allocation: AllocationState) -> bool:
        """Tell whether the job runs and its steps are watched; Slurm is asked every 5 s."""
        if not self._local.alive(allocation):
            return False
        job, now = str(allocation.job), time.monotonic()
        at, held = self._looked.get(job, (-_ALIVE_LOOK_SECONDS, True))
        if held and now - at >= _ALIVE_LOOK_SECONDS:
            held = self._brief.runs(job)
            self._looked[job] = now, held
        return held

    def notes(self, allocation: AllocationState, place: Place) -> Path:
        """Give the spool of the node, where the frames of its steps write."""
        return Path(allocation.folder) / "nodes" / place.node

    def end_of(self, allocation: AllocationState) -> str:
        """Say what Slurm says of the job, or that the holder of its steps is gone."""
        ending = self._ending(allocation)
        return ending or "the holder of its steps was killed, or the run's lease ran out"

    def call(
        self, allocation: AllocationState, place: Place, function: Callable[..., T], *arguments: Any
    ) -> T:
        """Call the function in a short step on the place.

        Raises
        ------
        InfrastructureError
            When the step can't run, besides what the function raises.
        """
        answer: T = steps.call(str(allocation.job), place, function, *arguments)
        return answer

    def prefix(self, allocation: AllocationState, place: Place, name: str) -> tuple[str, ...]:
        """Give srun and frame, in an environment without what another job left there."""
        dirty = sorted(set(os.environ) - set(clean_environment(os.environ)))
        unset = [word for variable in dirty for word in ("-u", variable)]
        notes = self.notes(allocation, place)
        Spool(notes).forget(name)
        spec = StepSpec(name, ("true",), "load", Path(os.devnull), cpus=place.cpus)
        framed = _framed(spec, place, notes, secrets.token_hex(8), stdin=True)[:-1]
        srun = steps.srun(str(allocation.job), place, name, gpus=False, stdin=True)
        return ("env", *unset, *srun, *framed)

    def _terminate(self, allocation: AllocationState, name: str) -> None:
        """Send SIGTERM to the program of a step.

        It is sent on the node: `scancel --signal` reaches all processes of a step on
        some sites and none but the frame on others.
        """
        started = self._notes_of(allocation, name).get("started")
        if started is not None:
            place = self._place_of(allocation, str(started.content["node"]))
            process = started.content["pid"], started.content["start_time"]
            self.call(allocation, place, signal_process, *process, int(signal.SIGTERM))

    def _complete_own(
        self, run: RunFolder, order: Order, held: AllocationState, own: str
    ) -> tuple[str, list[Place]]:
        """Ask the nodes of the driver's own job, and for the job beside it where there is one."""
        folder, job = Path(held.folder), own
        try:
            if order.request.apart:
                job = self._queue.submit(order, folder, held.cell, run.jobs, own)
            return job, places_of(job, self._queue.await_running(job, order), order, folder)
        except BaseException:
            reuse.let_go(run, job, [], self._queue)
            raise

    def _ask(self, run: RunFolder, order: Order, held: AllocationState) -> tuple[str, list[Place]]:
        """Submit a job and wait for its nodes; it is cancelled when that fails."""
        folder = Path(held.folder)
        job = self._queue.submit(order, folder, held.cell, run.jobs)
        try:
            return job, places_of(job, self._queue.await_running(job, order), order, folder)
        except BaseException:
            self._slurm.cancel(jobs.parts(job))
            jobs.ended(run.jobs, job)
            raise

    def _begin(self, allocation: AllocationState, spec: StepSpec) -> StepState:
        """Start a step once; what hindered it is its error."""
        place = spec.on or allocation.client
        token = secrets.token_hex(8)
        for other in allocation.places:  # an earlier step of that name
            Spool(self.notes(allocation, other)).forget(spec.name)
        framed = dataclasses.replace(
            spec,
            argv=(
                *steps.srun(str(allocation.job), place, spec.name, gpus=spec.gpus),
                *_framed(spec, place, self.notes(allocation, place), token),
            ),
            cpus=None,
            on=None,
            gpus=False,
            scratch=None,
        )
        self._local.start(allocation, framed)
        return self._await_started(allocation, place, spec.name, token)

    def _await_started(
        self, allocation: AllocationState, place: Place, name: str, token: str
    ) -> StepState:
        """Wait for the note of the step's frame, or for its end."""
        spool = Spool(self.notes(allocation, place))
        deadline = time.monotonic() + _START_SECONDS
        while True:
            state = self._local.state(allocation, name)  # asked first: the note comes before an end
            for kind in ("started", frame.REFUSED):
                note = spool.read(name, kind)
                if note is None or note.token != token:
                    continue
                if kind == frame.REFUSED:
                    return dataclasses.replace(state, error=str(note.content["error"]))
                return dataclasses.replace(state, pid=int(note.content["pid"]))
            if not state.running:
                return dataclasses.replace(state, error=self._never_began(allocation, state))
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"Step {name!r} did not begin on {place.node} within {_START_SECONDS:g} s; see "
                    f"{state.log}. Is {spool.folder} on storage that all nodes share?"
                )
            time.sleep(_LOOK_SECONDS)

    def _ending(self, allocation: AllocationState) -> str | None:
        """Say how the job ended; None while it runs, or while nobody can say."""
        try:
            return self._brief.ending(str(allocation.job))
        except SlurmUnreachableError:
            return None

    def _never_began(self, allocation: AllocationState, state: StepState) -> str:
        if ending := self._ending(allocation):
            return f"could not begin: {ending}"
        said = " ".join(tail(Path(state.log), 3))
        return f"could not begin: srun {state.describe()} ({said})"

    def _notes_of(self, allocation: AllocationState, name: str) -> dict[str, Note]:
        """Give what the frame of a step wrote on its node: `started`, `ended`."""
        found: dict[str, Note] = {}
        for place in allocation.places:
            spool = Spool(self.notes(allocation, place))
            for kind in ("started", "ended"):
                if note := spool.read(name, kind):
                    found.setdefault(kind, note)
        return found

    def _place_of(self, allocation: AllocationState, node: str) -> Place:
        return next(place for place in allocation.places if place.node == node)

    def _patience(self, allocation: AllocationState, name: str) -> float:
        request = Spool(allocation.steps).read(name, "request")
        return 3.0 if request is None else float(request.content["stop_seconds"])


def _framed(
    spec: StepSpec, place: Place, notes: Path, token: str, *, stdin: bool = False
) -> tuple[str, ...]:
    order = frame.Order(
        notes=str(notes),
        name=spec.name,
        role=spec.role,
        token=token,
        log=str(spec.log),
        cpus=spec.cpus,
        gpus=place.gpus if spec.gpus else None,
        scratch=spec.scratch,
        stdin=stdin,
    )
    module = "escalade.runtime.slurm.frame"
    return (sys.executable, "-P", "-m", module, order.to_text(), "--", *spec.argv)
