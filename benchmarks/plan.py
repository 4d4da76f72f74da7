"""Planning of a large campaign: dry run and `escalade plan` of 200 cells with 10 steps each.

    .venv/bin/python benchmarks/plan.py [CELLS [STEPS]]

Writes a campaign into a temporary folder, times `snakemake -n` and `escalade plan` on it for
one machine and for a cluster, and prints the figures. The aim is a dry run under 15 s.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from escalade.provenance import host_facts

ROOT = Path(__file__).parents[1]
AIM_SECONDS = 15.0
RUNS = 3


def main(cells: int = 200, steps: int = 10) -> int:
    """Time, print; exit code 1 when the aim is missed."""
    with tempfile.TemporaryDirectory(prefix="escalade-plan-") as temporary:
        folder = Path(temporary)
        (folder / "large.yaml").write_text(yaml.safe_dump(_campaign(cells, steps)))
        os.environ["XDG_CONFIG_HOME"] = temporary  # no site file plays a part
        rows = {
            "snakemake --profile profiles/local -n": _best(folder, _dry_run("local")),
            "snakemake --profile profiles/meluxina -n": _best(folder, _dry_run("meluxina")),
            "escalade plan": _best(folder, _plan()),
            "escalade plan --profile meluxina --render": _best(
                folder, _plan("--profile", "meluxina", "--render")
            ),
        }
    host = host_facts()
    print(f"\n{host['cpu_model']}, {host['cpus_usable']} CPUs, {host['os']}; ", end="")
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    print(f"{cells} cells with {steps} steps each, best of {RUNS} runs, load average {load}\n")
    print("| command | wall, s | CPU, s |\n|---|---|---|")
    for command, (wall, cpu) in rows.items():
        print(f"| `{command}` | {wall:.1f} | {cpu:.1f} |")
    slowest = max(wall for command, (wall, _) in rows.items() if command.endswith(" -n"))
    print(f"| allowed for a dry run | {AIM_SECONDS:g} | |")
    return 0 if slowest <= AIM_SECONDS else 1


def _campaign(cells: int, steps: int) -> dict[str, Any]:
    """Give a campaign of ten deployments, with as many repetitions as it takes."""
    deployments = min(10, cells)
    return {
        "campaign": "large",
        "deployments": [
            {"name": f"truth-{number}", "recipe": "truth_server", "parameters": {"slots": number}}
            for number in range(1, deployments + 1)
        ],
        "repetitions": -(-cells // deployments),
        "load": {
            "ladder": [{"target_qps": rate, "window_seconds": 30} for rate in range(1, steps + 1)]
        },
        "execution": {"parallel_cells": 4},
    }


def _dry_run(profile: str) -> list[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "-n"]
    return [*command, "--profile", str(ROOT / "profiles" / profile), "--configfile", "large.yaml"]


def _plan(*options: str) -> list[str]:
    return [sys.executable, "-m", "escalade", "plan", "large.yaml", *options]


def _best(folder: Path, command: list[str]) -> tuple[float, float]:
    """Give wall and CPU time of the quickest of some runs, in s: the others shared the machine."""
    return min(_timed(folder, command) for _ in range(RUNS))


def _timed(folder: Path, command: list[str]) -> tuple[float, float]:
    began, before = time.monotonic(), os.times()
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    after = os.times()
    cpu = after.children_user + after.children_system
    return time.monotonic() - began, cpu - before.children_user - before.children_system


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
