"""Overhead of a campaign on a Slurm cluster: wall time, and the time between two steps.

    .venv/bin/python benchmarks/cluster.py [SECONDS]

Starts the throw-away cluster of the tests, runs two cells of three steps of SECONDS (20 by
default) in one allocation, without a cool-down, and prints the figures. The aims: wall ≤ 1.6 × windows + 20 s per
cell, and 0.5 s from the drain of a step to the first arrival of the next.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from escalade.provenance import host_facts

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from slurm.campaigns import on_slurm  # noqa: E402 - lies beside the tests
from slurm.cluster import Cluster  # noqa: E402
from workplace import Workplace, deployment, ladder  # noqa: E402

FACTOR, SECONDS_PER_CELL, GAP_SECONDS = 1.6, 20.0, 0.5
RATES = (10, 20, 40)


def main(seconds: float = 20.0) -> int:
    """Run, measure, print; exit code 1 when an aim is missed."""
    os.environ.setdefault("ESCALADE_TOOLS", str(ROOT / ".tools"))
    with (
        tempfile.TemporaryDirectory(prefix="slurm-") as short,
        tempfile.TemporaryDirectory(prefix="escalade-cluster-") as folder,
        Cluster(Path(short) / "c") as cluster,
    ):
        place = Workplace(Path(folder), prefix=cluster.command_prefix(), profile="slurm")
        place.write(
            deployments=[deployment("a"), deployment("b")],
            load={**ladder(*((rate, seconds) for rate in RATES)), "cooldown_seconds": 0},
            execution=on_slurm(),
        )
        began = time.monotonic()
        code, output = place.run(timeout=600 + 12 * seconds)
        wall = time.monotonic() - began
        if code != 0:
            print(output)
            return 1
        steps = [place.steps(cell) for cell in place.cells()]
    gaps = [
        later["started_at"] - earlier["drained_at"]
        for cell in steps
        for earlier, later in pairwise(cell)
    ]
    return _print(wall, len(steps), seconds, gaps)


def _print(wall: float, cells: int, seconds: float, gaps: list[float]) -> int:
    windows = cells * len(RATES) * seconds
    allowed = FACTOR * windows + SECONDS_PER_CELL * cells
    host = host_facts()
    print(f"{host['cpu_model']}, {host['cpus_usable']} CPUs, {host['os']}\n")
    print("| figure | value |\n|---|---|")
    print(f"| wall time | {wall:.1f} s |\n| windows | {windows:g} s in {cells} cells |")
    print(f"| allowed: {FACTOR} × windows + {SECONDS_PER_CELL:g} s per cell | {allowed:.1f} s |")
    print(f"| wall / allowed | {wall / allowed:.2f} |")
    between = f"{statistics.median(gaps):.2f} s / {max(gaps):.2f} s"
    print(f"| from a step's drain to the next one's first arrival, median / longest | {between} |")
    print(f"| aimed at | {GAP_SECONDS} s |")
    return 0 if wall <= allowed and statistics.median(gaps) <= GAP_SECONDS else 1


if __name__ == "__main__":
    sys.exit(main(*(float(argument) for argument in sys.argv[1:])))
