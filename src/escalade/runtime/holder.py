"""Holds an allocation on this machine: starts its steps, knows how they end, ends them all.

`python -m escalade.runtime.holder FOLDER` is to a laptop what a held job is to a
cluster. It is two processes in one session. The *guard* adopts every orphan of the
allocation and does nothing else. Its child, the *holder*, takes requests from the
spool and is the parent of the steps. Whichever of the two is killed, the other
ends everything; if both are, the kernel ends the steps, and what those started is
found by its environment when the ledger is swept.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from escalade.errors import EscaladeError
from escalade.files import read_json, write_json
from escalade.runtime import daemon, ledger, processes
from escalade.runtime.lease import PATIENCE, LeaseWatch
from escalade.runtime.lifeline import adopt_orphans, die_with_parent
from escalade.runtime.processes import ALLOCATION_VARIABLE, STEP_VARIABLE, Identity
from escalade.runtime.spool import Spool
from escalade.runtime.steps import StepSpec, StepState

if TYPE_CHECKING:
    from collections.abc import Callable

_KNOCK = signal.SIGUSR1
_ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_AWAITED = _ENDING | {signal.SIGCHLD, _KNOCK}


def knock(guard: Identity) -> bool:
    """Tell the holder that the spool has something new; False when it is gone."""
    return processes.send(guard, _KNOCK)


@dataclass(frozen=True, slots=True)
class Holding:
    """What a holder has to know: the content of `allocation.json` in its folder."""

    id: str
    cell: str
    lease: str
    lease_seconds: float
    ledger: str

    @classmethod
    def read(cls, folder: Path) -> Holding:
        """Read the file that the launcher wrote."""
        return cls(**read_json(folder / "allocation.json", "order of an allocation"))


@dataclass(slots=True)
class _Step:
    """A step this holder started."""

    spec: StepSpec
    token: str
    state: StepState
    main: Identity | None = None
    members: set[Identity] = field(default_factory=set)
    stop_began: float | None = None
    cleared: bool = False


class Holder:
    """Takes requests from the spool until the lease is stale or a signal ends it.

    Parameters
    ----------
    folder
        Folder of the allocation.
    """

    def __init__(self, folder: Path) -> None:
        self._holding = Holding.read(folder)
        self._spool = Spool(folder / "steps")
        patience = PATIENCE * self._holding.lease_seconds
        self._lease = LeaseWatch(Path(self._holding.lease), patience)
        self._steps: dict[str, _Step] = {}

    def run(self) -> None:
        """Serve; returns when everything has been ended."""
        while True:
            received = signal.sigtimedwait(_AWAITED, self._pause_seconds())
            if (received and received.si_signo in _ENDING) or self._lease.stale():
                break
            self._reap()
            self._take_requests()
            self._take_stops()
            self._clear()
        self._end()

    def _pause_seconds(self) -> float:
        clearing = any(step.stop_began and not step.cleared for step in self._steps.values())
        return 0.02 if clearing else self._lease.look_seconds

    def _take_requests(self) -> None:
        for name, note in self._spool.notes("request").items():
            step = self._steps.get(name)
            if step is None or (step.token != note.token and step.cleared):
                self._steps[name] = self._start(StepSpec.from_json(note.content), note.token)

    def _start(self, spec: StepSpec, token: str) -> _Step:
        state = StepState(spec.name, spec.role, None, None, None, None, None, str(spec.log))
        step = _Step(spec, token, state)
        try:
            pid = _spawn(spec, self._environment(spec))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            step.state = replace(state, error=_why_not_started(spec, error))
            step.cleared = True
            self._write_end(step)
            return step
        step.state = replace(state, pid=pid, started_at=time.time())
        step.main = processes.read_identity(pid)
        try:
            self._publish(step)
        except EscaladeError as error:  # what can't be entered must not run
            daemon.say(error)
            step.state = replace(step.state, error=f"had to be ended: {error}")
            step.stop_began = time.monotonic()
            self._write_end(step)
        return step

    def _publish(self, step: _Step) -> None:
        ledger.record(
            Path(self._holding.ledger),
            step.state.pid or 0,
            role=step.spec.role,
            cell=self._holding.cell,
            name=step.spec.name,
            allocation=self._holding.id,
        )
        start_time = None if step.main is None else step.main.start_time
        content = {**step.state.to_json(), "start_time": start_time}
        self._spool.write(step.spec.name, "started", step.token, content)

    def _environment(self, spec: StepSpec) -> dict[str, str]:
        marks = {ALLOCATION_VARIABLE: self._holding.id, STEP_VARIABLE: spec.name}
        return {**os.environ, **spec.environment, **marks}

    def _take_stops(self) -> None:
        for name, note in self._spool.notes("stop").items():
            step = self._steps.get(name)
            if step and step.token == note.token and step.stop_began is None:
                step.stop_began = time.monotonic()

    def _reap(self) -> None:
        """Collect every child that has ended; adopted orphans are nobody's step."""
        ended = {step.state.pid: step for step in self._steps.values() if step.state.running}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if step := ended.get(pid):
                self._note_end(step, os.waitstatus_to_exitcode(status))

    def _note_end(self, step: _Step, code: int) -> None:
        step.state = replace(
            step.state,
            ended_at=time.time(),
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
        )
        if step.stop_began is None:  # what it leaves behind ends with it
            step.stop_began = time.monotonic()
        self._write_end(step)

    def _clear(self) -> None:
        """Take every ending step one step further: TERM, then KILL, then cleared."""
        for step in self._steps.values():
            if step.stop_began is None or step.cleared:
                continue
            waited = time.monotonic() - step.stop_began
            found = self._members(step)
            stuck = waited > step.spec.stop_seconds + processes.SURVIVAL_SECONDS
            if step.state.running or (found and not stuck):
                _press(found, step.members, kill=waited >= step.spec.stop_seconds)
                step.members |= found
            else:
                step.cleared = True
                self._write_end(step)

    def _members(self, step: _Step) -> set[Identity]:
        """Find what belongs to a step, among the processes this holder is above of."""
        table = processes.snapshot()
        known = {found.pid for found in step.members | {step.main} if found and found.alive()}
        mine = processes.descendants([os.getpid()], table)
        found = known | processes.descendants(known, table)
        found |= {pid for pid in mine if table[pid].session == step.state.pid}
        found |= processes.marked(STEP_VARIABLE, step.spec.name, {pid: table[pid] for pid in mine})
        return {table[pid].identity for pid in found & mine}

    def _write_end(self, step: _Step) -> None:
        content = {**step.state.to_json(), "cleared": step.cleared}
        try:
            if step.spec.scratch is not None:
                shutil.rmtree(step.spec.scratch, ignore_errors=True)
            self._spool.write(step.spec.name, "ended", step.token, content)
        except EscaladeError as error:  # a full disk must not keep steps alive
            daemon.say(error)

    def _end(self) -> None:
        def find() -> set[Identity]:
            self._reap()
            return _of_allocation(self._holding.id)

        processes.kill_all(find, ledger.GRACE_SECONDS)
        self._reap()
        for step in self._steps.values():
            if not step.cleared:
                step.cleared = True
                self._write_end(step)


def guard(folder: Path, ready: Callable[[], None]) -> None:
    """Start the holder of `folder`, pass signals on to it, and outlive it by a sweep."""
    holding = Holding.read(folder)
    adopt_orphans()
    ledger.record(
        Path(holding.ledger), os.getpid(), role="holder", cell=holding.cell, allocation=holding.id
    )
    own = processes.own_identity()
    child = os.fork()
    if child == 0:
        _hold(folder, own.pid)
    write_json(folder / "holder.json", {"pid": own.pid, "start_time": own.start_time})
    ready()
    while _relay(child):
        pass
    processes.kill_all(partial(_of_allocation, holding.id), ledger.GRACE_SECONDS)


def _hold(folder: Path, parent: int) -> NoReturn:
    """Be the holder: never returns into the code of the guard."""
    try:
        die_with_parent(parent, signal.SIGTERM)
        adopt_orphans()
        Holder(folder).run()
    except BaseException:  # noqa: BLE001 - the guard ends everything next
        traceback.print_exc()
        os._exit(3)
    os._exit(0)


def _relay(child: int) -> bool:
    """Pass one signal on; False once the child has ended."""
    received = signal.sigwaitinfo(_AWAITED)
    if received.si_signo != signal.SIGCHLD:
        os.kill(child, received.si_signo)
        return True
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == child:
            return False
        if pid == 0:
            return True


def _of_allocation(allocation: str) -> set[Identity]:
    """Find what this process is above of, or carries the allocation's mark."""
    table = processes.snapshot()
    found = processes.descendants([os.getpid()], table)
    found |= processes.marked(ALLOCATION_VARIABLE, allocation, table)
    found -= processes.lineage(os.getpid(), table)
    return {table[pid].identity for pid in found}


def _spawn(spec: StepSpec, environment: dict[str, str]) -> int:
    if spec.cpus is not None and (missing := set(spec.cpus) - os.sched_getaffinity(0)):
        raise ValueError(f"this machine offers no CPU {', '.join(map(str, sorted(missing)))}")
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(spec.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            spec.argv,
            env=environment,
            cwd=spec.cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=partial(_prepare, os.getpid(), spec.cpus),  # noqa: PLW1509 - no threads here
        )
    finally:
        os.close(log)
    process.returncode = 0  # reaped by `_reap`, so that Popen must not wait for it
    return process.pid


def _prepare(parent: int, cpus: tuple[int, ...] | None) -> None:
    """Set up the child, between fork and exec."""
    die_with_parent(parent)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGINT, signal.SIGTERM):  # ignored under nohup or a background shell
        signal.signal(number, signal.SIG_DFL)
    if cpus is not None:
        os.sched_setaffinity(0, cpus)


def _why_not_started(spec: StepSpec, error: Exception) -> str:
    if isinstance(error, OSError):
        return f"could not be executed: {error.strerror}: {error.filename or spec.argv[0]}"
    return f"could not be executed: {error}"


def _press(found: set[Identity], asked: set[Identity], *, kill: bool) -> None:
    if kill:
        for identity in found:
            processes.send(identity, signal.SIGKILL)
    for identity in found - asked:
        processes.send(identity, signal.SIGTERM)
        processes.send(identity, signal.SIGCONT)  # a stopped process can't answer SIGTERM


def main(arguments: list[str]) -> int:
    """Run a holder on the folder named by the only argument."""
    folder = Path(arguments[0]).resolve()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # were it ignored, no exit code would be known
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)  # taken by sigwaitinfo, one at a time
    ready = daemon.detach(folder / "holder.log")
    try:
        guard(folder, ready)
    except EscaladeError as error:
        daemon.say(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
