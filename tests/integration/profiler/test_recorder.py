"""The recorder on simulated GPUs, where nothing else is installed."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from escalade.profiler.recording import Recording
from profiling import Child, Rig, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def children() -> Iterator[list[Child]]:
    found: list[Child] = []
    yield found
    for child in found:
        child.kill_all()


def recorder(out: Path, *options: str) -> Child:
    return Child("record", "--out", str(out), "--freq", "100", "--enable-bandwidth", *options)


def test_a_recording_is_exported_as_a_session_is(rig: Rig) -> None:
    first, second = rig.folder / "a.sqlite", rig.folder / "b.sqlite"
    several = [
        recorder(path, "--name", name, "--duration", "2")
        for path, name in ((first, "alpha"), (second, "beta"))
    ]
    assert [child.process.wait(30) for child in several] == [0, 0]
    rig.run("export", str(first), str(second), "--out", "both.json")
    rig.run("export", str(first), "--out", "one.parquet")

    told = json.loads((rig.folder / "both.json").read_bytes())
    assert len(told["summary_by_device"]) == 4
    middle = told["frames"][len(told["frames"]) // 2]
    assert len(middle["gpu_id"]) == 4
    assert middle["dram_bandwidth_rx"] == pytest.approx([2.5] * 4, rel=0.02)
    assert 15 <= len(told["frames"]) <= 21
    assert "ended: " in several[0].said


def test_a_recorder_that_is_killed_loses_a_second_at_most(rig: Rig, children: list[Child]) -> None:
    path = rig.folder / "a.sqlite"
    child = recorder(path, "--name", "alpha")
    children.append(child)
    until(lambda: path.exists() and path.stat().st_size and _rows(path) > 20)
    killed = time.time()
    child.process.kill()
    child.process.wait()

    _, last = Recording(path).span()
    assert killed - last <= 1.0 + 0.25
    again = recorder(path, "--name", "alpha", "--duration", "1")
    assert again.process.wait(30) == 0
    assert Recording(path).span()[1] > killed


def test_what_can_not_be_recorded_or_exported_is_said(rig: Rig) -> None:
    (rig.folder / "text").write_text("hello")
    assert "can't be read as a recording" in rig.run(
        "record", "--out", "text", "--duration", "1", code=2
    )
    assert "can't be read as a recording" in rig.run("export", "text", "--out", "x.json", code=2)
    assert "There is no recording absent" in rig.run("export", "absent", "--out", "x.json", code=2)
    assert "ends in .json or .parquet" in rig.run("export", "text", "--out", "x.csv", code=2)
    assert "50 to 600,000 milliseconds" in rig.run("record", "--out", "y", "--freq", "9", code=2)


def _rows(path: Path) -> int:
    return sum(1 for _ in Recording(path).readings(0, 1e12))
