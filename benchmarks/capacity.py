"""How well a ladder finds a known capacity: `python benchmarks/capacity.py [SEEDS]`.

Prints markdown. Campaigns run in virtual time, on services whose capacity and latency are
known (tests/truths.py), through the analysis of a real campaign; SEEDS of each (200).
"""

from __future__ import annotations

import math
import os
import sys
import time
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.provenance import host_facts

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from truths import Truth, judged, overload_qps, truths  # noqa: E402 - lies beside the tests

if TYPE_CHECKING:
    from collections.abc import Sequence

LONG_RUN = 4_000_000
"""Requests from which the true latency under batching is taken."""
CAPACITY_AIM, SLO_AIM = 0.02, 0.05


def errors(rows: Sequence[dict[str, Any]], key: str, true: float) -> tuple[str, float]:
    """Write median and p90 of the relative error of a rate; give the median."""
    found = np.array([math.nan if row[key] is None else row[key] for row in rows], dtype=float)
    off = np.abs(found[np.isfinite(found)] / true - 1)
    if not len(off):
        return "–", math.inf
    middle = float(np.median(off))
    lost = f" ({len(rows) - len(off)} without)" if len(off) < len(rows) else ""
    return f"{100 * middle:.1f} / {100 * np.quantile(off, 0.9):.1f} %{lost}", middle


def covered(rows: Sequence[dict[str, Any]], low: str, high: str, true: float) -> str:
    """Write in how many runs the interval holds the truth; an open end holds all beyond."""
    hits = [
        (row[low] is None or row[low] <= true) and (row[high] is None or row[high] >= true)
        for row in rows
    ]
    return f"{100 * sum(hits) / len(hits):.0f} %"


def main(seeds: int = 200) -> int:
    """Run, print; exit code 1 when an aim is missed."""
    node, began = host_facts(), time.monotonic()
    print(
        f"Command: `python benchmarks/capacity.py {seeds}` on {time.strftime('%Y-%m-%d')}: "
        f"{node['cpu_model']}, {node['cpus_usable']} CPUs\n"
    )
    known = truths(LONG_RUN)
    print("| service | capacity, median / p90 of the error | in its interval ", end="")
    print("| SLO capacity, median / p90 of the error | in its interval | flagged collapse |")
    print("|---|---|---|---|---|---|")
    missed = False
    with Pool(os.cpu_count()) as pool:
        for name, truth in known.items():
            rows = pool.map(partial(judged, truth), range(seeds), chunksize=1)
            flagged = sum(row["collapse"] for row in rows)
            if name == "collapse":
                print(collapsing(truth, rows))
                missed |= flagged < seeds or held_back(truth, rows) < seeds
                continue
            capacity, off = errors(rows, "capacity_qps", truth.capacity_qps)
            slo, slo_off = errors(rows, "slo_capacity_qps", truth.slo_qps)
            missed |= off > CAPACITY_AIM or slo_off > SLO_AIM
            print(
                f"| {truth.name}, {truth.capacity_qps:.3g}/s | {capacity} "
                f"| {covered(rows, 'ci_low', 'ci_high', truth.capacity_qps)} | {slo} "
                f"| {covered(rows, 'slo_ci_low', 'slo_ci_high', truth.slo_qps)} "
                f"| {100 * flagged / seeds:.1f} % |",
                flush=True,
            )
    print(f"\n{time.monotonic() - began:.0f} s in all.")
    return 1 if missed else 0


def held_back(truth: Truth, rows: Sequence[dict[str, Any]]) -> int:
    """Count the runs whose capacity lies well above the throughput under overload."""
    return sum((row["capacity_qps"] or 0.0) > 1.5 * overload_qps(truth) for row in rows)


def collapsing(truth: Truth, rows: Sequence[dict[str, Any]]) -> str:
    """Write the row of a service that collapses, which has no one capacity."""
    found = [row["capacity_qps"] for row in rows if row["capacity_qps"] is not None]
    flagged = sum(row["collapse"] for row in rows)
    return (
        f"| {truth.name}: {truth.capacity_qps:.3g}/s, under overload {overload_qps(truth):.3g}/s "
        f"| found {min(found):.3g} to {max(found):.3g}/s, median {np.median(found):.3g}/s "
        f"| – | – | – | {100 * flagged / len(rows):.1f} % |"
    )


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
