"""One stored campaign, analysed by different processes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from campaigns import configuration, repeated, write_campaign

if TYPE_CHECKING:
    from pathlib import Path


def test_the_same_files_give_the_same_bytes_whatever_the_hash_seed_and_the_time_zone(
    tmp_path: Path,
) -> None:
    # 3 requests/s: two repetitions that keep up, and one that is overloaded
    target = {"name": "fast", "metric": "latency_seconds", "stat": "p50", "at_most": 0.2}
    content = configuration(repetitions=3, targets=[target], standards={})
    folder = write_campaign(tmp_path / "small", repeated([8.0, 9.0, 2.5]), content)

    def started(seed: str, zone: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone}
        command = [sys.executable, "-m", "escalade", "replay", str(folder)]
        return subprocess.Popen(
            [*command, "--out", str(tmp_path / seed)],
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    running = [started("1", "UTC"), started("2", "Asia/Tokyo")]
    said = [process.communicate()[0] for process in running]

    assert [process.returncode for process in running] == [0, 0], said
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / seed).iterdir()} for seed in "12"
    )
    assert first.keys() >= {"kpis.csv", "kpis.parquet", "verdicts.json", "report.html"}
    assert [name for name in sorted(first) if first[name] != second.get(name)] == []
    assert first.keys() == second.keys()
