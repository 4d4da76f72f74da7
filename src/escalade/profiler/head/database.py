"""The head's own Prometheus: a child on loopback that takes what nodes send, also late.

A node that was cut off sends its readings hours later: without an out-of-order window Prometheus
refuses what is older than an hour, and says so to nobody but its log.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError
from escalade.files import tail, write_text
from escalade.monitoring.server import PrometheusServer
from escalade.runtime import tools
from escalade.runtime.endpoints import free_port
from escalade.runtime.lifeline import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from escalade.profiler.head.folder import HeadFolder

WINDOW = "24h"
"""How late a reading may come."""
_CONFIGURATION = f"""\
global: {{scrape_interval: 1m}}
storage: {{tsdb: {{out_of_order_time_window: {WINDOW}}}}}
"""
_HOST = "127.0.0.1"
_LOOK_SECONDS = 0.05
_READY_SECONDS = 300.0
_STOP_SECONDS = 60.0
_AGAIN_SECONDS = 0.5


class Database:
    """A Prometheus that is started again when it ends.

    Parameters
    ----------
    folder
        Of the head.
    say
        Gets one line for everything that happens.
    """

    def __init__(self, folder: HeadFolder, say: Callable[[str], object]) -> None:
        self._folder = folder
        self._say = say
        self._program = str(tools.ensure("prometheus", say).path)
        self._ended = threading.Event()
        self._ready = threading.Event()
        self._failure = ""
        self.url = ""

    @property
    def ready(self) -> bool:
        """Whether it answers."""
        return self._ready.is_set()

    def await_ready(self, seconds: float = _READY_SECONDS) -> None:
        """Wait until it answers: after a death it first reads what it had in memory.

        Raises
        ------
        InfrastructureError
            When it can't be started, with the end of its log.
        """
        deadline = time.monotonic() + seconds
        while not self._ready.wait(_LOOK_SECONDS):
            if self._failure or time.monotonic() > deadline:
                why = self._failure or f"it was not ready within {seconds:g} s"
                raise InfrastructureError(f"The head's Prometheus: {why}.{self._end_of_log()}")

    def keep(self) -> None:
        """Run it until `end`, and again whenever it ends; to be called in a thread of its own.

        The kernel ends it with the thread that started it, so with this process too, however
        that dies.
        """
        first = True
        while not self._ended.is_set():
            began = time.monotonic()
            with self._child() as child:
                self._watch(child)
                if not self._ended.is_set() and child.poll() is None:
                    child.wait()
            self._ready.clear()
            if self._ended.is_set():
                return
            lived = time.monotonic() - began
            if first and lived < 1.0 and not self._is_locked():
                self._failure = f"it ended with code {child.returncode}"
                return
            first = False
            self._say(f"Prometheus ended with code {child.returncode}; it is started again.")
            self._ended.wait(_AGAIN_SECONDS)

    def end(self) -> None:
        """Have it end, and not come back."""
        self._ended.set()

    @contextlib.contextmanager
    def _child(self) -> Iterator[subprocess.Popen[bytes]]:
        config = self._folder.root / "prometheus.yml"
        write_text(config, _CONFIGURATION)
        port = free_port(_HOST)
        self.url = f"http://{_HOST}:{port}"
        write_text(self._folder.root / "prometheus.url", self.url)
        command = (
            self._program,
            f"--config.file={config}",
            f"--storage.tsdb.path={self._folder.data}",
            "--storage.tsdb.retention.time=3650d",
            f"--web.listen-address={_HOST}:{port}",
            "--web.enable-remote-write-receiver",
            "--log.level=warn",
        )
        with self._folder.log.open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=partial(die_with_parent, os.getpid(), signal.SIGTERM),  # noqa: PLW1509 - two calls of the kernel
            )
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _watch(self, child: subprocess.Popen[bytes]) -> None:
        """Wait until it is ready, then until it ends or has to."""
        with PrometheusServer(self.url, retries=0) as server:
            while child.poll() is None and not self._ended.is_set():
                if server.ready():
                    self._ready.set()
                    break
                time.sleep(_LOOK_SECONDS)
        while child.poll() is None and not self._ended.wait(_LOOK_SECONDS):
            pass

    def _is_locked(self) -> bool:
        return any("lock DB directory" in line for line in tail(self._folder.log, 5))

    def _end_of_log(self) -> str:
        lines = tail(self._folder.log, 5)
        return f"\nThe end of its log, {self._folder.log}:\n" + "\n".join(f"  {it}" for it in lines)
