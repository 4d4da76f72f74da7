"""Allocations on this machine: a holder process each, spoken to through its spool."""

from __future__ import annotations

import json
import os
import secrets
import signal
import time
from typing import TYPE_CHECKING, Any

from escalade.errors import InfrastructureError, InputError
from escalade.files import write_json
from escalade.runtime import daemon, holder, ledger, processes
from escalade.runtime.allocation import AllocationState, Place
from escalade.runtime.cores import plan_cores
from escalade.runtime.endpoints import node_address
from escalade.runtime.processes import ALLOCATION_VARIABLE, Identity
from escalade.runtime.spool import Note, Spool
from escalade.runtime.steps import StepSpec, StepState, failed_to_start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from escalade.runtime.driver import RunFolder
    from escalade.runtime.launcher import T
    from escalade.runtime.slurm.queue import Order

HERE = "127.0.0.1"
_LOOK_SECONDS = 0.005
_START_SECONDS = 20.0
_STOP_MARGIN_SECONDS = processes.SURVIVAL_SECONDS + 5.0


class LocalLauncher:
    """Runs steps as processes of this machine; see `Launcher`."""

    def allocate(
        self, cell: str, folder: Path, run: RunFolder, order: Order | None = None
    ) -> AllocationState:
        """Start a holder for `cell`, with its spool in `folder`.

        Raises
        ------
        InfrastructureError
            When the folder can't be written, is in use by another holder, or the
            holder does not come up.
        """
        folder = folder.resolve()
        _refuse_if_held(folder)
        _make_folder(folder / "steps")
        identifier = f"{cell}.{secrets.token_hex(6)}"
        holding: dict[str, str | float] = {
            "id": identifier,
            "cell": cell,
            "lease": str(run.lease),
            "lease_seconds": run.lease_seconds,
            "ledger": str(run.ledger),
        }
        write_json(folder / "allocation.json", holding)
        daemon.start(
            "escalade.runtime.holder",
            folder,
            folder / "holder.log",
            {ALLOCATION_VARIABLE: identifier},
        )
        return _state_of(folder, holding)

    def start(self, allocation: AllocationState, spec: StepSpec) -> StepState:
        """Start a step; returns once its program was executed, or has already ended.

        Raises
        ------
        InfrastructureError
            When the command can't be executed, the holder is gone, or a step of
            that name still runs.
        """
        spool = Spool(allocation.steps)
        before = self._state_or_none(allocation, spec.name)
        if before is not None and (before.running or not _is_cleared(spool, spec.name)):
            raise InfrastructureError(
                f"Step {spec.name!r} of {allocation.cell} {before.describe()}; "
                "stop it before another is started under its name."
            )
        token = secrets.token_hex(8)
        spool.write(spec.name, "request", token, spec.to_json())

        def begun() -> Note | None:
            return _of_token(spool.read(spec.name, "ended"), token) or _of_token(
                spool.read(spec.name, "started"), token
            )

        state = self._await(allocation, begun, _START_SECONDS, f"step {spec.name!r} to start").state
        if state.error is not None:
            raise failed_to_start(state)
        return state

    def state(self, allocation: AllocationState, name: str) -> StepState:
        """Tell what became of a step.

        Raises
        ------
        InputError
            When no step of that name was ever started here.
        """
        state = self._state_or_none(allocation, name)
        if state is None:
            known = ", ".join(Spool(allocation.steps).notes("request")) or "none"
            raise InputError(f"Allocation {allocation.id} has no step {name!r}; it has: {known}.")
        return state

    def stop(self, allocation: AllocationState, name: str) -> StepState:
        """End a step with everything it started; harmless when it has ended.

        Raises
        ------
        InfrastructureError
            When something of it survives SIGKILL.
        """
        spool = Spool(allocation.steps)
        self.state(allocation, name)
        request = spool.read(name, "request")
        if request is None or not self.alive(allocation):
            return self.state(allocation, name)
        spool.write(name, "stop", request.token, {})
        patience = StepSpec.from_json(request.content).stop_seconds + _STOP_MARGIN_SECONDS

        def cleared() -> Note | None:
            note = _of_token(spool.read(name, "ended"), request.token)
            return note if note is not None and note.content["cleared"] else None

        return self._await(allocation, cleared, patience, f"step {name!r} to end").state

    def release(self, allocation: AllocationState, *, keep: bool = False) -> None:
        """End every step and the holder; harmless when repeated.

        Raises
        ------
        InfrastructureError
            When a process of the allocation survives SIGKILL.
        """
        guard = _guard_of(allocation)
        processes.send(guard, signal.SIGTERM)
        deadline = time.monotonic() + ledger.GRACE_SECONDS + processes.SURVIVAL_SECONDS + 1.0
        while guard.alive() and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        survived = processes.kill_all(lambda: _left_of(allocation), grace_seconds=0.5)
        if survived:
            pids = ", ".join(str(identity.pid) for identity in sorted(survived, key=str))
            raise InfrastructureError(
                f"Allocation {allocation.id} could not be ended: process {pids} survives "
                "SIGKILL. It hangs in the kernel or belongs to another user."
            )

    def alive(self, allocation: AllocationState) -> bool:
        """Tell whether the holder runs; from another machine its lease alone tells."""
        elsewhere = allocation.host not in {"", os.uname().nodename}
        return elsewhere or _guard_of(allocation).alive()

    def notes(self, allocation: AllocationState, place: Place) -> Path:
        """Give the spool of the allocation: all its steps are here."""
        return allocation.steps

    def end_of(self, allocation: AllocationState) -> str:
        """Say why an allocation has ended: nobody writes it down here."""
        return "its holder was killed or its lease ran out"

    def call(
        self, allocation: AllocationState, place: Place, function: Callable[..., T], *arguments: Any
    ) -> T:
        """Call the function: the only place is here."""
        return function(*arguments)

    def prefix(self, allocation: AllocationState, place: Place, name: str) -> tuple[str, ...]:
        """Give nothing: commands run here as they are."""
        return ()

    def _state_or_none(self, allocation: AllocationState, name: str) -> StepState | None:
        spool = Spool(allocation.steps)
        held = self.alive(allocation)  # asked first: a holder writes before it ends
        request = spool.read(name, "request")
        if request is None:
            return None
        for kind in ("ended", "started"):
            note = _of_token(spool.read(name, kind), request.token)
            if note is not None:
                return note.state if held or kind == "ended" else _ended_unseen(note.state)
        spec = StepSpec.from_json(request.content)
        error = None if held else "was never started: the holder of its allocation is gone"
        return StepState(name, spec.role, None, None, None, None, None, str(spec.log), error=error)

    def _await(
        self,
        allocation: AllocationState,
        look: Callable[[], Note | None],
        patience: float,
        what: str,
    ) -> Note:
        """Knock and wait until `look` finds its note."""
        deadline = time.monotonic() + patience
        held = holder.knock(_guard_of(allocation))
        while True:
            note = look()
            if note is not None:
                return note
            if not held:
                raise InfrastructureError(
                    f"Waited for {what}, but the holder of {allocation.cell} is gone: it was "
                    f"killed, or the run's driver was. See {allocation.folder}/holder.log."
                )
            if time.monotonic() > deadline:
                raise InfrastructureError(
                    f"Waited {patience:g} s in vain for {what}; see {allocation.folder}/holder.log."
                )
            time.sleep(_LOOK_SECONDS)
            held = self.alive(allocation)


def _state_of(folder: Path, order: dict[str, str | float]) -> AllocationState:
    guard = _read_guard(folder)
    if guard is None:
        raise InfrastructureError(
            f"The holder in {folder} came up without saying who it is; see {folder}/holder.log."
        )
    client, service = plan_cores()
    node = node_address()
    return AllocationState(
        schema=3,
        launcher="local",
        id=str(order["id"]),
        folder=str(folder),
        pid=guard.pid,
        start_time=guard.start_time,
        cell=str(order["cell"]),
        clients=(Place(node, HERE, client),),
        services=(Place(node, HERE, service),),
        lease=str(order["lease"]),
        lease_seconds=float(order["lease_seconds"]),
        ledger=str(order["ledger"]),
        host=os.uname().nodename,
    )


def _make_folder(folder: Path) -> None:
    """Make the spool for its owner alone: environments of steps may hold keys."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(
            f"The allocation's folder {folder} can't be made: {error.strerror or error}."
        ) from error


def _refuse_if_held(folder: Path) -> None:
    guard = _read_guard(folder)
    if guard is not None and guard.alive():
        raise InfrastructureError(
            f"{folder} is held by process {guard.pid} already: release that allocation first."
        )


def _read_guard(folder: Path) -> Identity | None:
    try:
        content = json.loads((folder / "holder.json").read_bytes())
        return Identity(int(content["pid"]), int(content["start_time"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _guard_of(allocation: AllocationState) -> Identity:
    return Identity(allocation.pid, allocation.start_time)


def _left_of(allocation: AllocationState) -> set[Identity]:
    table = processes.snapshot()
    found = processes.marked(ALLOCATION_VARIABLE, allocation.id, table)
    return {table[pid].identity for pid in found - processes.lineage(os.getpid(), table)}


def _of_token(note: Note | None, token: str) -> Note | None:
    return note if note is not None and note.token == token else None


def _is_cleared(spool: Spool, name: str) -> bool:
    request, ended = spool.read(name, "request"), spool.read(name, "ended")
    return bool(request and ended and ended.token == request.token and ended.content.get("cleared"))


def _ended_unseen(state: StepState) -> StepState:
    return StepState(
        state.name,
        state.role,
        state.pid,
        state.started_at,
        None,
        None,
        None,
        state.log,
        error="ended unseen: the holder of its allocation is gone",
    )
