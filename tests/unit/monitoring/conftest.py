"""A stand-in for Prometheus: a real HTTP server whose samples are known."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Answer = tuple[int, bytes]


@dataclass
class StandIn:
    """Answers as told and remembers what it was asked.

    `answer` gets path and form. `samples` maps a selector to its series, as
    (labels, [(Unix ms, value), …]).
    """

    url: str = ""
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answer: Callable[[str, dict[str, str]], Answer | None] | None = None
    samples: dict[str, list[tuple[dict[str, str], list[tuple[int, float]]]]] = field(
        default_factory=dict
    )
    left_open: bool = False

    def reply(self, path: str, form: dict[str, str]) -> Answer | None:
        self.asked.append((path, form))
        if self.answer is not None:
            return self.answer(path, form)
        return success(self._selected(form))

    def _selected(self, form: dict[str, str]) -> dict[str, Any]:
        """Evaluate `selector[Nms]` at a time, as Prometheus 2 (or, left open, 3) does."""
        found = re.fullmatch(r"(.*)\[(\d+)ms\]", form["query"])
        assert found, form
        end = round(float(form["time"]) * 1000)
        start = end - int(found[2]) + (1 if self.left_open else 0)
        series = [
            (labels, [[ms / 1000, repr(value)] for ms, value in points if start <= ms <= end])
            for labels, points in self.samples.get(found[1], [])
        ]
        result = [{"metric": labels, "values": values} for labels, values in series if values]
        return {"resultType": "matrix", "result": result}


def success(data: Any) -> Answer:
    return 200, json.dumps({"status": "success", "data": data}).encode()


def failure(status: int, kind: str, words: str) -> Answer:
    return status, json.dumps({"status": "error", "errorType": kind, "error": words}).encode()


class _Handler(BaseHTTPRequestHandler):
    stand_in: StandIn
    wbufsize = -1  # header and body in one packet: no waiting for a delayed ACK

    def do_GET(self) -> None:
        form = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        answered = self.stand_in.reply(
            self.path, {key: values[0] for key, values in parse_qs(form).items()}
        )
        if answered is None:  # hang up without a word
            self.close_connection = True
            return
        status, body = answered
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    double = StandIn()
    handler = type("Handler", (_Handler,), {"stand_in": double, "protocol_version": "HTTP/1.1"})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        double.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield double
        server.shutdown()
        thread.join()
