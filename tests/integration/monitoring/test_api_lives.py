"""Servers of the API that are ended, killed, or two at once: sessions stay whole."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from api_server import Reply, Server, serve
from escalade.errors import AbsentError, InfrastructureError
from escalade.monitoring.http import stored
from escalade.monitoring.http.wanted import NewCollection
from escalade.monitoring.sessions.record import SessionFolder
from escalade.monitoring.sessions.service import MonitoringService
from escalade.monitoring.windows import gather
from escalade.runtime import tools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    tools.ensure("prometheus")
    tools.ensure("promtool")
    folder = tmp_path_factory.mktemp("served")
    running = serve(folder / "sessions", folder / "serve.log")
    yield running
    assert running.end() == 0


def test_two_servers_on_one_root_lose_nothing_of_each_other(server: Server) -> None:
    other = serve(server.root, server.log.with_name("other.log"))
    try:
        both = [server, other]
        with ThreadPoolExecutor(16) as crowd:
            made = list(
                crowd.map(
                    lambda n: both[n % 2].ask("POST", "/v1/sessions", {"session": "one"}).status,
                    range(16),
                )
            )
            registered = list(
                crowd.map(
                    lambda n: (
                        both[n % 2]
                        .ask(
                            "POST",
                            "/v1/sessions/one/services",
                            {"services": [{"name": f"s{n}", "endpoint": f"127.0.0.1:{n + 1}"}]},
                        )
                        .status
                    ),
                    range(16),
                )
            )
        assert sorted(made) == [201] + [409] * 15
        assert {status // 100 for status in registered} == {2}
        found = other.ask("GET", "/v1/sessions/one").content
        assert {target["name"] for target in found["targets"]} == {f"s{n}" for n in range(16)}
        assert server.ask("DELETE", "/v1/sessions/one").status == 200
    finally:
        assert other.end() == 0


def test_a_server_that_is_ended_while_it_starts_a_session_leaves_a_whole_one(
    tmp_path: Path,
) -> None:
    server = serve(tmp_path / "sessions", tmp_path / "serve.log")
    server.ask("POST", "/v1/sessions", {"session": "begun"})
    replies: list[Reply | None] = []
    asking = threading.Thread(target=lambda: replies.append(started(server)))
    asking.start()
    time.sleep(0.2)
    assert server.end() == 0
    asking.join(60)

    service = MonitoringService(tmp_path / "sessions")
    try:
        state = service.status("begun").state
        assert state in {"created", "running"}
        if replies[0] is not None and replies[0].status == 200:
            assert state == "running"
    finally:
        service.delete("begun", force=True)


def started(server: Server) -> Reply | None:
    try:
        return server.ask("POST", "/v1/sessions/begun/start", {})
    except (OSError, http.client.HTTPException):
        return None


def test_a_server_that_is_killed_while_it_creates_leaves_whole_sessions(tmp_path: Path) -> None:
    root = tmp_path / "sessions"
    server = serve(root, tmp_path / "serve.log")
    done: list[str] = []

    def create_many(crowd: str) -> None:
        for number in range(200):
            try:
                reply = server.ask("POST", "/v1/sessions", {"session": f"{crowd}{number}"})
            except (OSError, http.client.HTTPException):
                return
            if reply.status == 201:
                done.append(f"{crowd}{number}")

    crowds = [threading.Thread(target=create_many, args=(name,)) for name in "abc"]
    for crowd in crowds:
        crowd.start()
    while len(done) < 20:
        time.sleep(0.005)
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    for crowd in crowds:
        crowd.join(60)

    again = serve(root, tmp_path / "again.log")
    try:
        told = again.ask("GET", "/v1/sessions").content["sessions"]
        assert {session["state"] for session in told} == {"created"}
        assert set(done) <= {session["session"] for session in told}
        assert again.ask("POST", "/v1/sessions", {"session": "next"}).status == 201
    finally:
        assert again.end() == 0


def test_a_session_that_is_deleted_while_it_is_collected_stays_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = MonitoringService(tmp_path)
    service.create("gone", scrape_interval_seconds=0.2)
    service.start("gone")
    url = str(service.status("gone").url)
    service.register_service("gone", "self", f"{url}/metrics")
    write = gather.artifacts.write

    def deleted_before(*arguments: Any) -> None:
        service.delete("gone", force=True)
        write(*arguments)

    monkeypatch.setattr(gather.artifacts, "write", deleted_before)
    with pytest.raises((AbsentError, InfrastructureError)):
        stored.collect(
            service, SessionFolder(tmp_path, "gone"), NewCollection(name="late", last="1s")
        )

    assert list(tmp_path.iterdir()) == []
    assert service.create("gone").state == "created"
