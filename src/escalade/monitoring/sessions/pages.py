"""Pages as they are registered: from what was said to an entry of the record."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from escalade.errors import ConflictError, InputError
from escalade.monitoring.sessions import resolver
from escalade.monitoring.sessions.record import Client, Page, Record
from escalade.monitoring.sessions.targets import (
    Endpoint,
    checked_name,
    checked_service,
    read_endpoint,
)
from escalade.runtime.slurm.routes import addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from escalade.monitoring.sessions.record import Kind

_PORTS = {"node": 9100, "dcgm": 9400}
"""What exporters listen on by default."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A page that is to be registered.

    Parameters
    ----------
    kind, name, client_id, node
        What it is.
    given
        As it was said.
    endpoint
        Where it is; None of an exporter that the session starts.
    job, gpus
        Of an exporter that the session starts in another job.
    """

    kind: str
    name: str
    client_id: str | None
    node: str | None
    given: str
    endpoint: Endpoint | None
    job: str | None = None
    gpus: int = 0

    def page(self, here: Callable[[], list[str]] = addresses) -> Page:
        """Find out where it may be.

        Parameters
        ----------
        here
            Gives the addresses of this machine.

        Raises
        ------
        InputError
            When a job was named that does not run.
        """
        endpoint = self.endpoint
        if endpoint is None:
            hosts: tuple[str, ...] = () if self.job is None else (str(self.node),)
            port, path = 0, "/metrics"
        else:
            hosts, port, path = resolver.hosts_of(endpoint, here=here), endpoint.port, endpoint.path
        return Page(
            kind=cast("Kind", self.kind),
            name=self.name,
            client_id=self.client_id,
            node=self.node,
            given=self.given,
            hosts=hosts,
            port=port,
            path=path,
            ours=endpoint is None,
            said_on=os.uname().nodename,
            job=self.job or (endpoint.job if endpoint else None),
            gpus=self.gpus,
        )


def service(name: str, endpoint: str, client_id: str | None) -> Wanted:
    """Give a service."""
    if client_id is not None:
        checked_name(client_id, "--client-id")
    where = read_endpoint(endpoint, "--endpoint")
    return Wanted("service", checked_service(name), client_id, None, endpoint, where)


def exporter(kind: str, given: str, client: Client) -> Wanted:
    """Give an exporter that runs on a client's node."""
    where = read_endpoint(given, f"--{kind}-exporter", _PORTS[kind])
    return Wanted(kind, client.node, client.id, client.node, given, where)


def deployed(kind: str, job: str | None, node: str | None, gpus: int) -> Wanted:
    """Give an exporter that the session starts."""
    where = node or os.uname().nodename if job else "session"
    given = f"job:{job}" if job else "the session's node"
    return Wanted(kind, where, None, node, given, None, job, gpus if kind == "gpu" and job else 0)


def checked_job(job: str) -> str:
    """Insist on the number of a job."""
    number = job.removeprefix("job:")
    if not number.isascii() or not number.isdigit():
        raise InputError(f"--job {job!r}: expected the number of a Slurm job, as in 1234.")
    return number


def added(record: Record, new: Sequence[Page], client: Client | None) -> Record:
    """Give the record with more pages; one that is there as it is stays.

    Raises
    ------
    InputError
        When something else is registered under that name, or a client is not connected.
    """
    clients = {known.id: known for known in record.clients}
    if client is not None:
        known = clients.setdefault(client.id, client)
        if known.node != client.node:
            raise ConflictError(
                f"Client {client.id!r} is connected from node {known.node!r}, not "
                f"{client.node!r}. Remove it first (client-remove), or name another client."
            )
    entries = {page.key: page for page in record.pages}
    for page in new:
        if page.client_id is not None and page.client_id not in clients:
            raise ConflictError(
                f"Client {page.client_id!r} is not connected to session {record.id}; connected: "
                f"{', '.join(clients) or 'none'}. `escalade monitor client-connect` connects one."
            )
        there = entries.setdefault(page.key, page)
        if _said(there) != _said(page):
            raise ConflictError(
                f"{page.kind} {page.name!r} of client {page.client_id or '(none)'} is registered "
                f"as {there.given} already, not as {page.given}. Remove it first, or name the new "
                "one otherwise."
            )
    return record.model_copy(
        update={"clients": tuple(clients.values()), "pages": tuple(entries.values())}
    )


def without(record: Record, key: str | None, client_id: str | None) -> tuple[list[Page], Record]:
    """Give the pages that go, and the record without them."""
    gone = [
        page
        for page in record.pages
        if page.key == key or (client_id is not None and page.client_id == client_id)
    ]
    keys = {page.key for page in gone}
    return gone, record.model_copy(
        update={
            "pages": tuple(page for page in record.pages if page.key not in keys),
            "clients": tuple(it for it in record.clients if it.id != client_id),
            "addresses": {name: at for name, at in record.addresses.items() if name not in keys},
            "ports": {name: at for name, at in record.ports.items() if name not in keys},
        }
    )


def _said(page: Page) -> tuple[object, ...]:
    return page.given, page.port, page.path, page.job, page.said_on if len(page.hosts) > 1 else ""
