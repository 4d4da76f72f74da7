"""Keeps a session's Prometheus: starts it, waits for its end, and ends everything with it.

`python -m escalade.monitoring.sessions.keeper FOLDER` is the session while it runs. On one machine
it is a process in a session of its own, out of reach of Ctrl-C and of a closed terminal; on a
cluster it is what the batch script of the session's job becomes, so that no process has to stay on
a login node. In either case it drives a run of its own (`runtime.driver`): nothing that it started
outlives it. It ends when Prometheus does, on SIGTERM, and when the session's folder is gone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.errors import EscaladeError
from escalade.monitoring import manager
from escalade.monitoring.sessions import exporters, locks, resolver, targets
from escalade.monitoring.sessions.live import Ended, Live
from escalade.monitoring.sessions.record import SessionFolder
from escalade.runtime import daemon, processes, tools
from escalade.runtime.driver import driving
from escalade.runtime.endpoints import node_address
from escalade.runtime.local import LocalLauncher

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.monitoring.prometheus_state import PrometheusState
    from escalade.monitoring.sessions.record import Launch, Page, Record
    from escalade.runtime.allocation import AllocationState
    from escalade.runtime.driver import RunFolder

MODULE = "escalade.monitoring.sessions.keeper"
LOG = "keeper.log"
LEASE_SECONDS = 30.0
_LOOK_SECONDS = 0.2
_LOOKS_AT_THE_FOLDER = 10
_TOKEN, _HANDLE = "ESCALADE_SESSION_START", "ESCALADE_SESSION_LOCK"
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Keeper:
    """Keeps one start of a session.

    Parameters
    ----------
    session
        Its folder.
    token
        Of the start.
    """

    def __init__(self, session: SessionFolder, token: str) -> None:
        self._session = session
        self._token = token
        self._launcher = LocalLauncher()
        self._ending = False
        for number in _ENDING:
            signal.signal(number, self._end)

    def keep(self, ready: Callable[[], None]) -> None:
        """Run the session until it is over.

        Parameters
        ----------
        ready
            Called once Prometheus is.
        """
        record = self._session.read()
        launch = record.launch
        if launch is None or launch.stopped_at is not None or self._token != launch.token:
            daemon.say("this start of the session is over before it began")
            return
        os.environ.setdefault(tools.FOLDER_VARIABLE, launch.tools)
        how = "could not be started"
        try:
            with driving(
                self._session.path / "runs", "session", launch.token, LEASE_SECONDS
            ) as run:
                allocation = self._allocate(record, launch, run)
                live = self._start(record, launch, allocation)
                live.write(self._session.path)
                ready()
                self._catch_up(record, live)
                how = self._wait(live.state, allocation)
        except EscaladeError as error:
            how = f"could not be kept: {error}"
            raise
        finally:
            if self._session.exists():
                Ended(launch.token, time.time(), how).write(self._session.path)

    def _end(self, *_: Any) -> None:
        self._ending = True

    def _allocate(self, record: Record, launch: Launch, run: RunFolder) -> AllocationState:
        held = self._launcher.allocate(record.id, run.path / "allocation", run)
        address = _address(record, launch)
        places = tuple(dataclasses.replace(it, address=address, cpus=()) for it in held.clients)
        return dataclasses.replace(held, clients=places, services=places)

    def _start(self, record: Record, launch: Launch, allocation: AllocationState) -> Live:
        """Start exporters and Prometheus with what can be found now."""
        place = allocation.client
        own = [page for page in record.pages if page.ours]
        ports, problems = self._deploy(own, allocation)
        others = [page for page in record.pages if not page.ours]
        found, missing = resolver.settle(others, os.uname().nodename, manager.call_here)
        found |= {page.key: place.address for page in own if page.job is None}
        state = manager.start(
            self._launcher,
            allocation,
            folder=self._session.prometheus,
            registry=targets.registry_of(record, found, ports),
            log=self._session.logs / "prometheus.log",
            scrape_interval_seconds=record.scrape_interval_seconds,
            port=record.port,
            rule_files=rule_files(self._session, record),
        )
        keeper = processes.own_identity()
        return Live(
            token=launch.token,
            at=time.time(),
            host=os.uname().nodename,
            boot=processes.boot_id(),
            pid=keeper.pid,
            start_time=keeper.start_time,
            job=_own_job(launch),
            node=os.environ.get("SLURMD_NODENAME", os.uname().nodename),
            address=place.address,
            prometheus=state.to_json(),
            allocation=allocation.to_json(),
            addresses=found,
            ports=ports,
            problems={**problems, **missing},
        )

    def _deploy(
        self, pages: list[Page], allocation: AllocationState
    ) -> tuple[dict[str, int], dict[str, str]]:
        ports, problems = {}, {}
        for page in pages:
            order = exporters.order(page), str(self._session.logs), allocation.client.address
            try:
                ports[page.key] = exporters.deploy(allocation.to_json(), *order)["port"]
            except EscaladeError as error:
                daemon.say(error)
                problems[page.key] = str(error)
        return ports, problems

    def _catch_up(self, used: Record, live: Live) -> None:
        """Take what was registered while Prometheus came up: nobody could reload it before."""
        with self._session.locked(lambda: self._ending):
            record = self._session.read()
            if record.pages == used.pages:
                return
            try:
                registry = targets.registry_of(record, live.addresses, live.ports)
                rules = rule_files(self._session, record)
                manager.reload(live.state, registry, rules)
            except EscaladeError as error:
                daemon.say(error)

    def _wait(self, state: PrometheusState, allocation: AllocationState) -> str:
        """Wait until Prometheus has ended or has to; say how."""
        process = processes.read_identity(state.pid)
        looks = 0
        while process is not None and process.alive() and not self._ending:
            time.sleep(_LOOK_SECONDS)
            looks += 1
            if looks % _LOOKS_AT_THE_FOLDER == 0 and not self._session.exists():
                daemon.say("the folder of the session is gone")
                self._ending = True
        if not self._ending:
            time.sleep(2 * _LOOK_SECONDS)  # until the holder has written down how
            return self._launcher.state(allocation, manager.STEP_NAME).describe()
        ended = manager.stop(self._launcher, allocation)
        return "was stopped" if ended.exit_code == 0 else ended.describe()


def rule_files(session: SessionFolder, record: Record) -> list[Path]:
    """Give the paths of a session's rule files."""
    return [session.rules / name for name in record.rules]


def _address(record: Record, launch: Launch) -> str:
    """Give where Prometheus listens: in a job localhost would be of no use to anybody."""
    if launch.launcher == "local":
        return "127.0.0.1" if record.prom_host in targets.LOOPBACK else record.prom_host
    if record.prom_host in targets.LOOPBACK:
        return node_address(launch.interface)
    return record.prom_host


def _own_job(launch: Launch) -> str | None:
    """Give the job in which this keeper runs: it may begin before its id is written down."""
    return None if launch.launcher == "local" else os.environ.get("SLURM_JOB_ID", launch.job)


def launch_here(session: SessionFolder, token: str, timeout: float) -> None:
    """Run a keeper on this machine and wait until its Prometheus is ready.

    The lock is its own from before it exists: nobody takes a start whose command was killed for
    one that came to nothing.

    Raises
    ------
    InfrastructureError
        When it ends, or is not ready in time; with the end of its log.
    """
    with locks.holding(session.keeper_lock) as handle:
        os.ftruncate(handle, 0)
        environment = {_TOKEN: token, _HANDLE: str(handle)}
        log = session.logs / LOG
        daemon.start(MODULE, session.path, log, environment, timeout, inherited=[handle])


def keeper_of(session: SessionFolder) -> processes.Identity | None:
    """Give the process of the keeper on this machine; None of one that has not said it yet."""
    try:
        told = json.loads(session.keeper_lock.read_bytes())
        return processes.Identity(int(told["pid"]), int(told["start_time"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tell_who(handle: int) -> None:
    """Write into the lock which process this is."""
    os.set_inheritable(handle, False)  # noqa: FBT003 - the signature of os
    with contextlib.suppress(OSError):  # on a full disk it stays unsaid
        os.pwrite(handle, json.dumps(dataclasses.asdict(processes.own_identity())).encode(), 0)


def main(arguments: list[str]) -> int:
    """Keep the session in the folder named first; with a token, in the foreground of a job."""
    session = SessionFolder.at(Path(arguments[0]))
    try:
        if len(arguments) > 1:
            Keeper(session, arguments[1]).keep(lambda: None)
        else:
            token, handle = os.environ.pop(_TOKEN), int(os.environ.pop(_HANDLE))
            ready = daemon.detach(session.logs / LOG)
            _tell_who(handle)
            Keeper(session, token).keep(ready)
    except EscaladeError as error:
        daemon.say(error)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
