"""A real truth server and a real locust for each test that asks for them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import psutil
import pytest

from escalade.files import read_table, write_table
from escalade.load.generator import LoadGenerator
from escalade.load.records import SCHEMA
from escalade.load.schedule import StepPlan, draw_schedule
from escalade.load.step import LoadStep, run_step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class Truth:
    """A running truth server and its log."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def lines(self) -> pd.DataFrame:
        """Give its log, one row per request, in order of arrival."""
        text = self.log.read_text().splitlines()
        return pd.DataFrame([json.loads(line) for line in text]).sort_values("arrival")

    def watch(self) -> str | None:
        """Say what a launcher would say of it."""
        code = self.process.poll()
        return None if code is None else f"the service ended with exit code {code}"

    def stop(self) -> None:
        """End it; its log is whole afterwards."""
        self.process.terminate()
        self.process.wait()


@dataclass
class Ran:
    """A step that was run."""

    outcome: dict[str, Any]
    requests: pd.DataFrame
    step: LoadStep
    wall_seconds: float

    def joined(self, truth: Truth) -> pd.DataFrame:
        """Join the request log with the server's own by the request's number."""
        lines = truth.lines()
        lines["index"] = lines["id"].str.split("-").str[1].astype(int)
        return self.requests.merge(lines, on="index", suffixes=("", "_true"))


@pytest.fixture
def start_truth(tmp_path: Path) -> Iterator[Callable[..., Truth]]:
    """Start truth servers with the given options; all end with the test."""
    started: list[Truth] = []

    def start(*options: str) -> Truth:
        folder = tmp_path / f"truth-{len(started)}"
        folder.mkdir()
        port_file = folder / "port"
        command = [sys.executable, "-m", "escalade.load.truth_server"]
        command += ["--port-file", str(port_file), "--log", str(folder / "truth.jsonl"), *options]
        process = subprocess.Popen(command)
        while not port_file.exists():
            assert process.poll() is None
            time.sleep(0.02)
        url = f"http://127.0.0.1:{port_file.read_text().strip()}"
        started.append(Truth(process, url, folder / "truth.jsonl"))
        return started[-1]

    yield start
    for truth in started:
        truth.stop()


@pytest.fixture
def plan_step(tmp_path: Path) -> Callable[..., LoadStep]:
    """Write a schedule and give a step of it; `changes` go to plan or step by name.

    `counts` are the parameters of a load without a rate.
    """
    count = 0

    def plan(host: str, qps: float | None, seconds: float, **changes: Any) -> LoadStep:
        nonlocal count
        count += 1
        folder = tmp_path / f"step-{count}"
        fields = {"warmup_seconds": 0.0, "arrivals": "poisson", "output_tokens": 8}
        fields |= {"abandon": {}, "conversation": {}}
        fields |= {name: changes.pop(name) for name in list(changes) if name in fields}
        fields["parameters"] = changes.pop("counts", {})
        rung = StepPlan(step=1, target_qps=qps, window_seconds=seconds, input_tokens=16, **fields)  # type: ignore[arg-type]
        write_table(folder / "schedule.parquet", draw_schedule([rung], seed=count))
        defaults = {"workload": "plain_http", "parameters": {}, "drain_timeout_seconds": 5.0}
        return LoadStep(
            schedule=folder / "schedule.parquet",
            step=1,
            repetition=1,
            seed=count,
            host=host,
            folder=folder / "1",
            scratch=folder / "scratch",
            log=folder / "client.log",
            **({"request_timeout_seconds": 10.0} | defaults | changes),  # type: ignore[arg-type]
        )

    return plan


@pytest.fixture(scope="session")
def forker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadGenerator]:
    """Start one process for all tests that only want steps to be run."""
    with LoadGenerator(None, tmp_path_factory.mktemp("load") / "load.log") as generator:
        yield generator


@pytest.fixture
def run(forker: LoadGenerator) -> Callable[..., Ran]:
    """Run a step with a watch; give outcome and request log."""

    def ran(step: LoadStep, watch: Callable[[], str | None] = lambda: None) -> Ran:
        began = time.monotonic()
        outcome = run_step(step, forker, watch, step.scratch / "progress.json")
        wall = time.monotonic() - began
        return Ran(outcome, read_table(step.requests_file, "request log", SCHEMA.names), step, wall)

    return ran


@pytest.fixture
def run_workers(run: Callable[..., Ran]) -> Callable[..., pd.DataFrame]:
    """Run a step; give the request logs of all its workers, joined and in order."""

    def ran(step: LoadStep) -> pd.DataFrame:
        assert run(step).outcome["outcome"] == "measured"
        logs = [
            read_table(worker.requests_file, "request log", SCHEMA.names) for worker in step.each()
        ]
        return pd.concat(logs).sort_values("index", ignore_index=True)

    return ran


@pytest.fixture
def client_of(forker: LoadGenerator) -> Callable[[LoadStep], psutil.Process | None]:
    """Find the load generator that runs a step, if it does."""

    def find(step: LoadStep) -> psutil.Process | None:
        if forker.pid is None or not step.log.exists():
            return None
        with contextlib.suppress(psutil.Error):
            return next(iter(psutil.Process(forker.pid).children()), None)
        return None

    return find
