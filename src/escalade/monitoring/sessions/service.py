"""The monitoring service: what a command line, an HTTP API or a program does with sessions.

Nothing is printed here. Every method may be called by several processes and threads at once: what
changes a session holds its lock.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from escalade.errors import InputError
from escalade.monitoring import archive as archives
from escalade.monitoring import manager, renderer
from escalade.monitoring.sessions import (
    exporters,
    life,
    pages,
    resolver,
    situation,
    statuses,
    targets,
)
from escalade.monitoring.sessions.keeper import rule_files
from escalade.monitoring.sessions.record import Client, Record, SessionFolder, session_ids
from escalade.monitoring.sessions.results import Changed, Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from escalade.monitoring.registry import Registry
    from escalade.monitoring.sessions.life import JobWish
    from escalade.monitoring.sessions.pages import Wanted
    from escalade.monitoring.sessions.situation import Situation

DEFAULT_INTERVAL_SECONDS = 5.0
WAIT_SECONDS = 15.0
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?")
_MOST_PORT = 65535
_LEAST_INTERVAL, _MOST_INTERVAL = 0.1, 3600.0


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
        if not _HOST.fullmatch(prom_host) or prom_host == "0.0.0.0":  # noqa: S104 - refused
            raise InputError(
                f"--prom-host {prom_host!r}: expected a host name or an IPv4 address at which "
                "Prometheus can be asked, as in localhost."
            )
        if not 0 <= port <= _MOST_PORT:
            raise InputError(f"--port {port}: expected 1 to {_MOST_PORT}, or 0 for a free one.")
        if not _LEAST_INTERVAL <= scrape_interval_seconds <= _MOST_INTERVAL:
            raise InputError(
                f"--scrape-interval {scrape_interval_seconds}: expected {_LEAST_INTERVAL:g} to "
                f"{_MOST_INTERVAL:g} seconds."
            )
        texts = {f"{n:02d}-{_plain(path.name)}": _rules(path) for n, path in enumerate(rules, 1)}
        record = Record(
            id=session,
            created_at=time.time(),
            prom_host=prom_host,
            port=port,
            scrape_interval_seconds=scrape_interval_seconds,
            rules=tuple(texts),
        ).changed("created")
        folder.create(record, texts)
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
        return self._register(session, wanted, f"client {client_id} connected", client, wait)

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
        return self._register(session, wanted, f"service {names} registered", None, wait)

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
        return self._register(session, wanted, f"{kind} exporter deployed", None, wait)

    def remove_client(self, session: str, client_id: str) -> Changed:
        """Take a client away, with its services and exporters.

        Raises
        ------
        InputError
            When there is no such client.
        """
        known = [client.id for client in self._folder(session).read().clients]
        if client_id not in known:
            raise _unknown("client", client_id, known, session)
        return self._remove(session, f"client {client_id} removed", client_id=client_id)

    def remove_service(self, session: str, name: str, client_id: str | None = None) -> Changed:
        """Take a service away.

        Raises
        ------
        InputError
            When there is no such service, or several clients have one and none is named.
        """
        found = [page for page in self._folder(session).read().pages if page.kind == "service"]
        same = [page for page in found if page.name == name]
        own = [page for page in same if client_id in {None, page.client_id}]
        if not own:
            raise _unknown("service", name, [page.name for page in found], session)
        if len(own) > 1:
            clients = ", ".join(str(page.client_id) for page in own)
            raise InputError(f"Clients {clients} each have a service {name!r}: name one of them.")
        return self._remove(session, f"service {name} removed", key=own[0].key)

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
        found = [page for page in self._folder(session).read().pages if page.kind != "service"]
        own = [page for page in found if (page.kind, page.name) == (kind, name)]
        if not own:
            known = [f"{page.kind} {page.name}" for page in found]
            raise _unknown("exporter", f"{kind} {name}", known, session)
        return self._remove(session, f"{kind} exporter {name} removed", key=own[0].key)

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
        folder = self._folder(session)
        if destination.exists():
            raise InputError(f"{destination} exists: name another file.")
        with folder.locked():
            found = situation.look(folder, folder.read())
            if found.state == "running" and found.live is not None:
                manager.archive(found.live.state, destination, found.live.call)
            elif found.held:
                raise InputError(f"Session {session} can't be archived now. {found.why}")
            else:
                _archive_stopped(folder, destination)
        return Changed(session, f"archived in {destination}")

    def status(self, session: str) -> Status:
        """Say what is true of a session now."""
        folder = self._folder(session)
        record = folder.read()
        return statuses.status_of(folder, record, situation.look(folder, record))

    def _folder(self, session: str) -> SessionFolder:
        return SessionFolder(self.root, session)

    def _register(
        self,
        session: str,
        wanted: Sequence[Wanted],
        what: str,
        client: Client | None,
        wait: float,
    ) -> Changed:
        folder = self._folder(session)
        new = [
            found.page() for found in wanted
        ]  # asks Slurm where a job was named: without the lock
        keys = {page.key for page in new}
        with folder.locked():
            before = folder.read()
            record = pages.added(before, new, client)
            found = situation.look(folder, before)
            live = found.live if found.state == "running" else None
            settled: Record = record
            problems: dict[str, str] = {}
            if live is not None:
                settled, problems = life.settle(folder, record, live, keys)
            registry = targets.registry_of(
                settled, live.addresses if live else {}, live.ports if live else {}
            )
            changed = (settled.pages, settled.clients, settled.addresses, settled.ports) != (
                before.pages,
                before.clients,
                before.addresses,
                before.ports,
            )
            if changed:
                settled = settled.changed(what)
                self._take(folder, before, settled, found, registry)
        known = statuses.of_pages(settled, live, keys, wait) if wanted else ()
        said = [problems.get(page.key, "") for page in new]
        said += [
            f"{it.kind} {it.name} ({it.url}) is {it.health}: {it.last_error or 'not scraped yet'}"
            for it in known
            if live is not None and it.url and it.health != "up"
        ]
        words = what if changed else f"{what} already"
        return Changed(
            session, words, changed, live is not None, known, tuple(word for word in said if word)
        )

    def _remove(
        self, session: str, what: str, *, key: str | None = None, client_id: str | None = None
    ) -> Changed:
        folder = self._folder(session)
        with folder.locked():
            before = folder.read()
            gone, after = pages.without(before, key, client_id)
            found = situation.look(folder, before)
            live = found.live if found.state == "running" else None
            registry = targets.registry_of(
                after, live.addresses if live else {}, live.ports if live else {}
            )
            after = after.changed(what)
            self._take(folder, before, after, found, registry)
            for page in gone:
                if live is not None and page.ours:
                    live.call(exporters.withdraw, live.allocation, exporters.step_name(page))
        return Changed(session, what, live=live is not None)

    def _take(
        self,
        folder: SessionFolder,
        before: Record,
        after: Record,
        found: Situation,
        registry: Registry,
    ) -> None:
        """Write the record and have Prometheus take it; as before, where that fails."""
        folder.write(after)
        if found.state != "running" or found.live is None:
            return
        try:
            manager.reload(
                found.live.state,
                registry,
                rule_files(folder, after),
                lambda path: renderer.check("config", path),
            )
        except BaseException:
            folder.write(before)
            raise


def _archive_stopped(folder: SessionFolder, destination: Path) -> None:
    data = folder.prometheus / archives.DATA
    if not data.is_dir():
        raise InputError(f"Session {folder.id} has no data: it was never started.")
    config = folder.prometheus / archives.CONFIGURATION
    archives.pack({archives.DATA: data, archives.CONFIGURATION: config}, destination)


def _rules(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--rules {path} can't be read: {error}.") from error
    renderer.check("rules", path)
    return text


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name)[-60:]


def _unknown(what: str, name: str, known: Sequence[str], session: str) -> InputError:
    listed = ", ".join(dict.fromkeys(known)) or "none"
    return InputError(f"Session {session} has no {what} {name!r}; it has: {listed}.")
