"""How a session is: from its record, its keeper's files, the keeper itself and Slurm."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.errors import EscaladeError
from escalade.files import tail
from escalade.monitoring.sessions import locks, results
from escalade.monitoring.sessions.keeper import LOG
from escalade.monitoring.sessions.live import Live, damaged, read_ended, read_live
from escalade.runtime.slurm.commands import Slurm, SlurmUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.monitoring.sessions.record import Launch, Record, SessionFolder
    from escalade.monitoring.sessions.results import State

_LOG_LINES = 10
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Situation:
    """How a session is.

    Parameters
    ----------
    state
        See `State`.
    live
        What runs, or ran last.
    job
        Its Slurm job.
    why
        Of one that is dead, queued or elsewhere: why.
    log_tail
        The end of the log, of one that is dead.
    """

    state: State
    live: Live | None = None
    job: results.Job | None = None
    why: str = ""
    log_tail: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Whether something of it may be running."""
        return self.state in {"queued", "starting", "running", "elsewhere"}


def look(
    session: SessionFolder, record: Record, slurm: Callable[[], Slurm] | None = None
) -> Situation:
    """Tell how a session is now."""
    launch = record.launch
    if launch is None:
        return Situation("created")
    live = read_live(session.path, launch.token)
    if launch.stopped_at is not None:
        return Situation("stopped", live)
    if launch.launcher == "slurm":
        job = launch.job or (live.job if live else None)
        if job is None:
            why = f"No job of it is known: `squeue --me --name {job_name(session.id)}` shows one."
            state: State = "starting" if session.busy() else "dead"
            return Situation(state, why=why)
        return _in_job(session, launch, live, job, (slurm or _brief)())
    return _local(session, launch, live)


def _brief() -> Slurm:
    return Slurm(timeout_seconds=10.0, patience_seconds=_PATIENCE_SECONDS)


def _local(session: SessionFolder, launch: Launch, live: Live | None) -> Situation:
    here = os.uname().nodename
    if launch.host != here:
        why = f"It was started on {launch.host}, and this is {here}: ask there."
        return Situation("elsewhere", live, why=why)
    if live is not None and live.keeper_alive():
        return Situation("running", live)
    if live is None and (locks.held(session.keeper_lock) or session.busy()):
        return Situation("starting", why=_unread(session))
    return _dead(session, launch, live, None)


def _unread(session: SessionFolder) -> str:
    """Say that what the keeper wrote can't be read; "" where it only has not written yet."""
    if not damaged(session.path):
        return ""
    return (
        f"Its keeper runs, but {session.path / 'live.json'} can't be read. `escalade monitor stop "
        f"--session {session.id}` ends it, and `start` goes on with its data."
    )


def job_name(session: str) -> str:
    """Name the Slurm job of a session."""
    return f"monitor.{session}"[:64]


def _in_job(
    session: SessionFolder, launch: Launch, live: Live | None, number: str, slurm: Slurm
) -> Situation:
    try:
        component = slurm.jobs([number])[number][0]
    except (SlurmUnreachableError, EscaladeError) as error:
        unknown = results.Job(number, "UNKNOWN", "Slurm does not answer", (), None)
        return Situation("elsewhere", live, unknown, why=f"Slurm can't be asked about it: {error}")
    job = results.Job(
        number,
        str(component.state),
        "" if component.reason == "None" else component.reason,
        component.nodes,
        component.time_left_seconds,
    )
    if component.state.running:
        return _running_job(session, launch, live, job)
    if component.state.ended or component.gone:
        return _dead(session, launch, live, job)
    return Situation("queued", None, job, why=f"Job {number} is {job.state} ({job.reason}).")


def _running_job(
    session: SessionFolder, launch: Launch, live: Live | None, job: results.Job
) -> Situation:
    if read_ended(session.path, launch.token) is not None:
        return _dead(session, launch, live, job)
    return Situation("starting" if live is None else "running", live, job)


def _dead(
    session: SessionFolder, launch: Launch, live: Live | None, job: results.Job | None
) -> Situation:
    ended = read_ended(session.path, launch.token)
    if ended is not None and ended.how != "was stopped":
        how = f"Prometheus {ended.how}"
    elif job is not None:
        reason = f", {job.reason}" if job.reason else ""
        how = f"Its job {job.id} is over: {job.state}{reason}"
    elif ended is not None:
        how = "Prometheus was stopped by a signal to its keeper"
    else:
        how = "Its keeper was killed, or the machine was started up again"
    log = session.logs / "prometheus.log"
    lines = tail(log, _LOG_LINES) if live else tail(session.logs / LOG, _LOG_LINES)
    lines = lines or tail(session.logs / "job.log", _LOG_LINES)
    why = (
        f"{how}. Its data are kept: `escalade monitor start --session {session.id}` goes on with "
        "them."
    )
    return Situation("dead", live, job, why, tuple(lines))
