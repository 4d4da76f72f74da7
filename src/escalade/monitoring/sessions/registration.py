"""What a session watches is changed: its record, and Prometheus where it runs, or neither."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from escalade.errors import AbsentError, ConflictError, EscaladeError
from escalade.monitoring.sessions import (
    exporters,
    life,
    pages,
    situation,
    statuses,
    taking,
    targets,
)
from escalade.monitoring.sessions.results import Changed
from escalade.runtime.slurm.routes import addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.monitoring.sessions.pages import Wanted
    from escalade.monitoring.sessions.record import Client, Record, SessionFolder
    from escalade.monitoring.sessions.results import TargetStatus


def register(
    folder: SessionFolder,
    wanted: Sequence[Wanted],
    what: str,
    *,
    client: Client | None = None,
    wait: float,
) -> Changed:
    """Add pages, and a client; see `MonitoringService.register_services`.

    Parameters
    ----------
    folder
        The session.
    wanted
        All of them are added, or none.
    what
        What is done, in words.
    client
        Connected too.
    wait
        Seconds to wait until the pages were scraped well, where Prometheus runs.
    """
    here = functools.cache(addresses)  # once for all: a thousand times would take 0.3 s
    new = [
        found.page(here) for found in wanted
    ]  # asks Slurm where a job was named: without the lock
    keys = {page.key for page in new}
    with folder.locked():
        before = folder.read()
        settled = pages.added(before, new, client)
        found = situation.look(folder, before)
        live = found.live if found.state == "running" else None
        problems: dict[str, str] = {}
        if live is not None:
            taking.end_others(before, live)
            settled, problems = life.settle(folder, settled, live, keys)
        registry = targets.registry_of(
            settled, live.addresses if live else {}, live.ports if live else {}
        )
        changed = _watched(settled) != _watched(before)
        if changed:
            settled = settled.changed(what)
            taking.take(folder, before, settled, live, registry)
        elif live is not None:
            taking.catch_up(folder, settled, live)
    said = [problems.get(page.key, "") for page in new]
    known: tuple[TargetStatus, ...] = ()
    try:
        known = statuses.of_pages(settled, live, keys, wait) if wanted else ()
    except EscaladeError as error:
        said.append(f"it is registered, but Prometheus does not answer: {error}")
    said += [
        f"{it.kind} {it.name} ({it.url}) is {it.health}: {it.last_error or 'not scraped yet'}"
        for it in known
        if live is not None and it.url and it.health != "up"
    ]
    words = what if changed else f"{what} already"
    return Changed(
        folder.id, words, changed, live is not None, known, tuple(word for word in said if word)
    )


def remove_client(folder: SessionFolder, client_id: str) -> Changed:
    """Take a client away; see `MonitoringService.remove_client`."""
    known = [client.id for client in folder.read().clients]
    if client_id not in known:
        raise _unknown("client", client_id, known, folder.id)
    return _remove(folder, f"client {client_id} removed", client_id=client_id)


def remove_service(folder: SessionFolder, name: str, client_id: str | None) -> Changed:
    """Take a service away; see `MonitoringService.remove_service`."""
    found = [page for page in folder.read().pages if page.kind == "service"]
    same = [page for page in found if page.name == name]
    own = [page for page in same if client_id in {None, page.client_id}]
    if not own:
        raise _unknown("service", name, [page.name for page in found], folder.id)
    if len(own) > 1:
        clients = ", ".join(str(page.client_id) for page in own)
        raise ConflictError(f"Clients {clients} each have a service {name!r}: name one of them.")
    return _remove(folder, f"service {name} removed", key=own[0].key)


def remove_exporter(folder: SessionFolder, kind: str, name: str) -> Changed:
    """Take an exporter away; see `MonitoringService.remove_exporter`."""
    found = [page for page in folder.read().pages if page.kind != "service"]
    own = [page for page in found if (page.kind, page.name) == (kind, name)]
    if not own:
        known = [f"{page.kind} {page.name}" for page in found]
        raise _unknown("exporter", f"{kind} {name}", known, folder.id)
    return _remove(folder, f"{kind} exporter {name} removed", key=own[0].key)


def _watched(record: Record) -> tuple[object, ...]:
    return record.pages, record.clients, record.addresses, record.ports


def _remove(
    folder: SessionFolder, what: str, *, key: str | None = None, client_id: str | None = None
) -> Changed:
    with folder.locked():
        before = folder.read()
        gone, after = pages.without(before, key, client_id)
        found = situation.look(folder, before)
        live = found.live if found.state == "running" else None
        registry = targets.registry_of(
            after, live.addresses if live else {}, live.ports if live else {}
        )
        after = after.changed(what)
        taking.take(folder, before, after, live, registry)
        for page in gone:
            if live is not None and page.ours:
                live.call(exporters.withdraw, live.allocation, exporters.step_name(page))
        if live is not None:
            taking.end_others(after, live)
    return Changed(folder.id, what, live=live is not None)


def _unknown(what: str, name: str, known: Sequence[str], session: str) -> AbsentError:
    listed = ", ".join(dict.fromkeys(known)) or "none"
    return AbsentError(f"Session {session} has no {what} {name!r}; it has: {listed}.")
