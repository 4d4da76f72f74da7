"""What is registered, checked and turned into targets of Prometheus."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from escalade.errors import InputError
from escalade.monitoring.registry import Registry, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from escalade.monitoring.sessions.record import Page, Record

_JOB = re.compile(r"(?:job:)?(?P<job>[1-9][0-9]{0,9})")
_NAMED_JOB = re.compile(r"(?P<start>(?:http://)?)job:(?P<job>[1-9][0-9]{0,9})(?P<rest>(?:[:/].*)?)")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?|[A-Za-z0-9]")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_MOST_SIGNS = 128
_KINDS = ("node", "dcgm", "gpu", "process")
LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")
"""Hosts that mean the machine where they are written."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a page is, as it was said.

    Parameters
    ----------
    host
        Name or address, an IPv6 one in brackets; "" where a job was named.
    port, path
        Of the page.
    job
        The Slurm job on whose nodes it is; None where a host was named.
    """

    host: str
    port: int
    path: str
    job: str | None = None

    @property
    def loopback(self) -> bool:
        """Whether it means the machine where it was written."""
        return self.host in LOOPBACK or self.host.startswith("127.")


def read_endpoint(text: str, option: str, default_port: int | None = None) -> Endpoint:
    """Read where a page is.

    Parameters
    ----------
    text
        `http://host:port/path`, `host:port`, or `job:1234:port/path`; a number in the place of
        the host is a Slurm job too. The path is /metrics by default.
    option
        Named in errors.
    default_port
        Where none is said; it has to be said when None.

    Raises
    ------
    InputError
        When it is no such thing, or holds what Prometheus would not be given: another scheme, a
        user or a password, a query, a fragment.
    """

    def refused(why: str) -> InputError:
        shown = "(with a user)" if "@" in text else repr(text)  # a password is not said again
        return InputError(
            f"{option} {shown}: {why}. Expected http://HOST:PORT/metrics, HOST:PORT, or "
            "job:ID:PORT for a Slurm job."
        )

    if not text.isascii() or not text.isprintable() or " " in text:
        raise refused("it has blanks, control signs or signs beyond ASCII")
    named = _NAMED_JOB.fullmatch(text)
    plain = f"{named['start']}{named['job']}{named['rest']}" if named else text
    try:
        parts = urlsplit(plain if "://" in plain else f"http://{plain}")
    except ValueError as error:
        raise refused(str(error)) from None
    if parts.scheme != "http":
        raise refused(f"the scheme {parts.scheme!r} is not scraped, only plain http")
    if "@" in parts.netloc:
        raise refused("user and password are not kept in a session")
    if "?" in plain or "#" in plain:
        raise refused("a query or a fragment is no part of a page that is scraped")
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise refused("the port is no number of 1 to 65535") from None
    path = parts.path if parts.path not in {"", "/"} else "/metrics"
    if not _PATH.fullmatch(path) or ".." in path.split("/"):
        raise refused(f"the path {path!r} is not one as in /metrics")
    job = _JOB.fullmatch(host)
    known = "" if job else _host(host, refused)
    port = default_port if port is None else port
    if not port:
        raise refused("it has no port")
    return Endpoint(known, port, path, job["job"] if job else None)


def _host(host: str, refused: Callable[[str], InputError]) -> str:
    if ":" in host:
        try:
            address = ipaddress.IPv6Address(host)
        except ValueError:
            raise refused(f"{host!r} is no IPv6 address") from None
        return f"[{address}]"
    if not host or not _HOST.fullmatch(host):
        raise refused(f"{host!r} is no host name")
    if host.replace(".", "").isdigit():
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise refused(f"{host!r} is no IPv4 address") from None
    if host == "0.0.0.0":  # noqa: S104 - refused
        raise refused("0.0.0.0 is all addresses of a server, none to ask at")
    return host


def checked_name(text: str, option: str) -> str:
    """Insist on a name that can be a label and a line on a terminal.

    Raises
    ------
    InputError
        When it is empty, long, or has blanks at its ends, control signs or invisible ones.
    """
    if not 0 < len(text) <= _MOST_SIGNS or not text.isprintable() or text != text.strip():
        raise InputError(
            f"{option} {text[:_MOST_SIGNS]!r}: expected 1 to {_MOST_SIGNS} printable signs, no "
            "blanks at its ends."
        )
    return text


def checked_service(text: str) -> str:
    """Insist on a name of a service; it becomes the job of its target.

    Raises
    ------
    InputError
        When it is none, or means an exporter.
    """
    if checked_name(text, "--name") in _KINDS:
        raise InputError(
            f"--name {text!r}: {', '.join(_KINDS)} are the jobs of exporters; name the service "
            "otherwise."
        )
    return text


def labels_of(page: Page) -> dict[str, str]:
    """Give the labels of a page's samples."""
    exporter = {} if page.kind == "service" else {"exporter": f"{page.kind}_exporter"}
    service = {"service": page.name} if page.kind == "service" else {}
    known = {"client_id": page.client_id, "node": page.node}
    return {**exporter, **service, **{name: value for name, value in known.items() if value}}


def target_of(page: Page, host: str, port: int) -> Target:
    """Give the target of a page; a service's name is the job, so that slices are by service."""
    job = page.name if page.kind == "service" else page.kind
    return Target(job, f"{host}:{port}", page.path, labels_of(page))


def placed(
    record: Record, found: Mapping[str, str], ports: Mapping[str, int]
) -> dict[str, tuple[str, int]]:
    """Give host and port of every page of which they are known, by its key.

    Parameters
    ----------
    record
        Of the session.
    found
        Hosts that Prometheus' node reached, where several were possible.
    ports
        Of the exporters that the session started.
    """
    hosts = {page.key: page.hosts[0] for page in record.pages if len(page.hosts) == 1}
    hosts |= {**found, **record.addresses}
    own = {**ports, **record.ports}
    at = {page.key: own.get(page.key, 0) if page.ours else page.port for page in record.pages}
    return {key: (hosts[key], port) for key, port in at.items() if port and key in hosts}


def registry_of(record: Record, found: Mapping[str, str], ports: Mapping[str, int]) -> Registry:
    """Give the targets of a session: an exporter that several clients registered is one target.

    Raises
    ------
    InputError
        When a page was registered as two different things.
    """
    registry = Registry()
    seen: dict[tuple[str, str], Target] = {}
    where = placed(record, found, ports)
    for page in record.pages:
        if page.key not in where:
            continue
        target = target_of(page, *where[page.key])
        first = seen.setdefault((target.address, target.path), target)
        if first is not target and first.job == target.job and page.kind != "service":
            continue
        registry.add(target)
    return registry
