"""Real Prometheus servers, started once for all tests that only ask them."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from escalade.monitoring import manager
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.registry import Registry, Target
from escalade.monitoring.sessions.service import MonitoringService
from escalade.runtime import tools
from escalade.runtime.driver import driving
from escalade.runtime.endpoints import free_port, wait_http
from escalade.runtime.local import LocalLauncher
from escalade.runtime.steps import StepSpec
from integration.monitoring.sessions import left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from escalade.monitoring.prometheus_state import PrometheusState
    from escalade.runtime.allocation import AllocationState
    from escalade.runtime.driver import RunFolder

LAUNCHER = LocalLauncher()
STRANGE = {
    "l0": 'a"b\\c\n{$1}',
    "l1": "yes",
    "l2": "1e3",
    "l3": "~",
    "l4": "0o7",
    "l5": "12:30:45",
    "l6": " ü ",
}
"""Label values that YAML readers like to take for something else."""


@dataclass(frozen=True)
class Watched:
    """A Prometheus, its allocation and its targets."""

    allocation: AllocationState
    state: PrometheusState
    registry: Registry
    folder: Path

    def client(self) -> PrometheusClient:
        return PrometheusClient(self.state.url)


@dataclass(frozen=True)
class Cell(Watched):
    """The shared one: node and process exporter are up, `late` and `dead` are not."""

    victim: Watched
    late: Target
    up: Registry


class _LatePage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"late 1\n")

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    for tool in ("prometheus", "promtool", "node_exporter"):
        tools.ensure(tool)
    with driving(tmp_path_factory.mktemp("state"), "tests", "monitoring") as folder:
        yield folder


@pytest.fixture(scope="session")
def allocate(
    run: RunFolder, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], AllocationState]:
    return lambda name: LAUNCHER.allocate(name, tmp_path_factory.mktemp(name), run)


@pytest.fixture(scope="session")
def begin(
    allocate: Callable[[str], AllocationState], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Registry], Watched]:
    def start(name: str, registry: Registry) -> Watched:
        allocation, folder = allocate(name), tmp_path_factory.mktemp(f"{name}-prometheus")
        state = manager.start(
            LAUNCHER, allocation, folder=folder, registry=registry, log=folder / "log"
        )
        return Watched(allocation, state, registry, folder)

    return start


@pytest.fixture(scope="session")
def cell(
    allocate: Callable[[str], AllocationState],
    begin: Callable[[str, Registry], Watched],
    tmp_path_factory: pytest.TempPathFactory,
) -> Cell:
    logs = tmp_path_factory.mktemp("logs")
    exporters = allocate("exporters")
    node = Target("node", f"127.0.0.1:{free_port()}", labels=STRANGE)
    process = Target("process", f"127.0.0.1:{free_port()}")
    late, dead = (Target(job, f"127.0.0.1:{free_port()}") for job in ("late", "dead"))
    for target, argv in (
        (node, node_exporter(node.address)),
        (process, process_exporter(process.address, exporters)),
    ):
        LAUNCHER.start(exporters, StepSpec(target.job, argv, "exporter", logs / target.job))
        wait_http(f"http://{target.address}/metrics", 15)
    shared = begin("cell", Registry([node, process, late, dead]))
    victim = begin("victim", Registry([node]))
    up = Registry([node, process])
    manager.await_up(shared.state, up, 20)
    manager.await_up(victim.state, victim.registry, 20)
    time.sleep(5)
    return Cell(**shared.__dict__, victim=victim, late=late, up=up)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    for tool in ("prometheus", "promtool", "node_exporter"):
        tools.ensure(tool)
    folder = tmp_path / "monitor"
    yield folder
    service = MonitoringService(folder)
    for session in service.sessions():
        service.delete(session, force=True)
    assert left(folder) == []


@pytest.fixture
def late_server(cell: Cell) -> Iterator[None]:
    """Let the target `late` answer at last."""
    port = int(cell.late.address.rpartition(":")[2])
    with ThreadingHTTPServer(("127.0.0.1", port), _LatePage) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield
        server.shutdown()
        thread.join()


def node_exporter(address: str) -> tuple[str, ...]:
    binary = str(tools.find("node_exporter").path)
    quiet = ("--no-collector.systemd", "--no-collector.textfile")
    return (binary, f"--web.listen-address={address}", *quiet)


def process_exporter(address: str, allocation: AllocationState) -> tuple[str, ...]:
    module = (sys.executable, "-m", "escalade.monitoring.process_exporter")
    port = address.rpartition(":")[2]
    return (*module, "--steps", str(allocation.steps), "--port", port)
