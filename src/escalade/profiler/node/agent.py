"""The agent of one node: `python -m escalade.profiler.node.agent FOLDER`.

Three parts: the exporter, which reads the GPUs when it is scraped; vmagent, which scrapes it and
keeps on disk what was not sent; and the relay, which passes on to the head what vmagent sends.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from escalade.errors import ConflictError, EscaladeError, InfrastructureError
from escalade.gpu import nvml
from escalade.gpu.exporter import GpuCollector
from escalade.monitoring.http.tokens import read_token
from escalade.profiler.node.folder import NodeFolder
from escalade.profiler.node.head import HeadLine, HeadUnreachableError
from escalade.profiler.node.queue import damage
from escalade.profiler.node.relay import Relay
from escalade.profiler.node.vmagent import Vmagent
from escalade.profiler.reading import metrics
from escalade.runtime.exposition import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.profiler.node.folder import NodeSettings

WRITE = "/api/v1/write"
MOST_SKEW_SECONDS = 60.0
"""With a clock that is further off, a node is not taken in."""
_SKEW_SECONDS = 1.0
_LOOK_SECONDS = 1.0
_CLOCK_SECONDS = 60.0
_AGAIN_SECONDS = 1.0


class Agent:
    """Reads, queues and sends until it is ended.

    Parameters
    ----------
    folder, settings
        What it does, and where it queues.
    """

    def __init__(self, folder: NodeFolder, settings: NodeSettings) -> None:
        token = None if settings.token_file is None else read_token(Path(settings.token_file))
        self._folder = folder
        self._settings = settings
        self._head = HeadLine(settings.head, token)
        self._offset: float | None = None
        self._queued: int | None = None
        self._ended = threading.Event()
        self._relay = Relay(settings.head, WRITE, self._headers, self._say)
        self._instance = folder.instance()
        self._connected = False

    def end(self) -> None:
        """Have it end."""
        self._ended.set()

    def run(self) -> None:
        """Work until `end`, then send what waits, for a while.

        Raises
        ------
        InfrastructureError
            When there is no GPU.
        """
        found, note = nvml.gpus()
        if not found:
            raise InfrastructureError(f"{note} Run this where there is a GPU.")
        settings = self._settings
        with nvml.opened():
            devices = nvml.devices()[0]
            registry = CollectorRegistry()
            wanted = metrics(bandwidth=settings.bandwidth, nvlink=settings.nvlink)
            registry.register(GpuCollector(devices, only=wanted, timestamps=True, processes=False))
            self._relay.start()
            try:
                with serving(registry) as port:
                    self._say(
                        f"{settings.name}: {len(devices)} GPUs, read every {settings.interval_ms} ms, "
                        f"sent to {settings.head}"
                    )
                    self._keep(f"127.0.0.1:{port}", len(devices))
                self._drain()
            finally:
                self._relay.close()

    def _keep(self, exporter: str, gpus: int) -> None:
        """Keep vmagent running, and the head informed, until the end."""
        clock_at = 0.0
        while not self._ended.is_set():
            if not self._folder.has_room():
                self._await_room()
                continue
            self._set_damage_aside()
            vmagent = self._vmagent(exporter)
            while not self._ended.wait(_LOOK_SECONDS) and vmagent.alive():
                self._queued = vmagent.pending()
                if not self._connected or time.monotonic() - clock_at >= _CLOCK_SECONDS:
                    clock_at = time.monotonic()
                    self._greet(gpus)
            if vmagent.alive():
                self._relay.end()
                vmagent.end()
                return
            code = vmagent.process.returncode
            self._say(
                f"vmagent ended with code {code}; it is started again (see {self._folder.log})"
            )
            self._ended.wait(_AGAIN_SECONDS)
        self._relay.end()

    def _await_room(self) -> None:
        self._say(f"the disk of {self._folder.root} is full: readings are lost until there is room")
        while not self._folder.has_room() and not self._ended.wait(_LOOK_SECONDS):
            pass
        self._say("there is room again")

    def _set_damage_aside(self) -> None:
        if (why := damage(self._folder.queue)) is not None:
            aside = self._folder.set_aside()
            self._say(
                f"the queue can't be read ({why}): it was moved to {aside}, and a new one begun. "
                "Nothing of it was removed."
            )

    def _drain(self) -> None:
        """Send what waits: vmagent alone, without the exporter."""
        left = drain(self._folder, self._settings, self._settings.drain_seconds, self._head)
        if left == 0:
            self._head.leave(self._settings.name, self._instance)
            self._say("ended; everything was sent")
            return
        self._say(
            f"ended; what the head does not have waits in {self._folder.root}. Send it by\n"
            f"  escalade profile drain {self._folder.root} {self._settings.head}"
        )

    def _vmagent(self, exporter: str | None) -> Vmagent:
        return Vmagent(self._folder, self._settings, self._relay.proxy, exporter)

    def _headers(self) -> dict[str, str]:
        headers = {**self._head.headers(), "X-Escalade-Node": self._settings.name}
        if self._offset is not None:
            headers["X-Escalade-Clock-Offset"] = f"{self._offset:.6f}"
        if self._queued is not None:
            headers["X-Escalade-Queue-Bytes"] = str(self._queued)
        return headers

    def _greet(self, gpus: int) -> None:
        """Measure the clock, and tell the head who sends; a head that is away is greeted later."""
        try:
            self._offset = self._head.clock_offset()
            self._head.connect(self._settings.name, self._instance, gpus, self._offset)
        except (HeadUnreachableError, InfrastructureError):
            self._connected = False
            return
        except ConflictError as error:
            self._say(str(error))
            return
        except EscaladeError as error:
            if self._connected:
                self._say(str(error))
            self._connected = False
            return
        if abs(self._offset) > _SKEW_SECONDS:
            self._say(f"the clock here is {self._offset:+.1f} s off the head's: set it (NTP)")
        self._connected = True

    def _say(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
            sys.stderr.flush()


def drain(folder: NodeFolder, settings: NodeSettings, seconds: float, head: HeadLine) -> int | None:
    """Send what waits in a queue.

    Parameters
    ----------
    folder, settings
        Of the agent that filled it; no agent must run on it.
    seconds
        How long at most.
    head
        Where it goes.

    Returns
    -------
    int or None
        What is left, in bytes and blocks: 0 when the head has all; None when that is not known.
    """
    said: list[str] = []
    headers = {"X-Escalade-Node": settings.name, "X-Escalade-Queue-Bytes": "0"}
    relay = Relay(settings.head, WRITE, lambda: {**head.headers(), **headers}, said.append)
    relay.start()
    vmagent = Vmagent(folder, settings, relay.proxy, None)
    deadline, left, quiet = time.monotonic() + seconds, None, 0
    try:
        while time.monotonic() < deadline and vmagent.alive() and quiet < 3:
            time.sleep(0.1)
            left = vmagent.pending()
            quiet = quiet + 1 if left == 0 and not relay.holding else 0
    finally:
        held = relay.holding
        relay.end()
        vmagent.end()
        relay.close()
    if quiet >= 3:
        return 0
    return None if left is None else max(left, held, 1)


def main(arguments: Sequence[str]) -> int:
    """Work until SIGTERM or SIGINT.

    Returns
    -------
    int
        Exit code: 0, or that of what went wrong.
    """
    folder = NodeFolder(Path(arguments[0]))
    try:
        settings = folder.read()
        if settings is None:
            raise InfrastructureError(f"{folder.root} is no folder of an agent.")
        with folder.hold():
            agent = Agent(folder, settings)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, lambda *_: agent.end())
            agent.run()
    except EscaladeError as error:
        sys.stderr.write(f"escalade: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
