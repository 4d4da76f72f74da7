"""When DCGM's exporter is scraped in place of ours: when it tells as much, as often."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from escalade.runtime.endpoints import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gpus import Machine

ENERGY = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
UUIDS = ("GPU-00000000-aaaa", "GPU-10000000-aaaa")


class Page:
    """A page of DCGM's exporter, which reads its GPUs each so many seconds."""

    def __init__(self) -> None:
        self.every = 0.01
        self.uuids = UUIDS

    def text(self) -> str:
        joules = 250_000 * (time.monotonic() // self.every) * self.every
        lines = [f'{ENERGY}{{gpu="0",UUID="{uuid}"}} {joules}' for uuid in self.uuids]
        return "\n".join([f"# TYPE {ENERGY} counter", *lines, ""])


@pytest.fixture
def page() -> Page:
    return Page()


@pytest.fixture
def port(page: Page) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(page.text().encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def why(machine: Machine) -> Callable[[int], str]:
    """Ask on a machine with two GPUs, of scrapes each 0.2 s."""
    machine.add()
    machine.add()

    def asked(port: int) -> str:
        code = f"import json; from escalade.gpu.dcgm import why_not; print(json.dumps(why_not('127.0.0.1', {port}, 0.2)))"
        done = machine.python(code)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout))

    return asked


def test_one_that_tells_all_gpus_and_is_fresh_is_taken(
    why: Callable[[int], str], port: int
) -> None:
    assert why(port) == ""


def test_one_that_reads_seldom_is_not(why: Callable[[int], str], page: Page, port: int) -> None:
    page.every = 3600.0  # as the default of DCGM's exporter, 30 s, is to scrapes each second

    assert why(port) == "it reads the GPUs more seldom than each 0.2 s"


def test_one_that_lacks_a_gpu_is_not(why: Callable[[int], str], page: Page, port: int) -> None:
    page.uuids = UUIDS[:1]

    assert why(port) == "it does not tell the energy of GPU-10000000-aaaa"


def test_where_nothing_listens_ours_is_scraped(why: Callable[[int], str]) -> None:
    assert why(free_port()).startswith("there is none: ")


def test_a_mig_device_is_left_to_ours(
    why: Callable[[int], str], machine: Machine, port: int
) -> None:
    machine.slice(machine.state.gpus[0], "MIG-aaaa", 10, 1)

    assert why(port) == "its labels name no MIG device"
