"""The server itself: a socket that is bound before anything is said, and an end in order."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

from escalade.errors import InfrastructureError, InputError
from escalade.monitoring.http.connections import MOST, WAIT_SECONDS, BoundedConnection

if TYPE_CHECKING:
    from fastapi import FastAPI

_END_SECONDS = 10


def bind(host: str, port: int, *, guarded: bool) -> socket.socket:
    """Listen at an address.

    Parameters
    ----------
    host
        Name or address of this machine.
    port
        A free one when 0.
    guarded
        Whether a token is needed by whoever asks: without one, loopback is the only place.

    Raises
    ------
    InputError
        When `host` is no address of this machine, or is beyond loopback without a token.
    InfrastructureError
        When the port is taken.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise InputError(
            f"--host {host!r}: {error.strerror}. Expected one as in 127.0.0.1."
        ) from None
    family, kind, protocol, _, address = found[0]
    if not guarded and not on_loopback(str(address[0])):
        raise InputError(
            f"--host {host}: beyond this machine a token is needed. Set ESCALADE_MONITOR_TOKEN or "
            'name a file of mode 600 by --token-file; `python -c "import secrets; '
            'print(secrets.token_urlsafe(32))"` makes a token.'
        )
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(MOST)
    except OSError as error:
        listening.close()
        raise InfrastructureError(
            f"Port {port} of {host} can't be listened at: {error.strerror}. --port 0 takes a free "
            "one; `ip addr` lists the addresses of this machine."
        ) from error
    return listening


def on_loopback(address: str) -> bool:
    """Tell whether an address is reached from its own machine only."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def url_of(listening: socket.socket) -> str:
    """Give the URL of a socket that is listened at."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: FastAPI, *listening: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C; what is being answered then has ten seconds.

    What runs of sessions goes on: it belongs to keepers of its own. An operation that takes longer
    is given up as a killed command would be, which sessions survive.
    """
    settings = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        http=BoundedConnection,  # not what is installed by chance: parsers differ
        loop="asyncio",
        timeout_keep_alive=int(WAIT_SECONDS),
        timeout_graceful_shutdown=_END_SECONDS,
        h11_max_incomplete_event_size=1 << 16,
        proxy_headers=False,
        ws="none",
        lifespan="on",
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(settings).run(sockets=list(listening))


def leave(code: int = 0) -> None:
    """End the process where threads still work: they would keep it until they are done."""
    if any(it is not threading.current_thread() for it in threading.enumerate() if not it.daemon):
        os._exit(code)
