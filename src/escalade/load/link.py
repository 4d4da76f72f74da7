"""The driver's end of a client process: starts it, here or on another node, and talks to it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

STOP_SECONDS = 3.5  # a little more than the process grants its load generators
_BLOCK = 65536


class ClientProcess:
    """One process of `escalade.load.client`, and the lines of JSON that go to and from it.

    Parameters
    ----------
    cpus
        Where it runs; None leaves it where this process is.
    log
        Gets what the process says of itself, and srun where that starts it.
    prefix
        Gives what stands before its command on another node; nothing runs it here, as
        a child that dies with this process.
    """

    def __init__(
        self, cpus: Sequence[int] | None, log: Path, prefix: Callable[[], Sequence[str]]
    ) -> None:
        self.log = log
        self._cpus = cpus
        self._prefix = prefix
        self._process: subprocess.Popen[bytes] | None = None
        self._link = socket.socket()
        self._said = b""

    @property
    def pid(self) -> int | None:
        """Of the process, or of what started it elsewhere; None when there is none."""
        return None if self._process is None else self._process.pid

    def fileno(self) -> int:
        """Give the descriptor that is readable when it has said something, or ended."""
        return self._link.fileno()

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        prefix = self._prefix()
        command = [*prefix, sys.executable, "-m", "escalade.load.client"]
        command += [] if prefix else ["--parent", str(os.getpid())]
        if self._cpus:
            command += ["--cpus", ",".join(map(str, self._cpus))]
        environment = {name: value for name, value in os.environ.items() if name[:7] != "LOCUST_"}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._link, its = socket.socketpair()
        with its, self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=its.fileno(), stdout=its.fileno(), stderr=log, env=environment
            )

    def run(self, workers: Sequence[tuple[Sequence[str], Path]], **further: bool) -> None:
        """Order workers, each with locust's arguments and the file for its output."""
        for _, log in workers:
            log.parent.mkdir(parents=True, exist_ok=True)
        each = [[list(argv), str(log.resolve())] for argv, log in workers]
        self.order({"run": each, **further})

    def order(self, order: dict[str, Any]) -> None:
        """Say something to it; to one that is gone nothing is said, as `heard` tells."""
        with suppress(OSError):
            self._link.sendall(json.dumps(order).encode() + b"\n")

    def heard(self, seconds: float) -> dict[str, Any] | None:
        """Give the next of its answers; None when there is none in so many seconds.

        Raises
        ------
        ConnectionError
            When the process is gone.
        """
        self._link.settimeout(seconds)
        while b"\n" not in self._said:
            try:
                text = self._link.recv(_BLOCK)
            except (TimeoutError, BlockingIOError):
                return None
            if not text:
                raise ConnectionResetError
            self._said += text
        line, _, self._said = self._said.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> int:
        """Wait for the end of a process that is gone; give its code, -N for signal N."""
        return 0 if self._process is None else self._process.wait()

    def hang_up(self) -> None:
        """End its input, which is the end of everything; nothing waits for that here."""
        with suppress(OSError):  # gone already
            self._link.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End the process, and load generators with it."""
        process, self._process = self._process, None
        self._said = b""
        if process is None:
            return
        self.hang_up()
        for end in (process.terminate, process.kill):  # sent to srun, SIGTERM kills its step
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            end()
        process.wait()
        self._link.close()
