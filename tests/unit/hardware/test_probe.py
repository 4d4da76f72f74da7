"""The probe of memory and arithmetic: sizes by STREAM's rule, and figures that hang together."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from escalade.files import read_json
from escalade.hardware.probe import LEAST_BYTES, MOST_BYTES, PASSES, array_bytes, measure
from escalade.runtime.cores import available_cores

if TYPE_CHECKING:
    from pathlib import Path

MIB, GIB = 2**20, 2**30


@pytest.mark.parametrize(
    ("cache", "free", "expected"),
    [
        (32 * MIB, 64 * GIB, 128 * MIB),  # four caches
        (None, 64 * GIB, 256 * MIB),  # of an unknown cache 64 MiB are assumed
        (MIB, 64 * GIB, LEAST_BYTES),
        (4 * GIB, 1024 * GIB, MOST_BYTES),
        (32 * MIB, 512 * MIB, 64 * MIB),  # both arrays within a quarter of the free memory
    ],
)
def test_arrays_are_four_last_level_caches_within_the_memory(
    cache: int | None, free: int, expected: int
) -> None:
    assert array_bytes(cache, free) == expected


def test_figures_and_their_spread_are_told_for_each_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("escalade.hardware.probe.array_bytes", lambda *_: 8 * MIB)
    cpus = available_cores()[:2]

    found = measure(cpus, pass_seconds=0.001)

    assert (found["cpus"], found["threads"]) == (list(cpus), len(cpus))
    assert found["array_bytes"] == 8 * MIB
    for kernel in ("read", "copy", "float32"):
        figures = found[kernel]
        assert 0 < figures["lowest"] <= figures["median"] <= figures["best"]
        assert figures["passes"] == PASSES
    # a machine of today: over 0.1 and under 10,000 GB/s; over 0.1 GFLOP/s
    assert 1e8 < found["read"]["best"] < 1e13
    assert found["float32"]["best"] > 1e8


def test_an_error_in_one_thread_ends_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("escalade.hardware.probe._kernels", refuse)

    with pytest.raises(MemoryError):
        measure(available_cores()[:2])


def test_the_program_writes_what_it_found(tmp_path: Path) -> None:
    cpu, out = available_cores()[0], tmp_path / "hardware.json"
    argv = [sys.executable, "-m", "escalade.hardware.probe", "--cpus", str(cpu), "--out", str(out)]

    subprocess.run(argv, check=True, timeout=60)

    found = read_json(out, "figures")
    assert found["cpus"] == [cpu]
    assert found["read"]["best"] > 0
