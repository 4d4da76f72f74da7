"""Operations that are killed in their midst: kill -9 of the process that runs them, at a file operation."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_CHANGES = frozenset(
    ["os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "subprocess.Popen"]
)
_SIGKILL_ENDED = -signal.SIGKILL


def killed(operation: Callable[[], object], folder: Path, accesses: int) -> bool:
    """Run an operation in a process of its own, which dies of SIGKILL in its midst.

    Parameters
    ----------
    operation
        What it does; what it raises ends it.
    folder
        Where it works.
    accesses
        To files of that folder, changes of folders and new processes that it may make: it is
        killed at the next one.

    Returns
    -------
    bool
        False when the operation was over before.
    """
    pid = os.fork()
    if pid == 0:
        _die_after(folder, accesses)
        try:
            operation()
        except BaseException:  # noqa: BLE001 - whatever it is: pytest must not go on in here
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == _SIGKILL_ENDED


def _die_after(folder: Path, accesses: int) -> None:
    """Have Python's own audit events count what this process does, and kill it."""
    left = accesses

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in _CHANGES or (event == "open" and str(folder) in str(arguments[0])):
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
