"""What the load generator can do on this machine: `python benchmarks/load.py`.

Prints markdown. The service is the truth server, on its own cores where there are
two or more. Absolute figures belong here, not into tests: neighbours move them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
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

RATES = (10, 100, 500, 1000, 2000)
WORKERS, SHARED_RATES = (1, 2, 4), (100, 1000)
TTFT_SECONDS, ITL_SECONDS, TOKENS = 0.05, 0.01, 16


@dataclass
class Truth:
    """A running truth server."""

    url: str
    log: Path

    def lines(self) -> pd.DataFrame:
        """Give its log, one row per request."""
        rows = pd.DataFrame([json.loads(text) for text in self.log.read_text().splitlines()])
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


def rates(folder: Path, seconds: float) -> None:
    """Print what becomes of constant and Poisson schedules of rising rate."""
    columns = [
        "target, 1/s",
        "arrivals",
        "rate error",
        "gap CV (planned)",
        "lag p50 / p99 / max, ms",
        "latency p50 / p99, ms",
        "CPU of a core",
        "loop lag p99, ms",
        "steal",
    ]
    print(f"\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for qps in RATES:
        for arrivals in ("constant", "poisson"):
            here = folder / f"{qps}-{arrivals}"
            with truth(here) as server:
                log, outcome = run(here, server.url, qps, seconds, arrivals=arrivals)
            print_rate(qps, arrivals, log, outcome["client"])


def shared(folder: Path, seconds: float) -> None:
    """Print what becomes of a Poisson schedule that several processes share."""
    print("\nOne schedule, shared by several processes on the same core (Poisson):\n")
    print("| target, 1/s | processes | rate error | gap CV (planned) | lag p50 / p99, ms |")
    print("|---|---|---|---|---|")
    for qps in SHARED_RATES:
        for workers in WORKERS:
            here = folder / f"{qps}-{workers}"
            with truth(here) as server:
                log, _ = run(here, server.url, qps, seconds, workers=workers)
            span = {name: log[name].max() - log[name].min() for name in ("sent_at", "planned_at")}
            lag = (log.sent_at - log.planned_at).quantile([0.5, 0.99]) * 1e3
            gaps = f"{variation(log.sent_at):.3f} ({variation(log.planned_at):.3f})"
            error = f"{span['planned_at'] / span['sent_at'] - 1:+.4%}"
            late = " / ".join(f"{value:.2f}" for value in lag)
            print(f"| {qps} | {workers} | {error} | {gaps} | {late} |", flush=True)


def print_rate(qps: float, arrivals: str, log: pd.DataFrame, client: dict[str, Any]) -> None:
    """Print one row of the table of rates."""
    span = {name: log[name].max() - log[name].min() for name in ("sent_at", "planned_at")}
    lag = (log.sent_at - log.planned_at).quantile([0.5, 0.99, 1]) * 1e3
    latency = (log.ended_at - log.planned_at).quantile([0.5, 0.99]) * 1e3
    cells = [
        f"{qps:g}",
        arrivals,
        f"{span['planned_at'] / span['sent_at'] - 1:+.4%}",
        f"{variation(log.sent_at):.3f} ({variation(log.planned_at):.3f})",
        " / ".join(f"{value:.2f}" for value in lag),
        " / ".join(f"{value:.2f}" for value in latency),
        f"{client['cpu_seconds'] / client['wall_seconds']:.0%}",
        f"{client['event_loop_lag_seconds']['p99'] * 1e3:.2f}",
        f"{client['steal_ratio']:.1%}",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def freeze(folder: Path) -> None:
    """Print the percentile of a service that stands still for one second of 20."""
    with truth(folder, "--freeze-at-seconds", "8", "--freeze-seconds", "1") as server:
        log, _ = run(folder, server.url, 100, 20, arrivals="constant")
    latency = log.ended_at - log.planned_at
    print(
        f"\nServer frozen for 1 s at 100/s, 20 s: p99 {latency.quantile(0.99):.3f} s (true "
        f"0.80 s), {(latency > 0.1).sum()} requests over 100 ms (true 90)."
    )


def first_token(folder: Path) -> None:
    """Print how far the time to first token is off the server's own."""
    print("\nTime to first token of streams at 50/s, less the server's own, in ms:\n")
    print(
        "| connections | from the send, p50 / p90 / p99 | from the planned send | token gaps, p50 |"
    )
    print("|---|---|---|---|")
    speed = ("--ttft-seconds", str(TTFT_SECONDS), "--itl-seconds", str(ITL_SECONDS))
    for keep_alive in (False, True):
        here = folder / str(keep_alive)
        with truth(here, *speed) as server:
            log, _ = run(
                here,
                server.url,
                50,
                10,
                workload="openai_chat",
                parameters={"keep_alive": keep_alive},
            )
            both = log.merge(server.lines(), on="index", suffixes=("", "_true"))
        true = both.first_token - both.arrival
        off = [
            " / ".join(f"{value * 1e3:.2f}" for value in (seen - true).quantile([0.5, 0.9, 0.99]))
            for seen in (both.first_chunk_at - both.sent_at, both.first_chunk_at - both.planned_at)
        ]
        gaps = np.concatenate([np.diff(offsets) for offsets in both.chunk_offsets])
        name = "kept" if keep_alive else "one per request"
        gap = (np.median(gaps) - ITL_SECONDS) * 1e3
        print(f"| {name} | {off[0]} | {off[1]} | {gap:+.2f} |", flush=True)


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


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="window of each rate")
    options = parser.parse_args()
    print(f"`{' '.join(['python', *sys.argv])}` on {time.strftime('%Y-%m-%d')}: {machine()}")
    with tempfile.TemporaryDirectory() as folder:
        rates(Path(folder) / "rates", options.seconds)
        shared(Path(folder) / "shared", options.seconds)
        freeze(Path(folder) / "freeze")
        first_token(Path(folder) / "first-token")
    print(f"\nLoad average at the end: {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
