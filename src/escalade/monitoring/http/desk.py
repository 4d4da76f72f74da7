"""Where the operations do their work: the service, and threads for what blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import to_thread

from escalade.errors import AbsentError, InputError
from escalade.monitoring.http.problems import BusyError
from escalade.monitoring.sessions.record import SessionFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.monitoring.http.limits import Limits
    from escalade.monitoring.http.wanted import SlurmJob
    from escalade.monitoring.sessions.life import JobWish
    from escalade.monitoring.sessions.service import MonitoringService

T = TypeVar("T")


class Desk:
    """What the operations share.

    Parameters
    ----------
    service
        Does the work.
    limits
        Bounds.
    job_wish
        Turns what a request says of a Slurm job into what Slurm is asked for; None where the
        server has no site file to look into.
    """

    def __init__(
        self,
        service: MonitoringService,
        limits: Limits,
        job_wish: Callable[[SlurmJob], JobWish] | None,
    ) -> None:
        self.service = service
        self.limits = limits
        self._job_wish = job_wish
        self._brief, self._long = _Threads(limits.brief), _Threads(limits.long)

    def open(self) -> None:
        """Be ready for requests: once for every run of the application, which has its own loop."""
        self._brief, self._long = _Threads(self.limits.brief), _Threads(self.limits.long)

    async def ask(self, work: Callable[[], T]) -> T:
        """Do what only looks, in a thread."""
        return await self._brief.run(work)

    async def change(self, work: Callable[[], T]) -> T:
        """Do what changes something or takes long, in a thread."""
        return await self._long.run(work)

    def wait(self, seconds: float) -> float:
        """Cut a time to wait."""
        return min(seconds, self.limits.wait_seconds)

    def wish(self, asked: SlurmJob) -> JobWish:
        """Say what Slurm is asked for.

        Raises
        ------
        InputError
            When this server starts no Slurm jobs, or the site does not allow it.
        """
        if self._job_wish is None:
            raise InputError("slurm: this server starts no Slurm jobs; leave it out.")
        return self._job_wish(asked)

    def folder(self, session: str) -> SessionFolder:
        """Give the folder of a session that is there.

        Raises
        ------
        AbsentError
            When there is no such session.
        """
        folder = SessionFolder(self.service.root, session)
        if not folder.exists():
            known = ", ".join(self.service.sessions()) or "none"
            raise AbsentError(f"There is no session {session!r}; there: {known}.")
        return folder


class _Threads:
    """At most so many threads, and four times as many requests that wait for one."""

    def __init__(self, number: int) -> None:
        self._limiter = anyio.CapacityLimiter(number)
        self._most_waiting = 4 * number

    async def run(self, work: Callable[[], T]) -> T:
        if self._limiter.statistics().tasks_waiting >= self._most_waiting:
            raise BusyError("All threads of the server are at work. Ask again in a moment.")
        return await to_thread.run_sync(work, limiter=self._limiter)
