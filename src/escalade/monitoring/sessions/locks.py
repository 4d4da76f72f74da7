"""Locks on files (`flock`): the kernel drops them with the process that holds them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SECONDS = 120.0
_LOOK_SECONDS = 0.05


@contextlib.contextmanager
def holding(path: Path, given_up: Callable[[], bool] = lambda: False) -> Iterator[int]:
    """Hold the lock of a file, which is made where there is none.

    Whoever holds it may remove the file: those who waited then lock the one that comes next.

    Parameters
    ----------
    path
        The file.
    given_up
        Asked while another process holds it; True ends the waiting.

    Yields
    ------
    int
        The open file.

    Raises
    ------
    TimeoutError
        When another process holds it for two minutes, or the waiting was given up.
    OSError
        When it can't be made or opened.
    """
    deadline = time.monotonic() + _SECONDS
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o600)
        try:
            while not _taken(handle):
                if time.monotonic() > deadline or given_up():
                    raise TimeoutError(str(path))
                time.sleep(_LOOK_SECONDS)
            if _still_there(handle, path):
                yield handle
                return
        finally:
            os.close(handle)


def held(path: Path) -> bool:
    """Tell whether a process holds the lock of a file; no file is held by nobody."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _taken(handle)
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _still_there(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
