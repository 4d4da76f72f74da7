"""How a session is started, brought up to date, stopped and removed."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.errors import ConflictError, EscaladeError, InfrastructureError, InputError
from escalade.files import tail
from escalade.monitoring import archive as archives
from escalade.monitoring import manager
from escalade.monitoring.sessions import exporters, locks, resolver, situation, taking
from escalade.monitoring.sessions.keeper import LOG, MODULE, keeper_of, launch_here
from escalade.monitoring.sessions.live import read_any_live
from escalade.monitoring.sessions.record import Launch
from escalade.monitoring.sessions.results import Changed
from escalade.runtime import driver, processes, tools
from escalade.runtime.driver import RunFolder
from escalade.runtime.slurm.commands import Slurm
from escalade.runtime.slurm.queue import Queue
from escalade.runtime.slurm.request import AllocationRequest
from escalade.runtime.slurm.script import sbatch_script

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.monitoring.sessions.live import Live
    from escalade.monitoring.sessions.record import Record, SessionFolder
    from escalade.monitoring.sessions.situation import Situation
    from escalade.runtime.slurm.request import ComponentRequest

_READY_SECONDS = 90.0
_STOP_SECONDS = 40.0
_LOOK_SECONDS = 0.05
_JOB_LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class JobWish:
    """What a session's Prometheus asks Slurm for.

    Parameters
    ----------
    component
        Partition, account, QOS, CPUs, memory: one node.
    seconds
        Time limit: the session ends with it.
    setup
        Shell lines of the site.
    interface
        Network interface by which the node is reached; the usual one when None.
    """

    component: ComponentRequest
    seconds: float
    setup: tuple[str, ...] = ()
    interface: str | None = None


def start(session: SessionFolder, wish: JobWish | None, wait: float) -> Changed:
    """Start a session; see `MonitoringService.start`."""
    with session.locked():
        record = session.read()
        found = situation.look(session, record)
        if found.held:
            return _held(session, record, found)
        tools.find("prometheus")  # before anything is written down
        sweep(session)
        launch = Launch(
            token=secrets.token_hex(8),
            launcher="local" if wish is None else "slurm",
            at=time.time(),
            host=os.uname().nodename,
            tools=str(tools.tools_folder()),
            interface=None if wish is None else wish.interface,
        )
        where = "on this machine" if wish is None else "on Slurm"
        record = record.changed(f"started {where}", launch=launch, addresses={}, ports={})
        session.write(record)
        if wish is None:
            _start_here(session, launch.token)
        else:
            launch = _submit(session, record, launch, wish)
    if wish is not None:
        return _await_job(session, str(launch.job), wait)
    return _now(session, changed=True)


def stop(session: SessionFolder) -> Changed:
    """Stop a session; see `MonitoringService.stop`."""
    with session.locked():
        record = session.read()
        found = situation.look(session, record)
        if record.launch is None or found.state == "stopped":
            sweep(session)
            return Changed(session.id, f"not running: it is {found.state}", changed=False)
        _end(session, found)
        launch = record.launch.model_copy(update={"stopped_at": time.time()})
        session.write(record.changed("stopped", launch=launch, addresses={}, ports={}))
    return Changed(session.id, f"stopped; its data are in {session.prometheus / 'data'}")


def delete(session: SessionFolder, *, force: bool) -> Changed:
    """Remove a session; see `MonitoringService.delete`."""
    with session.locked():
        try:
            found = situation.look(session, session.read())
        except InputError:
            if not force:
                raise
            _end_unread(session)
        else:
            if found.held and not force:
                raise ConflictError(
                    f"Session {session.id} is {found.state}, and its data would go with it: `escalade "
                    f"monitor stop --session {session.id}` first, or delete it with --force."
                )
            if found.state not in {"created", "stopped"}:
                _end(session, found)
        sweep(session)
        session.remove()
    return Changed(session.id, "deleted, with its data")


def archive(session: SessionFolder, destination: Path) -> Changed:
    """Write all data into one file; see `MonitoringService.archive`."""
    if destination.exists():
        raise ConflictError(f"{destination} exists: name another file.")
    with session.locked():
        found = situation.look(session, session.read())
        if found.state == "running" and found.live is not None:
            manager.archive(found.live.state, destination, found.live.call)
        elif found.held:
            raise ConflictError(f"Session {session.id} can't be archived now. {found.why}")
        else:
            _archive_stopped(session, destination)
    return Changed(session.id, f"archived in {destination}")


def settle(
    session: SessionFolder, record: Record, live: Live, keys: set[str]
) -> tuple[Record, dict[str, str]]:
    """Find where the pages of a running session are, and start its own exporters.

    Parameters
    ----------
    session, record, live
        As they are; the record with its new pages.
    keys
        The new pages. Others that were found nowhere are looked for again too.

    Returns
    -------
    tuple of Record and dict
        The record with what was found; why a page was not found, by its key.
    """
    known = {**live.addresses, **record.addresses}
    lost = [page for page in record.pages if not page.ours and page.key not in known]
    found, problems = resolver.settle(lost, live.host, live.call)
    ports: dict[str, int] = {}
    for page in record.pages:
        if not page.ours or page.key in {**live.ports, **record.ports}:
            continue
        given = exporters.order(page), str(session.logs), live.address
        try:
            ports[page.key] = live.call(exporters.deploy, live.allocation, *given)["port"]
        except EscaladeError as error:
            if page.key in keys:
                raise
            problems[page.key] = str(error)
        if page.job is None:
            found[page.key] = live.address
    update = {
        "addresses": {**record.addresses, **found},
        "ports": {**record.ports, **ports},
    }
    return record.model_copy(update=update), problems


def sweep(session: SessionFolder) -> None:
    """End what a killed keeper may have left on this machine, and remove what was half written."""
    taking.sweep_files(session, runs=False)
    for path in (session.path / "runs").glob("*/*/driver.json"):
        run = RunFolder(path.parent, 0.0)
        identity = driver.driver_identity(run.path)
        if not run.over.exists() and (identity is None or not identity.alive()):
            with contextlib.suppress(
                InfrastructureError
            ):  # all has ended; a full disk has no room to say so
                driver.sweep(run, by="next command")


def _archive_stopped(session: SessionFolder, destination: Path) -> None:
    data = session.prometheus / archives.DATA
    if not data.is_dir():
        raise ConflictError(f"Session {session.id} has no data: it was never started.")
    config = session.prometheus / archives.CONFIGURATION
    archives.pack({archives.DATA: data, archives.CONFIGURATION: config}, destination)


def _start_here(session: SessionFolder, token: str) -> None:
    try:
        (session.path / "runs").mkdir(exist_ok=True)
        launch_here(session, token, _READY_SECONDS)
    except OSError as error:
        raise InfrastructureError(
            f"Session {session.id} was not started: {session.path} can't be written: "
            f"{error.strerror or error}."
        ) from error


def _submit(session: SessionFolder, record: Record, launch: Launch, wish: JobWish) -> Launch:
    (session.path / "runs").mkdir(exist_ok=True)
    request = AllocationRequest(
        name=situation.job_name(session.id),
        components=(wish.component,),
        time_limit_seconds=wish.seconds,
        log=session.logs / "job.log",
        command=(sys.executable, "-P", "-m", MODULE, str(session.path), launch.token),
        setup=wish.setup,
    )
    slurm = Slurm()
    try:
        job = slurm.submit(sbatch_script(request), session.path / "runs")
    except BaseException:
        over = launch.model_copy(update={"stopped_at": time.time()})
        session.write(record.changed("not started: Slurm did not take the job", launch=over))
        raise
    launch = launch.model_copy(update={"job": job})
    try:
        session.write(record.changed(f"submitted as job {job}", launch=launch))
    except BaseException:
        slurm.cancel([job])
        raise
    return launch


def _await_job(session: SessionFolder, job: str, wait: float) -> Changed:
    """Wait until Prometheus runs, the job is over, or the time is up: then it stays queued."""
    deadline = time.monotonic() + wait
    while True:
        found = situation.look(session, session.read())
        if found.state in {"running", "dead", "stopped"}:
            return _now(session, changed=True)
        if time.monotonic() > deadline:
            words = f"{found.job.state} ({found.job.reason})" if found.job else found.state
            return Changed(
                session.id,
                f"submitted as job {job}, which is {words}: it starts by itself; `escalade monitor "
                f"status --session {session.id}` tells, `stop` cancels it",
            )
        time.sleep(_JOB_LOOK_SECONDS)


def _now(session: SessionFolder, *, changed: bool) -> Changed:
    found = situation.look(session, session.read())
    if found.state != "running" or found.live is None:
        log = "\n".join(f"  {line}" for line in found.log_tail)
        raise InfrastructureError(
            f"Session {session.id} did not start. {found.why}"
            + (f"\nThe end of its log:\n{log}" if log else "")
        )
    job = f" in job {found.live.job} on {found.live.node}" if found.live.job else ""
    problems = tuple(found.live.problems.values())
    url = found.live.state.url
    return Changed(session.id, f"runs at {url}{job}", changed, live=True, problems=problems)


def _held(session: SessionFolder, record: Record, found: Situation) -> Changed:
    if found.state == "running" and found.live is not None:
        taking.catch_up(session, record, found.live)
        return _now(session, changed=False)
    if found.state == "elsewhere":
        raise ConflictError(f"Session {session.id} can't be started here. {found.why}")
    return Changed(session.id, f"is {found.state} already. {found.why}".strip(), changed=False)


def _end(session: SessionFolder, found: Situation) -> None:
    """End what runs, in order: keeper, exporters and Prometheus; then what may be left."""
    if found.state == "elsewhere":
        raise ConflictError(f"Session {session.id} can't be stopped from here. {found.why}")
    if found.job is not None:
        _end_job(found.job.id, graceful=found.state == "running")
    _end_keeper(session)
    sweep(session)


def _end_keeper(session: SessionFolder) -> None:
    """End the keeper on this machine, also one that is only coming up."""
    told = False
    deadline = time.monotonic() + _STOP_SECONDS
    while locks.held(session.keeper_lock):
        keeper = keeper_of(session)
        if not told and keeper is not None:  # else it says who it is in a moment
            processes.send(keeper, signal.SIGTERM)
            told = True
        if time.monotonic() > deadline:
            said = " ".join(tail(session.logs / LOG, 3))
            kill = f"kill -9 {keeper.pid}" if keeper else f"fuser -k {session.keeper_lock}"
            raise InfrastructureError(
                f"The keeper of session {session.id} does not end ({said}). `{kill}` ends it; all "
                "that it started follows."
            )
        time.sleep(_LOOK_SECONDS)


def _end_job(job: str, *, graceful: bool) -> None:
    """Ask the keeper in a job to end, which stops Prometheus in order; then cancel the job."""
    slurm = Slurm(patience_seconds=10.0)
    if graceful:
        slurm.signal_batch(job, "TERM")
        deadline = time.monotonic() + _STOP_SECONDS
        while slurm.jobs([job])[job][0].state.running and time.monotonic() < deadline:
            time.sleep(_JOB_LOOK_SECONDS)
    Queue(slurm).end(job)


def _end_unread(session: SessionFolder) -> None:
    """End what runs of a session whose record can't be read: its keeper's file tells."""
    live = read_any_live(session.path)
    if live is not None and live.job is not None:
        _end_job(live.job, graceful=True)
    elif live is not None and not live.here() and live.host != os.uname().nodename:
        raise ConflictError(f"Session {session.id} runs on {live.host}: delete it there.")
    _end_keeper(session)
