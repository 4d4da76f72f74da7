"""The monitoring service: what a command line, an HTTP API or a program does with sessions.

Nothing is printed here. Every method may be called by several processes and threads at once: what
changes a session holds its lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.errors import InputError
from escalade.monitoring.sessions import (
    creation,
    exporters,
    life,
    pages,
    registration,
    resolver,
    situation,
    statuses,
    targets,
)
from escalade.monitoring.sessions.record import Client, SessionFolder, session_ids

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from escalade.monitoring.sessions.life import JobWish
    from escalade.monitoring.sessions.results import Changed, Status

DEFAULT_INTERVAL_SECONDS = 5.0
WAIT_SECONDS = 15.0


class MonitoringService:
    """Sessions in a folder.

    Parameters
    ----------
    root
        Folder of the sessions; on storage that the nodes share, where Slurm is used.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def sessions(self) -> list[str]:
        """Name the sessions that there are, readable or not."""
        return session_ids(self.root)

    def create(
        self,
        session: str,
        *,
        prom_host: str = "localhost",
        port: int = 0,
        scrape_interval_seconds: float = DEFAULT_INTERVAL_SECONDS,
        rules: Sequence[Path] = (),
    ) -> Status:
        """Make a session; nothing is started.

        Parameters
        ----------
        session
            Its id: at most 64 letters, digits, `.`, `_` and `-`.
        prom_host
            Name or address where Prometheus listens. localhost is 127.0.0.1 on one machine, and
            in a Slurm job the address of its node.
        port
            Where it listens; a free one when 0.
        scrape_interval_seconds
            Between two samples of a series, 0.1 to 3600.
        rules
            Rule files, which are copied.

        Raises
        ------
        InputError
            When a value can't be used, a rule file is refused by promtool, or there is a session
            of this id.
        InfrastructureError
            When the disk is full.
        """
        folder = self._folder(session)
        record, files = creation.new_record(
            session, prom_host, port, scrape_interval_seconds, rules
        )
        folder.create(record, files)
        return self.status(session)

    def register_client(
        self,
        session: str,
        client_id: str,
        node: str,
        *,
        node_exporter: str | None = None,
        dcgm_exporter: str | None = None,
        wait: float = WAIT_SECONDS,
    ) -> Changed:
        """Connect a client, with the exporters that run on its node already.

        Parameters
        ----------
        session
            Id of the session.
        client_id
            The client; the label `client_id`.
        node
            Where it is; the label `node`.
        node_exporter, dcgm_exporter
            Where they are, as in nodeA:9100; None for none.
        wait
            Seconds to wait until they were scraped well, where Prometheus runs.

        Raises
        ------
        InputError
            When a value can't be used, or something else was registered under that name.
        InfrastructureError
            When Prometheus does not take it; everything is then as before.
        """
        client = Client(
            id=targets.checked_name(client_id, "--client-id"),
            node=targets.checked_name(node, "--node"),
        )
        given = {"node": node_exporter, "dcgm": dcgm_exporter}
        wanted = [
            pages.exporter(kind, text, client) for kind, text in given.items() if text is not None
        ]
        said = f"client {client_id} connected"
        return registration.register(self._folder(session), wanted, said, client=client, wait=wait)

    def register_service(
        self,
        session: str,
        name: str,
        endpoint: str,
        *,
        client_id: str | None = None,
        wait: float = WAIT_SECONDS,
    ) -> Changed:
        """Register the metrics of a service; see `register_services`."""
        return self.register_services(session, [(name, endpoint)], client_id=client_id, wait=wait)

    def register_services(
        self,
        session: str,
        services: Sequence[tuple[str, str]],
        *,
        client_id: str | None = None,
        wait: float = WAIT_SECONDS,
    ) -> Changed:
        """Register the metrics of many services at once: all of them, or none.

        Parameters
        ----------
        session
            Id of the session.
        services
            Name and endpoint of each; see `targets.read_endpoint`.
        client_id
            The client whose services they are; it has to be connected.
        wait
            Seconds to wait until they were scraped well, where Prometheus runs.

        Raises
        ------
        InputError
            When a value can't be used, a name or page is registered already as something else,
            or the client is not connected.
        InfrastructureError
            When Prometheus does not take them; everything is then as before.
        """
        wanted = [pages.service(name, endpoint, client_id) for name, endpoint in services]
        names = ", ".join(name for name, _ in services[:3]) + ", …" * (len(services) > 3)
        said = f"service {names} registered"
        return registration.register(self._folder(session), wanted, said, wait=wait)

    def deploy_exporter(
        self,
        session: str,
        kind: str,
        *,
        job: str | None = None,
        gpus: int = 1,
        wait: float = WAIT_SECONDS,
    ) -> Changed:
        """Start an exporter with the session, and watch it.

        Parameters
        ----------
        session
            Id of the session.
        kind
            "node", "gpu", or "process", which tells what the session itself uses.
        job
            A Slurm job on whose nodes it runs; the session's own node when None. It ends with
            the session, and with that job.
        gpus
            GPUs on each node of that job, for an exporter of GPUs.
        wait
            Seconds to wait until it was scraped well, where Prometheus runs.

        Raises
        ------
        InputError
            When there is no such kind, or the job does not run.
        InfrastructureError
            When it does not come up; everything is then as before.
        """
        if kind not in exporters.KINDS:
            raise InputError(f"--kind {kind!r}: expected one of {', '.join(exporters.KINDS)}.")
        nodes = resolver.nodes_of(pages.checked_job(job)) if job else [None]
        wanted = [pages.deployed(kind, job, node, gpus) for node in nodes]
        said = f"{kind} exporter deployed"
        return registration.register(self._folder(session), wanted, said, wait=wait)

    def remove_client(self, session: str, client_id: str) -> Changed:
        """Take a client away, with its services and exporters.

        Raises
        ------
        InputError
            When there is no such client.
        """
        return registration.remove_client(self._folder(session), client_id)

    def remove_service(self, session: str, name: str, client_id: str | None = None) -> Changed:
        """Take a service away.

        Raises
        ------
        InputError
            When there is no such service, or several clients have one and none is named.
        """
        return registration.remove_service(self._folder(session), name, client_id)

    def remove_exporter(self, session: str, kind: str, name: str) -> Changed:
        """Take an exporter away, and end it where the session started it.

        Parameters
        ----------
        session
            Id of the session.
        kind, name
            As `status` shows them: the name is that of its node.

        Raises
        ------
        InputError
            When there is no such exporter.
        """
        return registration.remove_exporter(self._folder(session), kind, name)

    def start(self, session: str, wish: JobWish | None = None, *, wait: float = 60.0) -> Changed:
        """Start Prometheus, on the data that there are; harmless when it runs.

        Parameters
        ----------
        session
            Id of the session.
        wish
            What to ask Slurm for; it runs on this machine when None.
        wait
            Seconds to wait for Slurm to start the job; it stays in the queue beyond that.

        Raises
        ------
        InputError
            When Slurm refuses the job, or it was started on another machine.
        InfrastructureError
            When Prometheus does not come up, with the end of its log.
        """
        return life.start(self._folder(session), wish, wait)

    def stop(self, session: str) -> Changed:
        """End Prometheus and the session's exporters in order; data stay. Harmless when repeated.

        Raises
        ------
        InfrastructureError
            When something does not end, or Slurm does not answer.
        """
        return life.stop(self._folder(session))

    def restart(self, session: str, wish: JobWish | None = None, *, wait: float = 60.0) -> Changed:
        """Stop and start again on the same data."""
        self.stop(session)
        return self.start(session, wish, wait=wait)

    def delete(self, session: str, *, force: bool = False) -> Changed:
        """Remove a session with all its data.

        Parameters
        ----------
        session
            Its id.
        force
            Stop it first where it runs, and remove it even if its record can't be read.

        Raises
        ------
        InputError
            When it runs, or its record can't be read, without `force`.
        """
        return life.delete(self._folder(session), force=force)

    def archive(self, session: str, destination: Path) -> Changed:
        """Write all data into one file, which `escalade monitor open` serves again.

        Raises
        ------
        InputError
            When there are no data, or `destination` exists.
        InfrastructureError
            When the disk is full; nothing is left then.
        """
        return life.archive(self._folder(session), destination)

    def status(self, session: str) -> Status:
        """Say what is true of a session now."""
        folder = self._folder(session)
        record = folder.read()
        return statuses.status_of(folder, record, situation.look(folder, record))

    def _folder(self, session: str) -> SessionFolder:
        return SessionFolder(self.root, session)
