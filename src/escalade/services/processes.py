"""The service's processes as the kernel shows them: their memory, and what they listen on."""

from __future__ import annotations

import contextlib

import psutil


def resident_bytes(pid: int | None) -> int | None:
    """Add up the resident memory of a process and all it started; None when it is not here."""
    total = 0
    for member in _tree(pid):
        with contextlib.suppress(psutil.Error):  # it ended in this moment
            total += member.memory_info().rss
    return total or None


def listens(pid: int | None, port: int) -> bool:
    """Tell whether a process, or one it started, listens on a TCP port.

    True also where the kernel does not tell: only who surely does not listen is
    known not to.
    """
    tree = _tree(pid)
    try:
        ports = {
            connection.laddr.port
            for member in tree
            for connection in member.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
        }
    except psutil.Error:
        return True
    return not tree or port in ports


def _tree(pid: int | None) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid) if pid is not None else None
        return [process, *process.children(recursive=True)] if process else []
    except psutil.Error:
        return []
