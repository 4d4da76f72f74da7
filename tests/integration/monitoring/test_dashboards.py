"""Every query of the dashboards, asked of a real Prometheus that scrapes the recorded pages."""

from __future__ import annotations

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from escalade.cli.monitor.dashboards import recipe_names
from escalade.monitoring import manager
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.dashboards import boards
from escalade.monitoring.limits import Bands, Limits
from escalade.monitoring.registry import Registry, Target
from recorded_pages import PAGES, filled_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOARDS = {
    board.uid: json.loads(board.to_json())
    for board in boards(Limits(), Bands(), recipe_names(None))
}
GROWS = re.compile(r"^(\S*(?:_total|_bucket|_count)(?:{.*})?) (\S+)$", re.MULTILINE)
BEGAN = time.monotonic()
HERE = "127.0.0.1"
AT = {"documents": "localhost"}
"""Another exporter than ours, which would else be left out beside it."""
NEWEST = "node_exporter-1.11.1"
"""The other releases show the same node."""


class _Page(BaseHTTPRequestHandler):
    """Gives a recorded page, with counters that grow by 1,000 a second."""

    def do_GET(self) -> None:
        grown = 1000 * (time.monotonic() - BEGAN)
        page = (PAGES / f"{self.path.removeprefix('/')}.prom").read_text(encoding="utf-8")
        text = GROWS.sub(lambda found: f"{found[1]} {float(found[2]) + grown}", page)
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def prometheus(begin: Callable[[str, Registry], Any]) -> Iterator[PrometheusClient]:
    pages = [
        page.stem
        for page in PAGES.glob("*.prom")
        if page.stem == NEWEST or not page.stem.startswith("node_exporter")
    ]
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        port = server.server_address[1]
        registry = Registry(
            Target(page, f"{AT.get(page, HERE)}:{port}", f"/{page}") for page in pages
        )
        state = begin("dashboards", registry).state
        manager.await_up(state, registry, 20)
        time.sleep(3)  # a rate takes two scrapes
        with PrometheusClient(state.url) as client:
            yield client
        server.shutdown()
        thread.join()


def series(prometheus: PrometheusClient, expression: str) -> list[dict[str, str]]:
    """Give the labels of each series that a query has now."""
    return [json.loads(labels) for labels in prometheus.instant(filled_in(expression))["labels"]]


@pytest.mark.parametrize("uid", BOARDS)
def test_every_panel_shows_something(uid: str, prometheus: PrometheusClient) -> None:
    empty = [
        (panel["title"], target["expr"])
        for panel in BOARDS[uid]["panels"]
        for target in panel.get("targets", [])
        if not series(prometheus, target["expr"])
    ]

    assert empty == []


@pytest.mark.parametrize("uid", BOARDS)
def test_every_name_of_a_series_is_filled_in(uid: str, prometheus: PrometheusClient) -> None:
    for panel in BOARDS[uid]["panels"]:
        for target in panel.get("targets", []):
            named = set(re.findall(r"{{(\w+)}}", target.get("legendFormat", "")))
            for labels in series(prometheus, target["expr"]):
                assert named <= set(labels), (panel["title"], target["expr"])


def test_steps_and_high_rates_are_marked(prometheus: PrometheusClient) -> None:
    steps, rate = (mark["expr"] for mark in BOARDS["escalade-campaign"]["annotations"]["list"])

    assert series(prometheus, steps) == [{"step": "1", "planned_qps": "40"}]  # as recorded
    assert {} in series(prometheus, rate)  # what the load generator sends, of all its workers
