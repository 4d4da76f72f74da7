"""The files of a session: JSON and Parquet say the same, whole or not at all, at any length."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from escalade.profiler import export
from escalade.profiler.columns import COLUMNS
from recorded import MODEL, START, Recorded

if TYPE_CHECKING:
    from pathlib import Path


def both(recorded: Recorded, folder: Path) -> tuple[dict[str, Any], Any]:
    """Give the JSON, and the Parquet file."""
    text, packed = recorded.write(folder).files
    return json.loads(text.read_bytes()), pq.ParquetFile(packed)


def same(one: float | None, other: float | None) -> bool:
    """Say whether both are missing, or the same to the ten digits of the JSON."""
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-9)


def test_both_formats_say_the_same(tmp_path: Path) -> None:
    content, packed = both(Recorded(silent={1: (20, 30)}), tmp_path)
    rows = packed.read().to_pylist()
    facts = json.loads(packed.metadata.metadata[export.METADATA])

    assert facts == {name: value for name, value in content.items() if name != "frames"}
    at = iter(rows)
    for frame in content["frames"]:
        for place, name in enumerate(frame["gpu_id"]):
            row = next(at)
            assert (row["frame_id"], row["gpu_id"]) == (frame["frame_id"], name)
            assert f"{row['node']}:{row['gpu']}:{MODEL}" == name
            assert row["time"].isoformat(timespec="milliseconds") == frame["time"]
            at_node = row["timestamp"].timestamp()
            assert at_node == pytest.approx(frame["timestamp"][place], rel=0, abs=1e-5)
            assert row["after_gap"] == (name in frame["after_gap"])
            for column in COLUMNS:
                assert same(row[column], frame[column][place]), column
    assert next(at, None) is None
    assert len(rows) == 2 * (60 + 50)


def test_a_frame_is_a_line_and_numbers_are_numbers(tmp_path: Path) -> None:
    path = Recorded(nodes=1, gpus=1, count=9).write(tmp_path).files[0]

    lines = path.read_text("utf-8").splitlines()
    begin = lines.index(' "frames": [')
    frames = [json.loads(line.rstrip(",")) for line in lines[begin + 1 : begin + 10]]

    assert lines[begin + 10].startswith(" ],")
    for frame in frames:
        assert frame["power"][0] == pytest.approx(100 + 5 * frame["gpu_util"][0], rel=1e-6)
        assert frame["dram_util"] == [None]
    assert frames[0]["dram_bandwidth"] == [None], "a rate needs two readings"
    total, received, sent = (frames[1][f"dram_bandwidth{end}"][0] for end in ("", "_rx", "_tx"))
    assert total == pytest.approx(received + sent)
    assert received == pytest.approx(3 * sent), "received is what came into the GPU"
    assert content_units(path).keys() == {
        *COLUMNS,
        "time",
        "timestamp",
    }


def content_units(path: Path) -> dict[str, str]:
    units: dict[str, str] = json.loads(path.read_bytes())["units"]
    return units


def test_memory_does_not_grow_with_the_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_ROWS", 100)
    peaks = []
    Recorded(count=50).write(tmp_path, "warm")
    for count in (300, 3000):
        tracemalloc.start()
        Recorded(nodes=1, gpus=2, count=count).write(tmp_path, f"of-{count}")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()

    assert peaks[1] < 1.5 * peaks[0]


WRITE = """
import resource, sys
from pathlib import Path
from escalade.errors import InfrastructureError
from recorded import Recorded
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    Recorded(count=400).write(Path(sys.argv[1]))
except InfrastructureError as error:
    print(error)
"""


@pytest.mark.parametrize("size", [0, 20_000, 150_000])
def test_a_full_disk_leaves_the_old_files_and_is_said_once(tmp_path: Path, size: int) -> None:
    old = {path: path.read_bytes() for path in Recorded(count=5).write(tmp_path).files}

    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path), str(size)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": "tests"},
    )

    assert done.returncode == 0, done.stderr
    assert "could not be written" in done.stdout
    assert done.stderr == ""
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == old


def test_times_name_their_zone(tmp_path: Path) -> None:
    content, _ = both(Recorded(count=4), tmp_path)

    assert content["start_time"] == "2025-05-04T14:30:00.250+00:00"
    assert content["end_time"] == "2025-05-04T14:30:02.250+00:00"
    assert content["interval_ms"] == 500
    assert content["frames"][0]["time"] == content["start_time"]
    assert START < content["frames"][0]["timestamp"][0] < START + 0.5
