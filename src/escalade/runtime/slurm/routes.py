"""Which address of a node the other nodes reach, found by trying.

A node may have an address per network, of which some lead nowhere from elsewhere
(Infiniband without IP, a bridge of containers that every node has). An answer alone
proves nothing: it may come from another machine with that address, so a word is asked for.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from escalade.errors import InfrastructureError
from escalade.runtime.endpoints import node_address
from escalade.runtime.slurm.script import clean_environment
from escalade.runtime.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NOTE = "listening"
_LISTEN_SECONDS = 60.0
_CONNECT_SECONDS = 2.0
_START_SECONDS = 30.0
_LOOK_SECONDS = 0.02


def addresses(interface: str | None = None) -> list[str]:
    """List the addresses of this node that others may reach, the likeliest first.

    Parameters
    ----------
    interface
        The one to use; all that are up when None.
    """
    first = node_address(interface)
    if interface is not None:
        return [first]
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    found = [
        entry.address
        for name, entries in psutil.net_if_addrs().items()
        for entry in entries
        if name in up and entry.family == socket.AF_INET
    ]
    beyond = [address for address in found if not address.startswith("127.")]
    known = _resolved(first)
    return list(dict.fromkeys([first, *(address for address in beyond if address != known)]))


def listen(folder: str, name: str, token: str) -> bool:
    """Answer with the token on every address of this node, until the step is ended."""
    with socket.create_server(("", 0)) as server:
        server.settimeout(_LISTEN_SECONDS)
        port = {"port": int(server.getsockname()[1])}
        Spool(Path(folder)).write(name, _NOTE, token, port)
        with contextlib.suppress(TimeoutError):
            while True:
                caller, _ = server.accept()
                with caller, contextlib.suppress(OSError):
                    caller.sendall(token.encode())
    return True


def first_reached(candidates: Sequence[str], port: int, token: str) -> str | None:
    """Give the first address where the token is heard; None when it is at none."""
    return next((address for address in candidates if _hears(address, port, token)), None)


def choose(
    node: str,
    candidates: Sequence[str],
    folder: Path,
    command: Callable[..., tuple[str, ...]],
    reach: Callable[[Sequence[str], int, str], str | None],
) -> str:
    """Choose the address by which a node is reached.

    Parameters
    ----------
    node
        Its name.
    candidates
        Its addresses.
    folder
        Where it writes its port; on storage that both sides see.
    command
        Gives the command that calls a function of a module on the node.
    reach
        Calls `first_reached` where the node has to be reached from.

    Raises
    ------
    InfrastructureError
        When it is reached at none of them, or does not listen.
    """
    token, name = secrets.token_hex(8), f"route-{node}"
    listener = subprocess.Popen(
        command(listen, str(folder), name, token),
        env=clean_environment(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        port = _await_port(Spool(folder), name, token, listener)
        found = reach(candidates, port, token)
    finally:
        listener.terminate()
        listener.communicate()
        Spool(folder).forget(name)
    if found is None:
        raise InfrastructureError(
            f"Node {node} can't be reached from the client at {', '.join(candidates)}. "
            "Name the network interface that leads there: execution.slurm.interface, as in ib0."
        )
    return found


def _await_port(spool: Spool, name: str, token: str, listener: subprocess.Popen[str]) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        note = spool.read(name, _NOTE)
        if note is not None and note.token == token:
            return int(note.content["port"])
        if listener.poll() is not None or time.monotonic() > deadline:
            said = (listener.stderr.read() if listener.stderr and listener.poll() else "").strip()
            raise InfrastructureError(
                f"The step that answers on a node ({name}) did not begin. srun said:\n{said}"
            )
        time.sleep(_LOOK_SECONDS)


def _hears(address: str, port: int, token: str) -> bool:
    with (
        contextlib.suppress(OSError),
        socket.create_connection((address, port), timeout=_CONNECT_SECONDS) as connection,
    ):
        return connection.recv(len(token)).decode(errors="replace") == token
    return False


def _resolved(name: str) -> str:
    try:
        return socket.gethostbyname(name)
    except OSError:
        return name
