"""`escalade monitor`: exporters of every kind, what is taken away again, and the same told to people and programs."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from escalade.monitoring.client import PrometheusClient
from escalade.runtime.endpoints import free_port
from gpus import Machine, build_library
from integration.monitoring.sessions import left, run, scraped, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWN = ("--session", "bench01")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a session that runs on a machine with a GPU."""
    folder = tmp_path_factory.mktemp("commands")
    with pytest.MonkeyPatch.context() as patch:
        Machine(build_library(folder), folder, patch).add(memory_total=8 * 10**9)
        root = folder / "monitor"
        port = str(free_port())
        run(root, "session-create", "--run-id", "bench01", "--port", port,
            "--scrape-interval", "0.5")  # fmt: skip
        run(root, "start", *OWN)
        yield root
        run(root, "delete", *OWN, "--force")
    assert left(root) == []


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(b"requests_total 1\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def pages() -> Iterator[str]:
    """Give where there is a page under every path."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def targets(root: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {(it["kind"], it["name"]): it for it in scraped(root)["targets"]}


@pytest.mark.parametrize(
    ("kind", "metric"),
    [
        ("node", "node_cpu_seconds_total"),
        ("gpu", "escalade_gpu_memory_total_bytes"),
        ("process", "escalade_processes"),
    ],
)
def test_an_exporter_is_deployed_scraped_and_taken_away(root: Path, kind: str, metric: str) -> None:
    deployed = json.loads(run(root, "exporter-deploy", *OWN, "--kind", kind, "--json"))
    again = run(root, "exporter-deploy", *OWN, "--kind", kind)
    up = targets(root)[kind, "session"]
    with PrometheusClient(told(root)["url"]) as client:
        samples = len(client.instant(metric))
    words = run(root, "exporter-remove", *OWN, "--kind", kind, "--name", "session")

    assert [(it["kind"], it["health"]) for it in deployed["targets"]] == [(kind, "up")]
    assert "already" in again
    assert (up["health"], up["exporter"]) == ("up", "runs")
    assert f"{kind} exporter session removed" in words
    assert (kind, "session") not in targets(root)
    assert samples > 0


def test_services_and_clients_are_taken_away_with_what_belongs_to_them(
    root: Path, pages: str
) -> None:
    run(root, "client-connect", *OWN, "--client-id", "c1", "--node", "nodeA",
        "--node-exporter", f"{pages}/node", "--wait", "0")  # fmt: skip
    for name in ("triton", "milvus"):
        run(root, "service-register", *OWN, "--client-id", "c1", "--name", name,
            "--endpoint", f"{pages}/{name}", "--wait", "0")  # fmt: skip

    removed = json.loads(run(root, "service-remove", *OWN, "--name", "milvus", "--json"))
    without = set(targets(root))
    run(root, "client-remove", *OWN, "--client-id", "c1", "--json")

    assert removed["session"] == "bench01"
    assert without == {("service", "triton"), ("node", "nodeA")}
    assert targets(root) == {}
    assert told(root)["clients"] == []


def test_many_services_may_come_from_a_file(root: Path, tmp_path: Path, pages: str) -> None:
    file = tmp_path / "services.json"
    file.write_text(json.dumps([{"name": f"s{n}", "endpoint": f"{pages}/{n}"} for n in range(3)]))

    run(root, "service-register", *OWN, "--file", str(file), "--wait", "0")
    known = {name for _, name in targets(root)}
    for name in sorted(known):
        run(root, "service-remove", *OWN, "--name", name)

    assert known == {"s0", "s1", "s2"}


def test_people_and_programs_are_told_the_same(root: Path, pages: str) -> None:
    run(root, "service-register", *OWN, "--name", "self", "--endpoint", f"{pages}/self")
    found = scraped(root)
    words = run(root, "status", *OWN)
    every = json.loads(run(root, "status", "--json"))
    listed = run(root, "status")
    run(root, "service-remove", *OWN, "--name", "self")

    assert "bench01: running" in words
    assert found["url"] in words
    assert "self" in words
    assert [it["session"] for it in every] == ["bench01"]
    assert "1 of 1" in listed


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("service-remove", "--name", "nobody"), "has no service 'nobody'"),
        (("client-remove", "--client-id", "nobody"), "has no client 'nobody'"),
        (("exporter-remove", "--kind", "gpu", "--name", "session"), "has no"),
        (("exporter-deploy", "--kind", "fan"), "node, gpu"),
        (("service-register", "--name", "only"), "Expected --name and --endpoint, or --file"),
        (("service-register", "--file", "gone.json"), "gone.json"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(
    root: Path, words: tuple[str, ...], expected: str
) -> None:
    command, *options = words
    assert expected in run(root, command, *OWN, *options, code=2)
