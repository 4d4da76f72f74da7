"""Processes that outlive whoever started them, and say when they are ready."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError
from escalade.files import tail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_READY = b"1"


def start(
    module: str,
    folder: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
    timeout: float = 20.0,
    *,
    inherited: Sequence[int] = (),
) -> None:
    """Run `python -m <module> <folder>`, which detaches itself, and wait until it is ready.

    Parameters
    ----------
    module
        A module whose `main` calls `detach`.
    folder
        Its only argument.
    log
        Where its output goes.
    environment
        Variables beside those of this process.
    timeout
        Seconds until it must be ready.
    inherited
        Open files that it gets, under the same numbers.

    Raises
    ------
    InfrastructureError
        When it ends without being ready; the message carries the end of its log.
    """
    # -P: a file named like a standard module must not be picked up from the working folder.
    command = [sys.executable, "-P", "-m", module, str(folder)]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            pass_fds=inherited,
        )
    except subprocess.TimeoutExpired:
        raise InfrastructureError(
            f"{module} was not ready within {timeout:g} s. See its log, {log}."
        ) from None
    if done.returncode != 0:
        said = "\n".join([done.stderr.strip(), *tail(log, 10)]).strip()
        raise InfrastructureError(f"{module} could not be started; it said:\n{said}")


def detach(log: Path) -> Callable[[], None]:
    """Go on in a new session, in the background; the caller's process waits for ready.

    The first process stays until the second calls the function returned here, and
    then exits with code 0; it exits with code 3 when the second ends before.

    Parameters
    ----------
    log
        Receives standard output and standard error from now on.

    Returns
    -------
    callable
        To be called once, when the process can do its work.
    """
    reader, writer = os.pipe()
    if os.fork() != 0:
        os.close(writer)
        os._exit(0 if os.read(reader, 1) == _READY else 3)
    os.close(reader)
    os.setsid()
    _redirect(log)

    def ready() -> None:
        os.write(writer, _READY)
        os.close(writer)

    return ready


def say(message: object) -> None:
    """Write a line with the time into the log of a detached process; on a full disk it is lost."""
    with contextlib.suppress(OSError):  # what happens is not to depend on whether it can be told
        sys.stderr.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {message}\n")
        sys.stderr.flush()


def _redirect(log: Path) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, target)
    os.close(output)
    os.close(nothing)
