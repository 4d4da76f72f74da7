"""Ties the life of a process to its parent or to a lease.

Two ways, since neither alone is enough: the kernel ends a direct child when its
parent dies, and a lease ends whatever is further away.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

from escalade.runtime.lease import PATIENCE, LeaseWatch

if TYPE_CHECKING:
    from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)  # loaded here: too late between fork and exec


def die_with_parent(parent: int | None = None, number: int = signal.SIGKILL) -> None:
    """Have the kernel send `number` to this process when its parent dies.

    Call it in the child: first thing in its `main`, or between fork and exec as
    `preexec_fn=functools.partial(die_with_parent, os.getpid())`.

    Parameters
    ----------
    parent
        The pid the parent had when it started this process, where known. When
        this process has been orphaned before the call, it ends itself at once;
        without `parent` only the instant of the call itself is covered.
    number
        The signal, SIGKILL unless the process has something to tidy up.

    Notes
    -----
    The kernel's "parent" is the *thread* that forked: start such a child from a
    thread that lives as long as its process (prctl(2), PR_SET_PDEATHSIG). The
    setting survives exec, but not the exec of a set-user-ID program, and is not
    inherited by the child's own children.
    """
    expected = os.getppid() if parent is None else parent
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != expected:
        os.kill(os.getpid(), number)


def adopt_orphans() -> None:
    """Become the reaper of all descendants: orphans get this process as their parent."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def watch_lease(path: Path, seconds: float) -> threading.Thread:
    """End this process, its children first, once the lease at `path` is stale.

    Parameters
    ----------
    path
        The lease file of the run.
    seconds
        The length of the lease. The process gives up at four fifths of it, so that
        everything has ended by the time it is over.

    Returns
    -------
    threading.Thread
        The daemon thread that watches, already started. It ends the process with
        exit code 3 without running any handler.
    """
    watch = LeaseWatch(path, PATIENCE * seconds)
    thread = threading.Thread(target=_watch, args=(watch,), name="lease", daemon=True)
    thread.start()
    return thread


def _watch(watch: LeaseWatch) -> None:
    while not watch.stale():
        time.sleep(watch.look_seconds)
    for child in _children():
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGTERM)
    os._exit(3)


def _children() -> list[int]:
    from escalade.runtime.processes import snapshot  # noqa: PLC0415 - only when all is over

    return [found.pid for found in snapshot().values() if found.parent == os.getpid()]


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")
