"""What registering many targets in a running session takes: `python benchmarks/monitoring_session.py [TARGETS]`.

Prints markdown. A process of its own serves a page to whoever asks, under as many paths as there are
targets (1,000). They are registered at once in a session whose Prometheus scrapes already, five times, and
taken away again. A target that was there all the time tells whether a scrape was lost.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from escalade.monitoring import manager, renderer
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.sessions import targets
from escalade.monitoring.sessions.live import read_any_live
from escalade.monitoring.sessions.record import SessionFolder
from escalade.monitoring.sessions.service import MonitoringService
from escalade.provenance import host_facts
from escalade.runtime import tools

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

RUNS = 5
INTERVAL_SECONDS = 5.0
SECONDS_AIM = 2.0
SESSION, CLIENT, WITNESS = "bench", "c1", "witness"


class _Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"# TYPE requests_total counter\nrequests_total 1\n"
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


def _serve(told: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    told.send(server.server_port)
    server.serve_forever()


def main(number: int = 1000) -> int:
    """Register, look, take away, print; exit code 1 when an aim is missed."""
    host = host_facts()
    print(
        f"Command: `python benchmarks/monitoring_session.py {number}` on {time.strftime('%Y-%m-%d')}: "
        f"{host['cpu_model']}, {host['cpus_usable']} CPUs, load average {os.getloadavg()[0]:.1f}\n"
    )
    for tool in ("prometheus", "promtool"):
        tools.ensure(tool)
    listening, told = multiprocessing.Pipe(duplex=False)
    pages = multiprocessing.Process(target=_serve, args=(told,), daemon=True)
    pages.start()
    page = f"http://127.0.0.1:{listening.recv()}/metrics"
    with tempfile.TemporaryDirectory(prefix="escalade-session-") as place:
        service = MonitoringService(Path(place))
        service.create(SESSION, scrape_interval_seconds=INTERVAL_SECONDS)
        service.start(SESSION)
        try:
            return _measure(service, page, number)
        finally:
            service.delete(SESSION, force=True)
            pages.terminate()


def _measure(service: MonitoringService, page: str, number: int) -> int:
    service.register_service(SESSION, WITNESS, page)
    wanted = [(f"s{n}", f"{page}/{n}") for n in range(number)]
    began, seconds = time.time(), []
    print(
        "| targets | registered, s | of it rendered | checked by promtool | reloaded and compared |"
    )
    print("|---|---|---|---|---|")
    for _ in range(RUNS):
        service.register_client(SESSION, CLIENT, "nodeA")
        started = time.monotonic()
        done = service.register_services(SESSION, wanted, client_id=CLIENT, wait=0)
        seconds.append(time.monotonic() - started)
        if not done.live:
            raise SystemExit("Prometheus did not take the targets")
        parts = " | ".join(f"{part:.2f}" for part in _parts(service))
        print(f"| {number:,} | {seconds[-1]:.2f} | {parts} |", flush=True)
        time.sleep(2 * INTERVAL_SECONDS)  # they are scraped meanwhile
        service.remove_client(SESSION, CLIENT)
    time.sleep(INTERVAL_SECONDS)
    scrapes, lost = _witness(service, began)
    median = statistics.median(seconds)
    print(
        f"\nMedian {median:.2f} s; aim: {SECONDS_AIM:.0f} s. Of the target that was there before, "
        f"{scrapes} scrapes were kept and {lost} lost."
    )
    return 1 if median > SECONDS_AIM or lost else 0


def _parts(service: MonitoringService) -> tuple[float, float, float]:
    """Do once more, one after the other, what a registration has done."""
    folder = SessionFolder(service.root, SESSION)
    live = read_any_live(folder.path)
    if live is None:
        raise SystemExit("the session does not run")
    registry = targets.registry_of(folder.read(), live.addresses, live.ports)
    moments = [time.monotonic()]
    text = renderer.render(registry, INTERVAL_SECONDS)
    moments.append(time.monotonic())
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "prometheus.yml"
        file.write_text(text)
        renderer.check("config", file)
    moments.append(time.monotonic())
    manager.reload(live.state, registry)
    moments.append(time.monotonic())
    rendered, checked, reloaded = (b - a for a, b in itertools.pairwise(moments))
    return rendered, checked, reloaded - rendered


def _witness(service: MonitoringService, began: float) -> tuple[int, int]:
    """Count the scrapes of the target that was there all the time, and those that are missing."""
    url = service.status(SESSION).url
    with PrometheusClient(str(url)) as client:
        found = client.raw_samples(f'up{{job="{WITNESS}"}}', began, time.time())
    stamps = list(found["timestamp"][found["value"] == 1])
    gaps = [later - sooner for sooner, later in itertools.pairwise(stamps)]
    return len(stamps), sum(round(gap / INTERVAL_SECONDS) - 1 for gap in gaps)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
