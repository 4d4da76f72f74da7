"""A Prometheus starts, is reloaded, killed, archived and opened again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from escalade.errors import InfrastructureError, InputError
from escalade.monitoring import faults, manager
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.registry import Registry, Target
from escalade.runtime import endpoints, tools
from escalade.runtime.local import LocalLauncher

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.runtime.allocation import AllocationState
    from integration.monitoring.conftest import Cell, Watched

    Begin = Callable[[str, Registry], Watched]

LAUNCHER = LocalLauncher()


def test_the_archive_opens_in_promtool_and_in_another_prometheus(
    cell: Cell, allocate: Callable[[str], AllocationState], tmp_path: Path
) -> None:
    start, end = time.time() - 4, time.time() - 1
    with cell.client() as client:
        before = client.raw_samples('{job="node"}', start, end)
    manager.archive(cell.state, tmp_path / "tsdb.tar.zst")
    data = manager.open_archive(tmp_path / "tsdb.tar.zst", tmp_path / "opened")

    dump = [tools.find("promtool").path, "tsdb", "dump", data]
    dumped = subprocess.run(dump, check=True, capture_output=True, timeout=30).stdout
    assert len(dumped.splitlines()) > len(before) > 0

    reopened = manager.start(
        LAUNCHER,
        allocate("reopened"),
        folder=data.parent,
        registry=Registry(),
        log=tmp_path / "log",
    )
    with PrometheusClient(reopened.url) as client:
        pd.testing.assert_frame_equal(client.raw_samples('{job="node"}', start, end), before)
    assert not list((data.parent / "data").glob("snapshots/*"))
    assert not list(tmp_path.glob("*/data/snapshots/*"))


def test_no_samples_make_an_archive_that_opens_too(begin: Begin, tmp_path: Path) -> None:
    empty = begin("empty", Registry())

    manager.archive(empty.state, tmp_path / "tsdb.tar.zst")
    data = manager.open_archive(tmp_path / "tsdb.tar.zst", tmp_path / "opened")
    stopped = manager.stop(LAUNCHER, empty.allocation)

    assert (data / "wal").is_dir()
    assert (tmp_path / "opened" / "prometheus.yml").read_text().startswith("global:")
    assert stopped.exit_code == 0
    assert not list((empty.folder / "data" / "snapshots").iterdir())


def test_a_snapshot_that_can_not_be_written_is_an_error(begin: Begin, tmp_path: Path) -> None:
    full = begin("full", Registry())
    (full.folder / "data" / "snapshots").write_text("in the way, as a full disk would be")

    with pytest.raises(InfrastructureError, match="could not be archived"):
        manager.archive(full.state, tmp_path / "tsdb.tar.zst")
    assert list(tmp_path.iterdir()) == []


def test_kill_9_is_told_with_the_log_and_costs_no_sample(cell: Cell, tmp_path: Path) -> None:
    victim = cell.victim
    [node] = victim.registry.targets
    end = time.time() - 1.5
    with victim.client() as client:
        before = client.raw_samples("up", end - 3, end)
    assert len(before) >= 2
    os.kill(victim.state.pid, signal.SIGKILL)
    while LAUNCHER.state(victim.allocation, manager.STEP_NAME).running:
        time.sleep(0.01)

    with victim.client() as client, pytest.raises(faults.UnreachableError, match="refused"):
        client.value("up")
    with pytest.raises(InfrastructureError, match=r"(?s)refused.*The end of its log.*msg="):
        manager.await_up(victim.state, victim.registry, 5)
    with pytest.raises(InfrastructureError, match="could not be archived"):
        manager.archive(victim.state, tmp_path / "tsdb.tar.zst")
    with pytest.raises(InfrastructureError, match="New targets were not taken"):
        manager.reload(victim.state, Registry())
    assert node.address in (victim.folder / "prometheus.yml").read_text()

    LAUNCHER.stop(victim.allocation, manager.STEP_NAME)
    again = manager.start(
        LAUNCHER,
        victim.allocation,
        folder=victim.folder,
        registry=Registry(),
        log=victim.folder / "log",
    )
    with PrometheusClient(again.url) as client:
        pd.testing.assert_frame_equal(client.raw_samples("up", end - 3, end), before)


def test_a_reload_changes_the_targets_and_a_refused_one_nothing(
    begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = begin("reloaded", Registry())
    own = Registry([Target("self", here.state.url.removeprefix("http://"), labels={"try": "1"})])

    manager.reload(here.state, own)
    with monkeypatch.context() as patch:
        patch.setattr(manager, "render", lambda *_: "scrape_configs: [{nonsense: 1}]\n")
        with pytest.raises(InfrastructureError, match=r"(?s)keeps its old.*nonsense"):
            manager.reload(here.state, Registry())
    waited = manager.await_up(here.state, own, 20)

    assert 0 < waited < 20
    with here.client() as client:
        assert client.value('up{job="self",try="1"}') == 1


def test_a_taken_port_is_left_to_its_owner(
    cell: Cell,
    allocate: Callable[[str], AllocationState],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other_prometheus = int(cell.state.url.rpartition(":")[2])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [other_prometheus, taken.getsockname()[1], endpoints.free_port()]
        monkeypatch.setattr(manager, "free_port", lambda _: ports.pop(0))
        allocation = allocate("port")
        state = manager.start(
            LAUNCHER, allocation, folder=tmp_path, registry=Registry(), log=tmp_path / "log"
        )

    assert ports == []
    with PrometheusClient(state.url) as client:
        assert client.flags()["storage.tsdb.path"] == str(tmp_path / "data")


def test_a_folder_may_be_relative_to_the_callers_own(
    allocate: Callable[[str], AllocationState], tmp_path: Path
) -> None:
    here = Path(os.path.relpath(tmp_path))
    allocation = allocate("relative")
    state = manager.start(
        LAUNCHER, allocation, folder=here / "own", registry=Registry(), log=here / "log"
    )

    assert state.data == str(tmp_path / "own" / "data")
    assert (tmp_path / "log").stat().st_size > 0


@pytest.mark.parametrize("seconds", [1.5, 60.0, 90.0, 3600.0])
def test_new_targets_are_taken_at_any_scrape_interval(
    allocate: Callable[[str], AllocationState], tmp_path: Path, seconds: float
) -> None:
    """Prometheus shows 60 s as 1m: a comparison of texts must not take that for another one."""
    state = manager.start(
        LAUNCHER,
        allocate("interval"),
        folder=tmp_path,
        registry=Registry(),
        log=tmp_path / "log",
        scrape_interval_seconds=seconds,
    )

    manager.reload(state, Registry([Target("late", "127.0.0.1:1")]))

    with PrometheusClient(state.url) as client:
        assert "job_name: late" in client.loaded_configuration()


def test_taken_ports_without_end_are_an_error(
    cell: Cell,
    allocate: Callable[[str], AllocationState],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken = int(cell.state.url.rpartition(":")[2])
    monkeypatch.setattr(manager, "free_port", lambda _: taken)
    allocation = allocate("ports")

    with pytest.raises(InfrastructureError, match=r"found 5 ports on 127.0.0.1 taken"):
        manager.start(
            LAUNCHER, allocation, folder=tmp_path, registry=Registry(), log=tmp_path / "log"
        )
    assert not LAUNCHER.state(allocation, manager.STEP_NAME).running


def test_a_prometheus_that_can_not_start_shows_why(
    allocate: Callable[[str], AllocationState], tmp_path: Path
) -> None:
    (tmp_path / "data").write_text("no folder")
    allocation = allocate("broken")

    with pytest.raises(InfrastructureError, match=r"(?s)exited with code \d.*The end of its log"):
        manager.start(
            LAUNCHER, allocation, folder=tmp_path, registry=Registry(), log=tmp_path / "log"
        )


def test_a_prometheus_that_is_not_ready_in_time_is_stopped(
    allocate: Callable[[str], AllocationState], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allocation = allocate("slow")
    monkeypatch.setattr(PrometheusClient, "ready", lambda _: False)

    with pytest.raises(InfrastructureError, match=r"was not ready within 0\.3 s"):
        manager.start(
            LAUNCHER,
            allocation,
            folder=tmp_path,
            registry=Registry(),
            log=tmp_path / "log",
            ready_timeout_seconds=0.3,
        )
    assert not LAUNCHER.state(allocation, manager.STEP_NAME).running


def test_an_interval_too_short_starts_nothing(
    allocate: Callable[[str], AllocationState], tmp_path: Path
) -> None:
    allocation = allocate("short")

    with pytest.raises(InputError, match="too short"):
        manager.start(
            LAUNCHER,
            allocation,
            folder=tmp_path,
            registry=Registry(),
            log=tmp_path / "log",
            scrape_interval_seconds=0,
        )
    assert not (tmp_path / "log").exists()
