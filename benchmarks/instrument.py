"""What the benchmarks of the load generator share: a service of known times, and one step against it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import psutil

from escalade.files import read_table, write_table
from escalade.load.generator import LoadGenerator
from escalade.load.records import SCHEMA
from escalade.load.schedule import StepPlan, draw_schedule
from escalade.load.step import LoadStep, run_step
from escalade.runtime.cores import plan_cores

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKENS = 16
"""Of an answer."""


@dataclass
class Truth:
    """A running truth server."""

    url: str
    log: Path

    def lines(self) -> pd.DataFrame:
        """Give its log, one row per request."""
        return pd.DataFrame([json.loads(text) for text in self.log.read_text().splitlines()])

    def by_index(self) -> pd.DataFrame:
        """Give its log of a step of ours, with the index of each request."""
        rows = self.lines()
        return rows.assign(index=rows["id"].str.split("-").str[1].astype(int))


@contextmanager
def truth(folder: Path, *options: str) -> Iterator[Truth]:
    """Run a truth server on the service's cores."""
    folder.mkdir(parents=True)
    port_file, log = folder / "port", folder / "truth.jsonl"
    command = [sys.executable, "-m", "escalade.load.truth_server"]
    command += ["--port-file", str(port_file), "--log", str(log), *options]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        psutil.Process(server.pid).cpu_affinity(list(plan_cores()[1]))
        while not port_file.exists():
            time.sleep(0.02)
        yield Truth(f"http://127.0.0.1:{port_file.read_text().strip()}", log)
    finally:
        server.terminate()
        server.wait()


def run(
    folder: Path, host: str, qps: float, seconds: float, **changes: Any
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Run one step; give its request log (window only) and its outcome."""
    arrivals = changes.pop("arrivals", "poisson")
    plan = StepPlan(1, qps, 1.0, seconds, arrivals, 32, TOKENS)
    write_table(folder / "schedule.parquet", draw_schedule([plan], seed=int(qps)))
    fields: dict[str, Any] = {"workload": "plain_http", "parameters": {}}
    step = LoadStep(
        schedule=folder / "schedule.parquet",
        step=1,
        repetition=1,
        seed=1,
        host=host,
        folder=folder / "1",
        scratch=folder,
        drain_timeout_seconds=10,
        request_timeout_seconds=30,
        log=folder / "client.log",
        **(fields | changes),
    )
    with LoadGenerator(plan_cores()[0], step.log) as generator:
        outcome = run_step(step, generator, lambda: None)
    logs = [read_table(each.requests_file, "request log", SCHEMA.names) for each in step.each()]
    log = pd.concat(logs, ignore_index=True)
    return log[log.phase == "window"], outcome


def variation(times: pd.Series[float]) -> float:
    """Give the coefficient of variation of the gaps."""
    gaps = np.diff(np.sort(times))
    return float(gaps.std() / gaps.mean())


def machine() -> str:
    """Say what this was measured on."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    client, service = plan_cores()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{cpu}, {os.cpu_count()} CPUs (client {list(client)}, service {list(service)}), "
        f"Linux {platform.release()}, Python {platform.python_version()}, load average {load}"
    )
