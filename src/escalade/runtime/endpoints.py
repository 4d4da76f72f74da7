"""Addresses and ports: what is free, how others reach this node, when a server answers."""

from __future__ import annotations

import errno
import fcntl
import random
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from escalade.errors import InfrastructureError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

_GIVEN_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_GIVEN_BY_DEFAULT = 32768
_OWN_PORTS, _TRIES = 8192, 20
_SIOCGIFADDR = 0x8915
_LOOK_SECONDS = 0.05


def free_port(host: str = "127.0.0.1") -> int:
    """Find a TCP port that nobody uses on `host` at this moment.

    It lies below those that the kernel gives to whoever asks for any: srun listens on
    several of these, and may be given one between this call and its use (tried).

    Raises
    ------
    InfrastructureError
        When `host` is not an address of this machine, or no port is left.
    """
    first = _first_given_port()
    tries = random.sample(range(first - _OWN_PORTS, first), _TRIES)
    for port in (*tries, 0):
        try:
            with socket.create_server((host, port)) as server:
                return int(server.getsockname()[1])
        except OSError as error:
            failure = error
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                break
    raise InfrastructureError(
        f"No free port on {host}: {failure.strerror or failure}. "
        "Expected an address of this machine; `ip addr` lists them."
    ) from failure


def _first_given_port() -> int:
    """Give the first of the ports that the kernel gives away by itself (ip(7))."""
    try:
        told = int(_GIVEN_PORTS.read_text("ascii").split()[0])
    except (OSError, ValueError, IndexError):
        told = _GIVEN_BY_DEFAULT
    return told if told > _OWN_PORTS + 1024 else _GIVEN_BY_DEFAULT


def node_address(interface: str | None = None) -> str:
    """Give the address under which other nodes reach this one.

    Parameters
    ----------
    interface
        Name of a network interface, such as "ib0"; by default the host name where
        it resolves beyond loopback, else the address of the default route.

    Returns
    -------
    str
        A host name or an IPv4 address; "127.0.0.1" on a machine without network.

    Raises
    ------
    InputError
        When there is no such interface, or it has no IPv4 address.
    """
    if interface is not None:
        return _interface_address(interface)
    name = socket.gethostname()
    try:
        resolved = socket.gethostbyname(name)
    except OSError:
        resolved = "127.0.0.1"
    return _route_address() if resolved.startswith("127.") else name


def wait_http(url: str, timeout: float, watch: Callable[[], str | None] = lambda: None) -> float:
    """Ask `url` until it answers 200.

    Parameters
    ----------
    url
        Plain http; proxies are not used.
    timeout
        Seconds to wait in all.
    watch
        Asked between the tries; a sentence such as "prometheus exited with code 1"
        ends the waiting.

    Returns
    -------
    float
        Seconds until the answer.

    Raises
    ------
    InfrastructureError
        When `watch` gives a cause, or nothing good was heard in time; the message
        says what was heard last.
    """
    start = time.monotonic()
    while True:
        heard = _status(url, min(2.0, timeout))
        waited = time.monotonic() - start
        if heard == "200":
            return waited
        if cause := watch():
            raise InfrastructureError(f"{url} will not answer: {cause}.")
        if waited >= timeout:
            raise InfrastructureError(
                f"{url} did not answer 200 within {timeout:g} s (last: {heard}). "
                "Its log says what it was doing; allow more time if it was still starting."
            )
        time.sleep(_LOOK_SECONDS)


def _status(url: str, timeout: float) -> str:
    import http.client  # noqa: PLC0415 - brings ssl and email along, which keepers need not load

    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise InputError(f"{url!r} is no plain http URL, as in http://127.0.0.1:9090/-/ready.")
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}")
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()


def _interface_address(interface: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        request = struct.pack("256s", interface.encode()[:15])
        try:
            answer = fcntl.ioctl(query.fileno(), _SIOCGIFADDR, request)
        except OSError as error:
            known = ", ".join(name for _, name in socket.if_nameindex())
            raise InputError(
                f"Network interface {interface!r} has no IPv4 address here "
                f"({error.strerror}). Interfaces of this node: {known}."
            ) from error
    return socket.inet_ntoa(answer[20:24])


def _route_address() -> str:
    """Ask the routing table: connecting a datagram socket sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        try:
            query.connect(("192.0.2.1", 9))  # RFC 5737: an address of nobody
        except OSError:
            return "127.0.0.1"
        return str(query.getsockname()[0])
