"""Faults of sessions, collections and archives: a full disk, kills, files that were damaged or removed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from crashes import killed
from escalade.cli.monitor import app
from escalade.errors import EscaladeError, InfrastructureError
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.sessions import exporters, live
from escalade.monitoring.sessions.service import MonitoringService
from escalade.runtime.endpoints import free_port
from escalade.runtime.local import LocalLauncher
from integration.monitoring.sessions import left, run, scraped, told
from support import require_or_skip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OWN = ("--session", "bench01")
SECONDS = 30.0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Give a disk of 48 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "escalade-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        require_or_skip("tmpfs", "a small disk of its own needs root and mount")
    yield folder
    service = MonitoringService(folder / "monitor")
    (folder / "filler").unlink(missing_ok=True)
    for session in service.sessions():
        service.delete(session, force=True)
    assert left(folder) == []
    subprocess.run(["umount", str(folder)], check=True)


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Fill a disk to its last byte."""
    with (disk / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
        for size in (1 << 20, 4096):
            with contextlib.suppress(OSError):
                while True:
                    filler.write(bytes(size))
    try:
        yield
    finally:
        (disk / "filler").unlink()


def session(root: Path, *, start: bool = True) -> MonitoringService:
    service = MonitoringService(root)
    service.create("bench01", scrape_interval_seconds=0.5)
    if start:
        service.start("bench01")
    return service


def wait_until_none_is_left(root: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while pids := left(root):
        assert time.monotonic() < deadline, pids
        time.sleep(0.05)


def refused(*words: str) -> EscaladeError:
    """Run a command that has no --state and give its error."""
    done = CliRunner().invoke(app, list(words))
    assert isinstance(done.exception, EscaladeError), (done.output, done.exception)
    return done.exception


def test_a_full_disk_makes_no_session_and_the_next_one_is_made(disk: Path) -> None:
    root = disk / "monitor"
    root.mkdir()
    with full(disk):
        words = run(root, "session-create", "--run-id", "bench01", code=3)
        assert "No space left" in words
        assert list(root.iterdir()) == []
    run(root, "session-create", "--run-id", "bench01")


@pytest.mark.parametrize("running", [False, True])
def test_a_full_disk_changes_nothing_that_is_watched(disk: Path, running: bool) -> None:  # noqa: FBT001
    root = disk / "monitor"
    service = session(root, start=running)
    service.register_client("bench01", "c1", "nodeA")
    service.register_service("bench01", "old", "127.0.0.1:1", wait=0)
    before = service.status("bench01")
    changes = [
        ("client-connect", "--client-id", "c2", "--node", "nodeB"),
        ("service-register", "--name", "new", "--endpoint", "127.0.0.1:2"),
        ("exporter-deploy", "--kind", "node"),
        ("service-remove", "--name", "old"),
        ("client-remove", "--client-id", "c1"),
    ]
    with full(disk):
        for name, *words in changes:
            assert "No space left" in run(root, name, *OWN, *words, code=3)
        found = service.status("bench01")

    assert (found.state, found.clients) == (before.state, before.clients)
    assert [it.given for it in found.targets] == [it.given for it in before.targets]
    assert list((root / "bench01").glob(".*")) == []
    for name, *words in changes:
        run(root, name, *OWN, *words)
    assert [it.name for it in service.status("bench01").targets] == ["new", "session"]


def test_on_a_full_disk_nothing_starts_and_what_runs_can_be_ended(disk: Path) -> None:
    root = disk / "monitor"
    service = session(root, start=False)
    with full(disk):
        assert "No space left" in run(root, "start", *OWN, code=3)
        assert left(root) == []
    assert told(root)["state"] == "created"
    service.start("bench01")
    with full(disk):
        assert told(root)["state"] == "running"
        assert "No space left" in run(root, "stop", *OWN, code=3)
        wait_until_none_is_left(root)
    assert told(root, code=3)["state"] == "dead"
    run(root, "stop", *OWN)
    assert told(root)["state"] == "stopped"
    service.start("bench01")
    with full(disk):
        run(root, "delete", *OWN, "--force")
        assert left(root) == []
    assert service.sessions() == []


def test_a_full_disk_gets_no_archive_and_no_collection(root: Path, disk: Path) -> None:
    service = session(root)
    url = str(service.status("bench01").url)
    service.register_service("bench01", "self", f"{url}/metrics")
    time.sleep(1.5)
    with full(disk):
        archived = run(root, "archive", *OWN, "--out", str(disk / "a.tar.zst"), code=3)
        out = str(disk / "out")
        collected = run(root, "collect", *OWN, "--last", "2s", "--out", out, code=3)
        assert "No space left" in archived
        assert "No space left" in collected
        assert [path.name for path in disk.iterdir()] == ["filler"]
    assert list((root / "bench01" / "prometheus" / "data" / "snapshots").iterdir()) == []
    run(root, "archive", *OWN, "--out", str(disk / "a.tar.zst"))
    run(root, "collect", *OWN, "--last", "2s", "--out", out)


def test_an_exporter_that_is_killed_is_told_and_can_be_deployed_again(root: Path) -> None:
    service = session(root)
    assert service.deploy_exporter("bench01", "process").targets[0].health == "up"
    assert service.deploy_exporter("bench01", "node").targets[0].health == "up"
    found = live.read_any_live(root / "bench01")
    assert found is not None
    step = exporters.step_name(service._folder("bench01").read().pages[1])
    os.kill(int(LocalLauncher().state(found.held, step).pid or 0), signal.SIGKILL)

    deadline = time.monotonic() + SECONDS
    while True:
        process, node = told(root)["targets"]
        if node["health"] == "down":
            break
        assert time.monotonic() < deadline, node
        time.sleep(0.1)
    assert node["exporter"] == "was killed by SIGKILL"
    assert "refused" in node["last_error"]
    assert (process["exporter"], process["health"]) == ("runs", "up")

    run(root, "exporter-remove", *OWN, "--kind", "node", "--name", "session")
    again = json.loads(run(root, "exporter-deploy", *OWN, "--kind", "node", "--json"))
    assert (again["targets"][0]["exporter"], again["targets"][0]["health"]) == ("runs", "up")


@pytest.mark.parametrize("accesses", [2, 8, 14, 20, 26])
def test_a_command_that_is_killed_leaves_the_session_as_before_or_as_wanted(
    root: Path, accesses: int
) -> None:
    service = session(root)
    known = [
        killed(
            lambda: service.register_service("bench01", "new", "127.0.0.1:1", wait=0),
            root,
            accesses,
        ),
        [it.name for it in service.status("bench01").targets],
    ]
    assert known[1] in ([], ["new"])

    service.register_service("bench01", "new", "127.0.0.1:1", wait=0)
    with PrometheusClient(str(service.status("bench01").url)) as client:
        deadline = time.monotonic() + SECONDS
        while [it.job for it in client.targets()] != ["new"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert list((root / "bench01").glob(".*")) == []


def test_a_start_that_is_killed_goes_on_and_can_be_stopped(root: Path) -> None:
    service = session(root, start=False)
    starting = subprocess.Popen(
        [sys.executable, "-m", "escalade", "monitor", "start", *OWN, "--state", str(root)],
        start_new_session=True,
    )
    deadline = time.monotonic() + SECONDS
    while not (root / "bench01" / "keeper.lock").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(starting.pid, signal.SIGKILL)
    starting.wait()

    assert service.status("bench01").state in {"starting", "running"}
    service.stop("bench01")
    assert service.status("bench01").state == "stopped"
    assert left(root) == []
    time.sleep(2)
    assert left(root) == []  # nothing comes up later


@pytest.mark.parametrize("text", ["", "{", "[]", '{"token": 7}'])
def test_a_damaged_file_of_the_keeper_is_told_and_the_session_can_be_ended(
    root: Path, text: str
) -> None:
    service = session(root)
    (root / "bench01" / "live.json").write_text(text)

    found = told(root)
    assert (found["state"], found["url"]) == ("starting", None)
    assert "live.json can't be read" in found["problems"][0]
    service.stop("bench01")
    assert left(root) == []
    service.start("bench01")
    assert service.status("bench01").ready


def test_a_session_whose_folder_is_removed_while_it_runs_ends(root: Path) -> None:
    service = session(root)
    service.deploy_exporter("bench01", "node")
    shutil.rmtree(root / "bench01", ignore_errors=True)
    shutil.rmtree(root / "bench01", ignore_errors=True)  # Prometheus may have written meanwhile

    wait_until_none_is_left(root)
    time.sleep(0.5)
    assert service.sessions() == []
    assert "no session 'bench01'" in run(root, "status", *OWN, code=2)
    service.create("bench01")
    service.start("bench01")


def test_a_collection_of_a_dead_prometheus_and_of_no_samples_leaves_nothing(
    root: Path, tmp_path: Path
) -> None:
    service = session(root)
    url = str(service.status("bench01").url)
    out = tmp_path / "out"
    asked = ("--from-iso", "2020-01-01T00:00:00Z", "--to-iso", "2020-01-01T00:01:00Z")
    nothing = refused("collect", "--prometheus", url, *asked, "--out", str(out))
    assert nothing.exit_code == 2
    assert "no sample" in str(nothing)

    service.stop("bench01")
    dead = refused("collect", "--prometheus", url, "--last", "10s", "--out", str(out))
    assert isinstance(dead, InfrastructureError)
    assert "refused" in str(dead)
    assert [path.name for path in tmp_path.iterdir()] == ["monitor"]


def test_a_target_without_data_is_in_the_collection_as_missing_not_as_zero(
    root: Path, tmp_path: Path
) -> None:
    service = session(root)
    url = str(service.status("bench01").url)
    service.register_service("bench01", "self", f"{url}/metrics")
    service.register_service("bench01", "dead", f"127.0.0.1:{free_port()}", wait=0)
    scraped(root)
    time.sleep(3)
    run(root, "collect", *OWN, "--last", "2s", "--out", str(tmp_path / "out"))

    content = json.loads((tmp_path / "out" / "collection.json").read_text())
    by_job = {target["job"]: target for target in content["targets"]}
    assert by_job["self"]["coverage"] > 0.5
    assert by_job["dead"]["coverage"] == 0
    assert not (tmp_path / "out" / "slices" / "dead.csv").exists()


@pytest.mark.parametrize("how", ["missing", "truncated", "edited", "empty", "text"])
def test_an_archive_that_is_no_whole_one_is_not_served(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr("tempfile.tempdir", None)
    service = session(root)
    archive = tmp_path / "bench01.tar.zst"
    service.archive("bench01", archive)
    whole = bytearray(archive.read_bytes())
    if how == "missing":
        archive.unlink()
    else:
        edited = (
            whole[: len(whole) // 2]
            + bytes([whole[len(whole) // 2] ^ 0xFF])
            + whole[len(whole) // 2 + 1 :]
        )
        texts = {"truncated": whole[:-20], "edited": edited, "empty": b"", "text": b"no archive"}
        archive.write_bytes(texts[how])

    found = refused("open", str(archive))

    assert found.exit_code == 2
    assert str(archive) in str(found)
    assert "does not exist" in str(found) if how == "missing" else "can't be unpacked" in str(found)
    assert list(temporary.iterdir()) == []
