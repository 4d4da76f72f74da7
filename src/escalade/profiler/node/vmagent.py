"""vmagent as a child: scrapes the exporter of this node, and queues on disk what was not sent."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import secrets
import signal
import subprocess
from base64 import b64encode
from functools import partial
from typing import TYPE_CHECKING

from escalade.files import write_text
from escalade.profiler.node.relay import URL
from escalade.runtime.endpoints import free_port
from escalade.runtime.lifeline import die_with_parent

if TYPE_CHECKING:
    from escalade.profiler.node.folder import NodeFolder, NodeSettings

_STOP_SECONDS = 20.0
_PENDING = re.compile(
    r"^vmagent_remotewrite_pending_(?:data_bytes|inmemory_blocks)(?:\{[^}]*\})? (\S+)$",
    re.MULTILINE,
)


class Vmagent:
    """One process of vmagent.

    Parameters
    ----------
    folder, settings
        Of the agent.
    proxy
        By which it writes: the relay.
    exporter
        `host:port` that it scrapes; None: it only sends what is queued.
    """

    def __init__(
        self, folder: NodeFolder, settings: NodeSettings, proxy: str, exporter: str | None
    ) -> None:
        write_text(folder.scrapes, _scrape_configuration(settings, exporter))
        self._port = free_port()
        self._secret = secrets.token_urlsafe(16)
        flush = "1s" if settings.interval_ms >= 1000 else "500ms"
        command = [
            settings.vmagent,
            f"-promscrape.config={folder.scrapes}",
            f"-remoteWrite.url={URL}",
            f"-remoteWrite.tmpDataPath={folder.queue}",
            "-remoteWrite.queues=1",
            f"-remoteWrite.flushInterval={flush}",
            "-remoteWrite.sendTimeout=24h",  # the relay answers when the head has it
            "-remoteWrite.maxDiskUsagePerURL=0",
            f"-httpListenAddr=127.0.0.1:{self._port}",
            "-memory.allowedBytes=64MiB",
            "-envflag.enable",
            "-envflag.prefix=VMAGENT_",
        ]
        # What others must not see is no argument: everybody may read those.
        environment = {
            **os.environ,
            "VMAGENT_remoteWrite_proxyURL": proxy,
            "VMAGENT_httpAuth_username": "escalade",
            "VMAGENT_httpAuth_password": self._secret,
            "GOMAXPROCS": "1",
        }
        with folder.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                preexec_fn=partial(die_with_parent, os.getpid(), signal.SIGTERM),  # noqa: PLW1509 - two calls of the kernel
            )

    def pending(self) -> int | None:
        """Give what waits to be sent, in bytes and blocks together; None where it does not tell."""
        basic = b64encode(f"escalade:{self._secret}".encode()).decode()
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            line.request("GET", "/metrics", headers={"Authorization": f"Basic {basic}"})
            found = _PENDING.findall(line.getresponse().read().decode("utf-8", "replace"))
        except (OSError, http.client.HTTPException):
            return None
        finally:
            line.close()
        return sum(int(float(value)) for value in found) if found else None

    def alive(self) -> bool:
        """Tell whether it runs."""
        return self.process.poll() is None

    def end(self) -> None:
        """End it in order: what it has in memory goes to its queue on disk."""
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()


def _scrape_configuration(settings: NodeSettings, exporter: str | None) -> str:
    if exporter is None:
        return "scrape_configs: []\n"
    interval = f"{settings.interval_ms}ms"
    timeout = f"{min(settings.interval_ms, 10_000)}ms"
    return f"""\
global: {{scrape_interval: {interval}, scrape_timeout: {timeout}}}
scrape_configs:
  - job_name: profiler
    static_configs:
      - targets: ["{exporter}"]
        labels: {{node: "{settings.name}", instance: "{settings.name}"}}
"""
