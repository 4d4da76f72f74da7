"""A service counts itself, a real Prometheus scrapes it, and KPIs come out of what was scraped."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import time
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from prometheus_client import CollectorRegistry

from escalade.analysis.kpis.cache_kpis import cache_readings
from escalade.analysis.kpis.steps import measured_steps
from escalade.monitoring import collector, manager
from escalade.monitoring.registry import Registry, Target
from escalade.operations import CacheMetrics, Mode, RequestMetrics, serving
from escalade.runtime import tools
from unit.analysis.builders import EPOCH, Step
from unit.analysis.builders import cell as made_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Watched

DOCS = Path(__file__).parents[3] / "docs" / "operations-metrics.md"
STRANGE = 'a"b\\c\n{$1} ü '
TTL_SECONDS = 0.3
REQUESTS, KEYS = 60, 12


@dataclass
class Service:
    """Answers by HTTP, from a cache with a time to live where it can."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    kept: dict[str, float] = field(default_factory=dict)
    lock: Any = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        modes = {"fast": Mode(300, 0.6), "brief": Mode(TTL_SECONDS), STRANGE: Mode(60)}
        self.cache = CacheMetrics(modes, ["llm"], registry=self.registry)
        self.traffic = RequestMetrics(modes, registry=self.registry)
        self.traffic.watch_queue(lambda: 7)

    def answer(self, mode: str, question: str) -> int:
        with self.lock:
            until = self.kept.get(question, -1.0)
            now = time.monotonic()
            if until > now:
                self.cache.hit(mode, "llm")
                return 200
            if until > 0:
                self.cache.expired(mode, "llm")
            self.cache.miss(mode, "llm")
            self.kept[question] = now + self.cache.ttl_seconds(mode)
            return 200

    def handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mode, _, question = self.path.strip("/").partition("/")
                with service.traffic.request(mode) as request:
                    request.status = 404 if not question else service.answer(mode, question)
                self.send_response(request.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                """Say nothing."""

        return Handler


@dataclass(frozen=True)
class Demo:
    """The service, where it is asked, its metrics page, and who scrapes it."""

    service: Service
    url: str
    page: str
    watched: Watched

    def ask(self, path: str) -> int:
        return requests.get(f"{self.url}/{path}", timeout=5).status_code

    def value(self, query: str) -> float | None:
        with self.watched.client() as client:
            return client.value(query)

    def await_value(self, query: str, value: float) -> None:
        """Wait until a scrape shows it."""
        until = time.monotonic() + 15
        while (found := self.value(query)) != value:
            assert time.monotonic() < until, f"{query} is {found}, expected {value}"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def demo(begin: Callable[[str, Registry], Watched]) -> Iterator[Demo]:
    service = Service()
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), service.handler()) as server,
        serving(service.registry) as port,
    ):
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            registry = Registry([Target("service", f"127.0.0.1:{port}")])
            watched = begin("operations", registry)
            manager.await_up(watched.state, registry, 20)
            url = f"http://127.0.0.1:{server.server_port}"
            yield Demo(service, url, f"http://127.0.0.1:{port}/metrics", watched)
        finally:
            server.shutdown()
            thread.join()


def test_what_a_service_counts_is_what_prometheus_scrapes_and_what_kpis_say(demo: Demo) -> None:
    # before the first request: counters at 0, and no rate
    assert demo.value('cache_hits_total{mode="fast"}') == 0
    assert demo.value("count(cache_hit_rate)") is None
    assert demo.value('cache_ttl_seconds{mode="fast"}') == 300
    assert demo.value("llm_queue_length") == 7
    assert len(labels_of(demo, "cache_hits_total")) == 3
    assert STRANGE in labels_of(demo, "cache_hits_total")

    started = time.time()
    for number in range(REQUESTS):
        assert demo.ask(f"fast/question-{number % KEYS}") == 200
    assert demo.ask("brief/once") == 200
    time.sleep(2 * TTL_SECONDS)
    assert demo.ask("brief/once") == 200  # its time was up: a miss again
    assert demo.ask("fast/") == 404

    hits, misses = REQUESTS - KEYS, KEYS
    demo.await_value('http_requests_total{mode="fast",status="404"}', 1)
    assert demo.value('cache_hits_total{mode="fast"}') == hits
    assert demo.value('cache_misses_total{mode="fast"}') == misses
    assert demo.value('cache_hit_rate{mode="fast"}') == hits / (hits + misses)
    assert demo.value('cache_ttl_expired_total{mode="brief"}') == 1
    assert demo.value('cache_hit_rate{mode="brief"}') == 0
    assert demo.value('http_requests_total{mode="fast",status="200"}') == REQUESTS
    assert demo.value('http_server_request_duration_seconds_count{mode="fast"}') == REQUESTS + 1

    found = kpis_of_step(demo, started)
    fast, brief = '{cache_type="llm",mode="fast"}', '{cache_type="llm",mode="brief"}'
    assert found["cache_hit_ratio", fast] == pytest.approx(hits / REQUESTS)
    assert found["cache_lookups", fast] == REQUESTS
    assert found["cache_hit_ratio", brief] == 0
    assert found["cache_expired", brief] == 1


def test_the_alert_of_the_documentation_fires_where_the_rate_is_low(demo: Demo) -> None:
    (query,) = re.findall(r"```promql\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert demo.value(query) is None  # nobody asked, or most were hits

    for number in range(300):
        demo.ask(f"fast/new-{number}")
    demo.await_value(f"count({query})", 1)

    assert demo.value(query) < 0.6


def test_promtool_finds_nothing_to_say_against_the_page(demo: Demo) -> None:
    page = requests.get(demo.page, timeout=5).text
    argv = [str(tools.find("promtool").path), "check", "metrics"]
    checked = subprocess.run(argv, input=page, capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def labels_of(demo: Demo, metric: str) -> set[str]:
    with demo.watched.client() as client:
        return {json.loads(labels)["mode"] for labels in client.instant(metric)["labels"]}


def kpis_of_step(demo: Demo, started: float) -> dict[tuple[str, str], float]:
    """Take the samples home as a cell does, and compute the KPIs of its step."""
    outcome = {"step": 1, "started_at": started, "window_end": None, "drained_at": time.time()}
    with demo.watched.client() as client:
        series = collector.window_series(client, outcome, collector.selectors())
    seconds = outcome["drained_at"] + 2 - started
    data = made_cell(Step((), seconds), metric_names={})
    moved = series["timestamp"] - started + EPOCH + 5  # the window of the made-up cell begins there
    data = replace(data, series=series.assign(step=1, timestamp=moved))
    (step,) = measured_steps(data, [])
    return {(each.metric, each.label): each.estimate.value for each in cache_readings(step)}
