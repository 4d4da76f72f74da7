"""What GPUs can do by their data: the figures that their makers print, from NVML's clocks and widths."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gpus import Machine

PEAKS = "import json; from escalade.gpu.peaks import peaks; print(json.dumps(peaks()))"
NOT_PEAKS = 127
"""All that the fake library offers but highest clocks, bus width and cores."""
LOST = 15

H100 = {
    "memory_mhz": 2_619,
    "bus_bits": 5_120,
    "sm_mhz": 1_980,
    "cores": 16_896,
    "major": 9,
}
A100 = {"memory_mhz": 1_215, "bus_bits": 5_120, "sm_mhz": 1_410, "cores": 6_912, "major": 8}


def peaks_of(machine: Machine) -> tuple[list[dict[str, Any]], str | None]:
    done = machine.python(PEAKS)
    assert done.returncode == 0, done.stderr
    found, note = json.loads(done.stdout)
    return found, note


@pytest.mark.parametrize(
    ("gpu", "bytes_per_second", "flops_per_second"),
    [
        # 2619 MHz × 2 × 5120 bit / 8; 132 multiprocessors × 4096 × 1.98 GHz
        (H100, 3.352e12, 1.0705e15),
        # NVIDIA's data sheet: 1555 GB/s, 312 TFLOP/s; 108 × 2048 × 1.41 GHz
        (A100, 1.555e12, 3.119e14),
    ],
    ids=["H100 SXM", "A100 40 GB"],
)
def test_peaks_are_those_of_the_data_sheet(
    machine: Machine, gpu: dict[str, int], bytes_per_second: float, flops_per_second: float
) -> None:
    machine.add(**gpu)

    (found,), note = peaks_of(machine)

    assert note is None
    assert found["name"] == "Fake H100"
    assert found["memory_bandwidth_bytes_per_second"] == pytest.approx(bytes_per_second, rel=1e-3)
    assert found["flops_per_second"] == pytest.approx(flops_per_second, rel=1e-3)


def test_what_a_gpu_does_not_tell_is_none_and_never_zero(machine: Machine) -> None:
    machine.add(**H100, offered=NOT_PEAKS)

    (found,), _ = peaks_of(machine)

    assert found["memory_bandwidth_bytes_per_second"] is None
    assert found["flops_per_second"] is None


def test_an_architecture_that_is_not_known_has_a_bandwidth_and_no_arithmetic(
    machine: Machine,
) -> None:
    machine.add(**(H100 | {"major": 42}))

    (found,), _ = peaks_of(machine)

    assert found["memory_bandwidth_bytes_per_second"] == pytest.approx(3.352e12, rel=1e-3)
    assert found["flops_per_second"] is None


def test_a_gpu_that_is_lost_while_it_is_asked_tells_nothing(machine: Machine) -> None:
    # handle, UUID and name go well, then everything fails
    machine.add(**H100, error=LOST, fail_after=3)

    (found,), _ = peaks_of(machine)

    assert found["memory_bandwidth_bytes_per_second"] is None
    assert found["flops_per_second"] is None


def test_without_a_driver_the_reason_is_told(machine: Machine) -> None:
    machine.state.init_error = 9

    assert peaks_of(machine) == ([], "no GPU: Driver Not Loaded")
