"""What a service takes is measured on the GPU where it takes some there, else on the host."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from model_loading import GB

if TYPE_CHECKING:
    from gpus import Machine

PROGRAM = Path(__file__).parents[2] / "service_memory.py"


@pytest.fixture(autouse=True)
def _gpu(machine: Machine) -> None:
    machine.add(memory_total=8 * GB, memory_used=1 * GB)


def service(folder: Path, megabytes: int, replicas: int = 1) -> dict[str, Any]:
    """Start a server that takes so many megabytes, and give what was measured."""
    done = subprocess.run(
        [sys.executable, PROGRAM, folder, str(megabytes), str(replicas)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_rose_on_the_gpu_is_what_the_model_takes(tmp_path: Path) -> None:
    found = service(tmp_path, 600)

    assert found["memory"] == {
        "declared_bytes": 500_000_000,
        "measured_bytes": 600_000_000,
        "measured_of": "gpu",
        "difference_ratio": 0.2,
    }
    assert found["models"][0]["measured_bytes"] == 600_000_000


def test_a_service_that_leaves_the_gpu_alone_is_measured_on_the_host(tmp_path: Path) -> None:
    found = service(tmp_path, 1)  # less than any program on a GPU: somebody else's

    assert found["memory"]["measured_of"] == "host"
    assert 5_000_000 < found["memory"]["measured_bytes"] < 500_000_000


def test_copies_that_share_a_gpu_are_not_told_apart(tmp_path: Path) -> None:
    found = service(tmp_path, 300, replicas=2)

    assert found["memory"]["measured_bytes"] is None
    assert [each["measured_bytes"] for each in found["replicas"]] == [None, None]
