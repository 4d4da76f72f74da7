"""Files of gswarm 0.4.3 are read as they are, and what is wrong with them is said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from escalade.errors import InputError
from escalade.profiler.stat.reckoned import reckoned

if TYPE_CHECKING:
    from pathlib import Path


def frame(number: int, names: list[str], **columns: list[str]) -> dict[str, Any]:
    return {
        "frame_id": number,
        "time": f"2025-07-09T10:00:{number:02d}.123456",
        "gpu_id": names,
        "gpu_util": ["50.00"] * len(names),
        "gpu_memory": ["0.31"] * len(names),
        "dram_util": ["12.00"] * len(names),
        "disk_util": ["40.00"] * len(names),
        "extra_metrics": [],
        **columns,
    }


def written(path: Path, frames: list[dict[str, Any]]) -> Path:
    content = {"summary_by_device": {}, "summary_by_client": {}, "request_time_info": {}}
    path.write_text(json.dumps({**content, "frames": frames}, indent=2), "utf-8")
    return path


def test_values_stand_as_they_are_with_their_true_units(tmp_path: Path) -> None:
    both, one = ["n1:0:NVIDIA H100", "n2:0:NVIDIA H100"], ["n1:0:NVIDIA H100"]
    frames = [frame(0, both), frame(1, one), frame(2, both, dram_bandwidth=["2048.00", "0.00"])]

    told = reckoned(written(tmp_path / "old.json", frames), drawn=False).to_json()

    assert told["session_name"] == "old"
    assert told["tool"] == "gswarm 0.4.3"
    assert told["units"]["gpu_memory"] == "ratio"
    assert told["units"]["dram_bandwidth"] == "KiB/s"
    notes = " ".join(told["notes"])
    assert "ratio" in notes
    assert "swapped" in notes
    first, second = told["summary_by_device"].values()
    assert (first["avg_gpu_util"], first["max_gpu_memory"]) == (50, 0.31)
    assert (first["samples"], first["missing"]) == (3, 0)
    assert (second["samples"], second["missing"]) == (2, 1)
    assert first["max_dram_bandwidth"] == 2048
    assert "pcie_gigabytes" not in first


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"gpu_util": ["N/A"]}, "gpu_util: expected"),
        ({"gpu_util": ["1.00", "2.00"]}, "frame 0: gpu_util: expected a list of 1"),
        ({"time": "yesterday"}, "frame 0: time 'yesterday': expected a time in ISO 8601"),
        ({"gpu_id": None}, "expected gpu_id, a list"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, fault: dict[str, Any], said: str) -> None:
    path = written(tmp_path / "old.json", [{**frame(0, ["n1:0:NVIDIA H100"]), **fault}])

    with pytest.raises(InputError, match=said):
        reckoned(path, drawn=False)
