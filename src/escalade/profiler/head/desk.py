"""What the operations of the head do, in threads where it blocks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError
from escalade.profiler.head import told
from escalade.profiler.head.latest import LatestReadings
from escalade.profiler.outputs import write_outputs
from escalade.profiler.stored import StoredReadings

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.profiler.head.database import Database
    from escalade.profiler.head.folder import HeadFolder, HeadSettings
    from escalade.profiler.head.nodes import Nodes
    from escalade.profiler.outputs import Format
    from escalade.profiler.sessions import Session

_LOOK_SECONDS = 0.1
_FLUSH_SECONDS = 1.0


class HeadDesk:
    """The work of a head.

    Parameters
    ----------
    folder, settings
        Of the head.
    database, nodes
        That it keeps.
    """

    def __init__(
        self, folder: HeadFolder, settings: HeadSettings, database: Database, nodes: Nodes
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._database = database
        self._sessions = folder.sessions
        self.nodes = nodes
        self._latest = LatestReadings(self._source, nodes, settings.interval_ms / 1000)

    def status(self) -> told.Status:
        """Tell how the head is."""
        now = time.time()
        nodes = [node for node in self.nodes.all() if not node.left]
        return told.Status(
            interval_ms=self._settings.interval_ms,
            bandwidth=self._settings.bandwidth,
            nvlink=self._settings.nvlink,
            database="ready" if self._database.ready else "starting",
            clients=len(nodes),
            healthy=sum(node.healthy(now) for node in nodes),
            sessions=[told.SessionTold.of(it) for it in self._sessions.running()],
        )

    def clients(self) -> told.Clients:
        """Tell the nodes."""
        now = time.time()
        return told.Clients(clients=[told.ClientTold.of(it, now) for it in self.nodes.all()])

    def sessions(self) -> told.Sessions:
        """Tell the sessions."""
        return told.Sessions(sessions=[told.SessionTold.of(it) for it in self._sessions.all()])

    def latest(self) -> told.Latest:
        """Tell what every GPU showed last."""
        self._insist_on_data()
        return self._latest.read()

    def start(self, asked: told.Start) -> told.SessionTold:
        """Begin a session."""
        session = self._sessions.begin(
            asked.name,
            self._settings.interval_ms,
            bandwidth=self._settings.bandwidth,
            nvlink=self._settings.nvlink,
            start=asked.start_time,
            end=asked.end_time,
        )
        return told.SessionTold.of(session)

    def stop(self, asked: told.Stop) -> told.Stopped:
        """End one session or all that run, and write their files.

        A name that has ended is written again: with what came since.
        """
        named = asked.name is not None
        chosen = [self._sessions.find(str(asked.name))] if named else self._sessions.running()
        ended = [self._sessions.stop(session) for session in chosen]
        if not ended:
            return told.Stopped(stopped=[])
        self._insist_on_data()
        missing = self._await_readings(max(it.end or 0.0 for it in ended), asked.wait_seconds)
        return told.Stopped(stopped=[self._written(session, missing) for session in ended])

    def resume(self, asked: told.Resume) -> told.SessionTold:
        """Have a session go on."""
        return told.SessionTold.of(self._sessions.resume(self._sessions.find(asked.name)))

    def file(self, name: str, kind: Format) -> Path:
        """Write the file of a session as far as it is, and give its path."""
        self._insist_on_data()
        session = self._sessions.find(name)
        written = write_outputs(session, self._source(), self._folder.output, (kind,))
        return written.files[0]

    def connect(self, asked: told.Connect) -> told.Connected:
        """Take a node in."""
        self.nodes.connect(asked.node, asked.instance, asked.gpus, asked.clock_offset_seconds)
        return told.Connected(
            interval_ms=self._settings.interval_ms,
            bandwidth=self._settings.bandwidth,
            nvlink=self._settings.nvlink,
        )

    def leave(self, asked: told.Leave) -> told.Done:
        """Take note that a node ends."""
        self.nodes.leave(asked.node, asked.instance)
        return told.Done()

    def _source(self) -> StoredReadings:
        return StoredReadings(self._database.url)

    def _insist_on_data(self) -> None:
        if not self._database.ready:
            raise InfrastructureError(
                "The head's Prometheus is starting: after a death it first reads what it had in "
                "memory. Ask again in a moment; nothing is lost."
            )

    def _await_readings(self, end: float, seconds: float) -> list[str]:
        """Wait until every node has sent what it read until then; name those that have not."""
        deadline = time.monotonic() + seconds
        while True:
            missing = self._behind(end + self._settings.interval_ms / 1000 + _FLUSH_SECONDS)
            if not missing or time.monotonic() >= deadline:
                return missing
            time.sleep(_LOOK_SECONDS)

    def _behind(self, until: float) -> list[str]:
        return [
            node.name
            for node in self.nodes.all()
            if not node.left and (node.last_seen < until or (node.queue_bytes or 0) > 0)
        ]

    def _written(self, session: Session, missing: list[str]) -> told.Output:
        written = write_outputs(session, self._source(), self._folder.output)
        return told.Output(
            session=told.SessionTold.of(session),
            files=[str(path) for path in written.files],
            frames=written.frames,
            gpus=written.gpus,
            incomplete=missing,
        )
