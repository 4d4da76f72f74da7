"""The API as programs meet it: a real server, a real Prometheus, the client that ships with it."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from api_server import TOKEN, Server, serve
from escalade import manifest
from escalade.monitoring.http.client import MonitoringClient
from escalade.monitoring.http.faults import (
    ApiAbsentError,
    ApiConflictError,
    ApiRefusedError,
    ApiUnauthorizedError,
    ApiUnreachableError,
)
from escalade.monitoring.sessions.service import MonitoringService
from escalade.runtime import tools

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[3] / "docs" / "monitoring-api.md"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for tool in ("prometheus", "promtool"):
        tools.ensure(tool)
    folder = tmp_path_factory.mktemp("served")
    running = serve(folder / "sessions", folder / "serve.log")
    yield running
    assert running.end() == 0
    service = MonitoringService(running.root)
    for session in service.sessions():
        service.delete(session, force=True)
    assert "Traceback" not in running.log.read_text()


def connected(server: Server, token: str | None = TOKEN) -> MonitoringClient:
    return MonitoringClient(f"http://127.0.0.1:{server.port}", token)


def test_a_session_lives_its_whole_life_over_http(server: Server, tmp_path: Path) -> None:
    with connected(server) as monitor:
        assert monitor.health().status == "ok"
        made = monitor.create_session("whole", scrape_interval_seconds=0.5)
        assert (made.state, made.url) == ("created", None)
        with pytest.raises(ApiConflictError, match="exists"):
            monitor.create_session("whole")
        with pytest.raises(ApiConflictError, match="is created"):
            monitor.collect("whole", "early", last="1s")

        monitor.connect_client("whole", "c1", "nodeA")
        started = monitor.start("whole")
        assert (started.changed, started.live) == (True, True)
        assert not monitor.start("whole").changed
        url = monitor.status("whole").url
        done = monitor.register_service("whole", "self", f"{url}/metrics", client_id="c1")
        assert [(it.name, it.health, it.client_id) for it in done.targets] == [("self", "up", "c1")]
        with pytest.raises(ApiConflictError, match="not connected"):
            monitor.register_service("whole", "x", "127.0.0.1:1", client_id="c2")
        with pytest.raises(ApiRefusedError, match="Expected"):
            monitor.register_service("whole", "x", "file:///etc/passwd")

        scraped = time.time()
        time.sleep(3)
        (series,) = monitor.query("whole", "up")
        assert (series.labels["job"], series.samples[-1][1]) == ("self", "1")
        (ranged,) = monitor.query_range("whole", "up", scraped + 1, scraped + 2.5, 0.5)
        assert len(ranged.samples) == 4

        collected = monitor.collect("whole", "run01", last="2s")
        assert collected.samples > 0
        assert {row.quality for row in collected.rows}
        monitor.fetch_collection("whole", "run01", tmp_path / "run01")
        assert manifest.verify(tmp_path / "run01") == []
        names = {file.name for file in collected.files}
        assert {it.name for it in monitor.collections("whole")[0].files} == names
        with pytest.raises(ApiConflictError, match="already"):
            monitor.collect("whole", "run01", last="1s")

        packed = monitor.archive("whole", "all")
        monitor.fetch_archive("whole", "all", tmp_path / "all.tar.zst")
        assert (tmp_path / "all.tar.zst").stat().st_size == packed.bytes > 0

        assert monitor.remove_service("whole", "self").changed
        assert monitor.status("whole").targets == []
        with pytest.raises(ApiConflictError, match="stop"):
            monitor.delete("whole")
        assert monitor.stop("whole").changed
        assert not monitor.stop("whole").changed
        assert [it.state for it in monitor.sessions()] == ["stopped"]
        assert monitor.delete("whole").changed
        with pytest.raises(ApiAbsentError, match="no session"):
            monitor.status("whole")
    assert list(server.root.glob("*whole*")) == []


def test_without_the_token_of_the_server_nothing_is_told(server: Server) -> None:
    for token in (None, f"{TOKEN}x"):
        with connected(server, token) as stranger:
            assert stranger.health().status == "ok"
            with pytest.raises(ApiUnauthorizedError, match="Authorization: Bearer TOKEN"):
                stranger.sessions()
            with pytest.raises(ApiUnauthorizedError):
                stranger.create_session("stolen")
    with connected(server) as monitor:
        assert "stolen" not in [it.session for it in monitor.sessions()]


def test_what_a_killed_server_began_the_next_one_goes_on_with(tmp_path: Path) -> None:
    first = serve(tmp_path / "sessions", tmp_path / "first.log")
    with connected(first) as monitor:
        monitor.create_session("kept", scrape_interval_seconds=0.2)
        monitor.start("kept")
        before = monitor.status("kept")
        monitor.register_service("kept", "self", f"{before.url}/metrics")
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(60)
        with pytest.raises(ApiUnreachableError, match="does not answer"):
            monitor.status("kept")

    second = serve(tmp_path / "sessions", tmp_path / "second.log")
    try:
        with connected(second) as monitor:
            after = monitor.status("kept")
            assert (after.state, after.url) == ("running", before.url)
            assert after.started_at == before.started_at
            assert [(it.name, it.health) for it in after.targets] == [("self", "up")]
            assert monitor.collect("kept", "run01", last="1s").samples > 0
            assert monitor.delete("kept", force=True).changed
    finally:
        assert second.end() == 0


def example(language: str, beginning: str, server: Server) -> str:
    """Take a block out of the page, for the port of a server."""
    blocks = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), flags=re.DOTALL)
    (block,) = [block for block in blocks if block.startswith(beginning)]
    return block.replace("127.0.0.1:8642", f"127.0.0.1:{server.port}")


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a working folder with the file `token` of the page."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "token").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_example_with_curl_runs_as_it_is_written(server: Server, workplace: Path) -> None:
    script = example("bash", "api=", server)
    done = subprocess.run(
        ["bash", "-euc", script], capture_output=True, text=True, check=False, cwd=workplace
    )

    assert done.returncode == 0, (done.stdout, done.stderr)
    assert '"state":"running"' in done.stdout
    assert (workplace / "header").stat().st_mode & 0o077 == 0
    assert server.ask("GET", "/v1/sessions/bench01").status == 404


@pytest.mark.slow
def test_the_example_in_python_runs_as_it_is_written(
    server: Server, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(example("python", "import time", server), {})  # noqa: S102 - of our own page

    samples = re.fullmatch(r"(\d+) samples of 2.0 s\n", capsys.readouterr().out)
    assert samples is not None
    assert int(samples[1]) > 0
    assert manifest.verify(workplace / "metrics") == []
