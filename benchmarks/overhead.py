"""Overhead of a campaign: wall time against the sum of its windows.

    .venv/bin/python benchmarks/overhead.py [CONFIG]

Runs the campaign (the demo by default) into a temporary results folder and
prints where the time went. The aim is wall ≤ 1.6 × windows + 20 s per cell.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from escalade.provenance import host_facts

FACTOR = 1.6
SECONDS_PER_CELL = 20.0


def main(config: Path) -> int:
    """Run, measure, print; exit code 1 when the aim is missed."""
    with tempfile.TemporaryDirectory(prefix="escalade-overhead-") as temporary:
        copy = _redirected(config, Path(temporary))
        os.environ.setdefault("ESCALADE_TOOLS", str(Path(".tools").resolve()))
        began = time.monotonic()
        command = [sys.executable, "-m", "escalade", "run", str(copy)]
        code = subprocess.run(command, cwd=temporary, check=False).returncode
        wall = time.monotonic() - began
        cells = _cells(Path(temporary))
    if not cells:
        print(f"The campaign ended with exit code {code} and left no cell.")
        return 1
    return _print(config, cells, wall)


def _redirected(config: Path, folder: Path) -> Path:
    """Copy the campaign so that its results go to `folder`."""
    content = yaml.safe_load(config.read_text(encoding="utf-8"))
    content["campaign"] = f"{content['campaign']}-overhead"
    content.setdefault("execution", {})["results"] = str(folder / "results")
    copy = folder / config.name
    copy.write_text(yaml.safe_dump(content), encoding="utf-8")
    return copy


def _cells(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in folder.glob("results/*/cells/*/cell.json")]


def _print(config: Path, cells: list[dict[str, Any]], wall: float) -> int:
    definition = cells[0]["definition"]["load"]["ladder"]
    windows = len(cells) * sum(step["window_seconds"] for step in definition)
    allowed = FACTOR * windows + SECONDS_PER_CELL * len(cells)
    host = host_facts()
    print(f"\n{host['cpu_model']}, {host['cpus_usable']} CPUs, {host['os']}; {config}\n")
    print("| stage | seconds |\n|---|---|")
    for stage, seconds in _stages(cells).items():
        print(f"| {stage} | {seconds:.1f} |")
    print("\n| figure | value |\n|---|---|")
    print(f"| wall time | {wall:.1f} s |")
    print(f"| windows | {windows:.1f} s in {len(cells)} cell(s) |")
    print(f"| allowed: {FACTOR} × windows + {SECONDS_PER_CELL:g} s per cell | {allowed:.1f} s |")
    print(f"| wall / allowed | {wall / allowed:.2f} |")
    return 0 if wall <= allowed else 1


def _stages(cells: list[dict[str, Any]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for stage in (stage for cell in cells for stage in cell["stages"] if stage["ended_at"]):
        seconds = stage["ended_at"] - stage["started_at"]
        total[stage["name"]] = total.get(stage["name"], 0.0) + seconds
    return total


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "config/config.yaml")))
