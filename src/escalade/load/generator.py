"""The driver's side of the load generator: starts it, here or on another node, and stops it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_STOP_SECONDS = 3.5  # a little more than the process grants its load generator
_BLOCK = 65536


class LoadGenerator:
    """Runs the load generator of one step at a time, forked from one process for all of them.

    The process, `escalade.load.client`, is started with the first run, and again when it
    was lost. It ends with the block that this object is the context of.

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
        self,
        cpus: Sequence[int] | None,
        log: Path,
        prefix: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.log = log
        self._cpus = cpus
        self._prefix = prefix
        self._process: subprocess.Popen[bytes] | None = None
        self._link = socket.socket()
        self._said = b""
        self._runs = False

    @property
    def pid(self) -> int | None:
        """Of the process that forks, or of what started it elsewhere; None when there is none."""
        return None if self._process is None else self._process.pid

    def run(self, workers: Sequence[tuple[Sequence[str], Path]]) -> None:
        """Start workers, each with locust's arguments and the file for its output."""
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start()
        for _, log in workers:
            log.parent.mkdir(parents=True, exist_ok=True)
        self._runs = True
        self._order({"run": [[list(argv), str(log.resolve())] for argv, log in workers]})

    def wait(self, seconds: float) -> int | None:
        """Give 0 or the code of the first that failed, -N for signal N, once all have ended.

        None while they run. Where the process that forked them is lost, they are lost with it:
        the code is then that of the process.
        """
        if self._process is None or not self._runs:
            return 0
        self._link.settimeout(seconds)
        try:
            while b"\n" not in self._said:
                if not (text := self._link.recv(_BLOCK)):
                    raise ConnectionResetError
                self._said += text
        except TimeoutError:
            return None
        except ConnectionError:
            self._runs = False
            return self._process.wait()
        line, _, self._said = self._said.partition(b"\n")
        self._runs = False
        return int(json.loads(line)["ended"])

    def stop(self) -> None:
        """End workers that still run: they write what they have, or else are killed."""
        if self._runs:
            self._order({"stop": True})
            if self.wait(_STOP_SECONDS) is None:
                self.close()

    def close(self) -> None:
        """End the process, and a load generator with it."""
        process, self._process = self._process, None
        self._said, self._runs = b"", False
        if process is None:
            return
        with suppress(OSError):  # gone already
            self._link.shutdown(socket.SHUT_WR)
        for end in (process.terminate, process.kill):  # sent to srun, SIGTERM kills its step
            with suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)
            end()
        process.wait()
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
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

    def _order(self, order: dict[str, object]) -> None:
        with suppress(OSError):  # `wait` tells that the process is gone, and how
            self._link.sendall(json.dumps(order).encode() + b"\n")
