"""What the load generator can do on this machine: `python benchmarks/load.py`.

Prints markdown. The service is the truth server, on its own cores where there are
two or more. Absolute figures belong here, not into tests: neighbours move them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import peers
from instrument import machine, run, truth, variation

if TYPE_CHECKING:
    import pandas as pd

RATES = (10, 100, 500, 1000, 2000)
WORKERS, SHARED_RATES = (1, 2, 4), (100, 1000)
STREAM_RATES, TTFT_SECONDS, ITL_SECONDS = (50, 200), 0.05, 0.01


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


def first_token(folder: Path, seconds: float) -> None:
    """Print how far the times of streamed tokens are off the server's own."""
    print("\nTime to first token of streams of 16 tokens, less the server's own, in ms:\n")
    print(
        "| target, 1/s | connections | from the send, p50 / p90 / p99 | from the planned send, "
        "p50 / p90 / p99 | token gaps, p50 | CPU of a core |"
    )
    print("|---|---|---|---|---|---|")
    speed = ("--ttft-seconds", str(TTFT_SECONDS), "--itl-seconds", str(ITL_SECONDS))
    for qps in STREAM_RATES:
        for keep_alive in (False, True):
            here = folder / f"{qps}-{keep_alive}"
            with truth(here, *speed) as server:
                parameters = {"keep_alive": keep_alive}
                log, outcome = run(
                    here, server.url, qps, seconds, workload="openai_chat", parameters=parameters
                )
                both = log.merge(server.by_index(), on="index", suffixes=("", "_true"))
            print_streams(qps, both, outcome["client"], keep_alive=keep_alive)


def print_streams(
    qps: float, both: pd.DataFrame, client: dict[str, Any], *, keep_alive: bool
) -> None:
    """Print one row of the table of streams."""
    true = both.first_token - both.arrival
    off = [
        " / ".join(f"{value * 1e3:.2f}" for value in (seen - true).quantile([0.5, 0.9, 0.99]))
        for seen in (both.first_chunk_at - both.sent_at, both.first_chunk_at - both.planned_at)
    ]
    gaps = np.concatenate([np.diff(offsets) for offsets in both.chunk_offsets])
    cells = [
        f"{qps:g}",
        "kept" if keep_alive else "one per request",
        *off,
        f"{(np.median(gaps) - ITL_SECONDS) * 1e3:+.2f}",
        f"{client['cpu_seconds'] / client['wall_seconds']:.0%}",
    ]
    print(f"| {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="window of each rate")
    parser.add_argument(
        "--peers",
        action="store_true",
        help="compare with other tools, installed on first use (2 GB)",
    )
    options = parser.parse_args()
    print(f"`{' '.join(['python', *sys.argv])}` on {time.strftime('%Y-%m-%d')}: {machine()}")
    with tempfile.TemporaryDirectory() as folder:
        rates(Path(folder) / "rates", options.seconds)
        shared(Path(folder) / "shared", options.seconds)
        freeze(Path(folder) / "freeze")
        first_token(Path(folder) / "first-token", options.seconds / 2)
        if options.peers:
            peers.compare(Path(folder) / "peers", options.seconds / 2)
    print(f"\nLoad average at the end: {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
