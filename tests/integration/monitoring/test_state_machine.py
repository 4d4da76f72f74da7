"""Sessions with a real Prometheus in random order, with kills between and in the midst of commands."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from crashes import killed
from escalade.errors import EscaladeError, InputError
from escalade.monitoring import manager
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.sessions import exporters, live, targets
from escalade.monitoring.sessions.record import SessionFolder
from escalade.monitoring.sessions.service import MonitoringService
from escalade.monitoring.windows import gather
from escalade.monitoring.windows.queries import Questions
from escalade.monitoring.windows.window import Wanted, choose
from escalade.runtime import tools
from escalade.runtime.local import LocalLauncher
from escalade.runtime.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.monitoring.sessions.live import Live
    from escalade.monitoring.sessions.results import Status

SESSION = "bench01"
SECONDS = 60.0
"""A command that was killed may leave a start or an end that goes on by itself."""

crashes = st.none() | st.none() | st.integers(0, 60)
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


class Lives(RuleBasedStateMachine):
    """One session, its commands, and what kills it."""

    def __init__(self) -> None:
        super().__init__()
        for tool in ("prometheus", "promtool", "node_exporter"):
            tools.ensure(tool)
        self.place = Path(tempfile.mkdtemp(prefix="escalade-lives-"))
        self.root = self.place / "monitor"
        self.service = MonitoringService(self.root)
        self.folder = SessionFolder(self.root, SESSION)
        self.in_order = False
        """Whether the last operation was a change of the session that was over in order."""
        self.collected = 0

    def teardown(self) -> None:
        if self.folder.path.exists():
            self.service.delete(SESSION, force=True)
        assert processes(self.root) == []
        shutil.rmtree(self.place)

    def do(self, operation: Callable[[], object], crash: int | None = None) -> bool:
        """Do it, or be killed in it; False where it was refused or killed."""
        self.in_order = False
        if crash is not None:
            killed(operation, self.root, crash)
            return False
        try:
            operation()
        except EscaladeError:
            return False
        self.in_order = True
        return True

    @rule(crash=crashes)
    def create(self, crash: int | None) -> None:
        self.do(lambda: self.service.create(SESSION, scrape_interval_seconds=0.5), crash)

    @rule(crash=crashes)
    def start(self, crash: int | None) -> None:
        known = self.folder.exists()
        done = self.do(lambda: self.service.start(SESSION), crash)
        assert not done or self.settled().ready
        assert done or crash is not None or not known

    @rule(crash=crashes)
    def stop(self, crash: int | None) -> None:
        if self.do(lambda: self.service.stop(SESSION), crash):
            assert self.settled().state in {"created", "stopped"}

    @rule(crash=crashes)
    def restart(self, crash: int | None) -> None:
        self.do(lambda: self.service.restart(SESSION), crash)

    @rule(name=st.sampled_from(["one", "two"]), crash=crashes)
    def register(self, name: str, crash: int | None) -> None:
        page = f"127.0.0.1:{len(name) + ord(name[0])}"
        self.do(lambda: self.service.register_service(SESSION, name, page, wait=0), crash)

    @rule(name=st.sampled_from(["one", "two"]), crash=crashes)
    def remove(self, name: str, crash: int | None) -> None:
        self.do(lambda: self.service.remove_service(SESSION, name), crash)

    @rule(kind=st.sampled_from(["node", "process"]), crash=crashes)
    def deploy(self, kind: str, crash: int | None) -> None:
        self.do(lambda: self.service.deploy_exporter(SESSION, kind, wait=0), crash)

    @rule(kind=st.sampled_from(["node", "process"]), crash=crashes)
    def withdraw(self, kind: str, crash: int | None) -> None:
        self.do(lambda: self.service.remove_exporter(SESSION, kind, "session"), crash)

    @rule(crash=crashes)
    def collect(self, crash: int | None) -> None:
        self.collected += 1
        out = self.place / f"out{self.collected}"
        self.do(lambda: take_window(self.service, out), crash)
        left = [path.name for path in self.place.glob(f".{out.name}*")]
        assert crash is not None or left == []
        assert not out.exists() or (out / "MANIFEST.json").exists()
        self.in_order = False  # it changes nothing of the session

    @rule(crash=crashes)
    def delete(self, crash: int | None) -> None:
        if self.do(lambda: self.service.delete(SESSION, force=True), crash):
            assert list(self.root.iterdir()) == []

    @rule()
    def kill_prometheus(self) -> None:
        self.kill(lambda found: found.prometheus["pid"])

    @rule()
    def kill_keeper(self) -> None:
        self.kill(lambda found: found.pid)

    def kill(self, pid_of: Callable[[Live], int]) -> None:
        self.in_order = False
        found = live.read_any_live(self.folder.path)
        if found is None or not found.keeper_alive():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid_of(found), signal.SIGKILL)
        wait_until(lambda: not found.keeper_alive(), "the keeper ends")

    def steady(self) -> bool:
        """Tell whether no end goes on that a killed command began: Prometheus ends before its keeper."""
        found, told = self.settled(), live.read_any_live(self.folder.path)
        if found.state != "running" or told is None:
            return found.state != "running"
        return found.ready and servers(self.root) == [told.prometheus["pid"]]

    def settled(self) -> Status:
        """Give the status once what a killed command began is over."""
        wait_until(lambda: self.service.status(SESSION).state != "starting", "it is started")
        return self.service.status(SESSION)

    @invariant()
    def what_is_not_there_has_no_processes(self) -> None:
        if self.folder.exists():
            return
        assert self.service.sessions() == []
        wait_until(lambda: processes(self.root) == [], f"none is left: {processes(self.root)}")
        time.sleep(0.2)
        assert not self.folder.path.exists()
        with pytest.raises(InputError, match="no session"):
            self.service.status(SESSION)

    @invariant()
    def status_tells_the_truth_about_the_processes(self) -> None:
        if not self.folder.exists():
            return
        wait_until(self.steady, "its keeper ends, or its Prometheus is there")
        found = self.settled()
        if found.state == "running":
            told = live.read_any_live(self.folder.path)
            assert told is not None
            assert told.keeper_alive()
            assert servers(self.root) == [told.prometheus["pid"]]
        else:
            assert found.url is None
            assert not found.ready
            wait_until(
                lambda: processes(self.root) == [],
                f"{found.state}, but there run {processes(self.root)}",
            )
            assert self.service.status(SESSION).state == found.state

    @invariant()
    def what_runs_is_what_the_record_says(self) -> None:
        if not self.in_order or not self.folder.exists():
            return
        record, told = self.folder.read(), live.read_any_live(self.folder.path)
        if told is None or self.service.status(SESSION).state != "running":
            return
        registry = targets.registry_of(record, told.addresses, told.ports)
        assert len(registry.targets) == len(record.pages)
        assert manager.scrapes(told.state, registry)
        wanted = {exporters.step_name(page) for page in record.pages if page.ours}
        assert running_exporters(told) == wanted

    @invariant()
    def nothing_half_written_stays_after_a_change_in_order(self) -> None:
        if not self.in_order or not self.folder.exists():
            return
        assert list(self.folder.path.glob(".session.json.*")) == []
        assert list((self.folder.path / "prometheus").glob(".prometheus.yml.*.new")) == []


def take_window(service: MonitoringService, out: Path) -> None:
    """Collect the last two seconds of the session, as the command does."""
    url = service.status(SESSION).url
    if url is None:
        raise InputError("it does not run")
    with PrometheusClient(url) as client:
        chosen = choose(client, Wanted(None, None, "2s", None, None), lambda _: None)
        gather.collect(client, chosen, Questions(), out, "run01")


def running_exporters(told: Live) -> set[str]:
    launcher, held = LocalLauncher(), told.held
    names = [name for name in Spool(held.steps).notes("request") if name.startswith("exporter.")]
    return {name for name in names if launcher.state(held, name).running}


def processes(folder: Path) -> list[tuple[int, str]]:
    """Name the processes that work in a folder."""
    return [
        (it.pid, " ".join(it.info["cmdline"][:5]))
        for it in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in it.info["cmdline"] or [])
    ]


def servers(folder: Path) -> list[int]:
    return [pid for pid, words in processes(folder) if "--config.file" in words]


def wait_until(holds: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


Lives.TestCase.settings = settings(
    max_examples=int(os.environ.get("ESCALADE_LIVES", "4")),
    stateful_step_count=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
test_a_session_in_any_order_with_kills = Lives.TestCase
