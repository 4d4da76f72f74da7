"""A rig of real processes: drivers to kill, and a count of what is left of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from escalade.runtime import driver, processes
from escalade.runtime.allocation import AllocationState
from escalade.runtime.local import LocalLauncher
from escalade.runtime.steps import StepSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEASE_SECONDS = 2.0
MARK = "ESCALADE_TEST"


def wait_until(true: Callable[[], object], seconds: float) -> bool:
    """Look until it is true; False when it never was within `seconds`."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@dataclass
class Driven:
    """A driver in a process of its own, with one allocation and one step."""

    process: subprocess.Popen[str]
    run: Path
    allocation: AllocationState
    mark: str

    @property
    def guard(self) -> int:
        return self.allocation.pid

    @property
    def holder(self) -> int:
        table = processes.snapshot()
        return next(found.pid for found in table.values() if found.parent == self.guard)

    @property
    def keeper(self) -> int:
        return next(
            entry["pid"]
            for entry in map(json.loads, (self.run / "ledger.jsonl").read_text().splitlines())
            if entry["role"] == "keeper"
        )

    def pids(self, names: tuple[str, ...]) -> list[int]:
        own = {"driver": self.process.pid}
        return [own[name] if name in own else getattr(self, name) for name in names]

    def left(self, *but: int) -> set[int]:
        """Give the pids of all that the driver ever started, itself included."""
        return processes.marked(MARK, self.mark, processes.snapshot()) - set(but)


class Rig:
    """Makes drivers below one state root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.marks: list[str] = []
        self.drivers: list[subprocess.Popen[str]] = []

    def drive(self, command: str, campaign: str = "demo", lease: float = LEASE_SECONDS) -> Driven:
        """Start a driver whose only step is `bash -c command`; back once that runs."""
        mark = uuid.uuid4().hex
        self.marks.append(mark)
        script = Path(__file__).with_name("a_driver.py")
        process = subprocess.Popen(
            [sys.executable, str(script), str(self.root), campaign, str(lease), command],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, MARK: mark},
        )
        self.drivers.append(process)
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        allocation = AllocationState.from_json(said["allocation"])
        return Driven(process, Path(said["run"]), allocation, mark)

    def clean(self) -> None:
        """Kill whatever a failed test left."""
        table = processes.snapshot()
        for mark in self.marks:
            for pid in processes.marked(MARK, mark, table):
                os.kill(pid, signal.SIGKILL)
        for process in self.drivers:
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "state")
    yield made
    made.clean()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[driver.RunFolder]:
    """Give a run that this test's own process drives."""
    with driver.driving(tmp_path / "state", "demo", "run-1", LEASE_SECONDS) as begun:
        yield begun


@pytest.fixture
def local() -> LocalLauncher:
    return LocalLauncher()


@pytest.fixture
def allocation(run: driver.RunFolder, local: LocalLauncher) -> Iterator[AllocationState]:
    held = local.allocate("cell", run.path / "cell", run)
    yield held
    local.release(held)


@pytest.fixture
def bash(tmp_path: Path) -> Callable[..., StepSpec]:
    """Give a maker of steps that run a line of bash."""

    def spec(line: str, name: str = "step", **options: object) -> StepSpec:
        log = tmp_path / "logs" / f"{name}.log"
        return StepSpec(name, ("bash", "-c", line), "service", log, **options)  # type: ignore[arg-type]

    return spec
