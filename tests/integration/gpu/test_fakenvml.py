"""The fake NVML library itself: waves, exact integrals, models, faults; unmodified readers run on it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from fakenvml import MODELS, FakeGpu, Of, Shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpus import Machine

READ = """
import json, sys
import pynvml
pynvml.nvmlInit()
found = []
for number in range(pynvml.nvmlDeviceGetCount()):
    handle = pynvml.nvmlDeviceGetHandleByIndex(number)
    answers = {}
    for symbol in sys.argv[1:]:
        try:
            answers[symbol] = getattr(pynvml, symbol)(handle)
        except pynvml.NVMLError as error:
            answers[symbol] = type(error).__name__
    found.append(answers)
print(json.dumps(found))
"""
NVITOP = """
import json
from nvitop import Device
print(json.dumps([
    [device.name(), device.memory_total(), device.power_usage(), device.gpu_utilization(),
     sorted(device.processes())]
    for device in Device.all()
]))
"""
ENERGY = "nvmlDeviceGetTotalEnergyConsumption"


def read(*symbols: str) -> list[dict[str, Any]]:
    """Call what the real bindings offer, on every GPU."""
    done = subprocess.run(
        [sys.executable, "-c", READ, *symbols],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def quadrature(value: Callable[[float], float], seconds: float, steps: int = 200_000) -> float:
    """Integrate by the midpoint rule: not the closed form that the library uses."""
    width = seconds / steps
    return sum(value((number + 0.5) * width) for number in range(steps)) * width


@pytest.mark.parametrize(
    ("shape", "at"),
    [
        (Shape.SINE, lambda x: math.sin(2 * math.pi * x)),
        (Shape.SQUARE, lambda x: 1.0 if x < 0.5 else -1.0),
        (Shape.SAW, lambda x: 2 * x - 1),
    ],
    ids=["sine", "square", "saw"],
)
def test_energy_is_the_integral_of_power(
    machine: Machine, shape: Shape, at: Callable[[float], float]
) -> None:
    gpu = machine.add(power_mw=200_000, since=1000.0, energy_mj=5_000)
    gpu.wave(Of.POWER, shape, amplitude=150_000, period=7, phase=0.3)
    machine.state.manual_clock, machine.state.now = 1, 1000.0 + 23.7

    [found] = read(ENERGY, "nvmlDeviceGetPowerUsage")

    def power(seconds: float) -> float:
        return 200_000 + 150_000 * at((seconds / 7 + 0.3) % 1)

    assert found[ENERGY] == pytest.approx(5_000 + quadrature(power, 23.7), rel=1e-5)
    assert found["nvmlDeviceGetPowerUsage"] == pytest.approx(power(23.7), abs=1)


@pytest.mark.parametrize(
    ("model", "energy", "ecc"),
    [
        ("a100", True, True),
        ("h100", True, True),
        ("rtx_4070", True, False),
        ("gtx_1080", False, False),
    ],
)
def test_a_model_lacks_what_the_real_one_lacks(
    machine: Machine, model: str, *, energy: bool, ecc: bool
) -> None:
    machine.model(model)

    [found] = read(ENERGY, "nvmlDeviceGetMigMode", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetName")

    assert found["nvmlDeviceGetName"] == MODELS[model].name
    assert isinstance(found["nvmlDeviceGetPowerUsage"], int)
    assert isinstance(found[ENERGY], int) is energy
    assert (found["nvmlDeviceGetMigMode"] == [0, 0]) is ecc  # A100 and H100 have both


def test_one_call_fails_on_one_gpu_and_every_call_is_counted(machine: Machine) -> None:
    machine.add(temperature=40)
    machine.add(temperature=41)
    machine.fail("nvmlDeviceGetPowerUsage", 999, gpu=1)

    found = read("nvmlDeviceGetPowerUsage", "nvmlDeviceGetFanSpeed")

    assert [it["nvmlDeviceGetPowerUsage"] for it in found] == [0, "NVMLError_Unknown"]
    assert [it["nvmlDeviceGetFanSpeed"] for it in found] == [40, 40]
    assert machine.calls()["nvmlDeviceGetPowerUsage"] == 2


def test_a_call_takes_as_long_as_it_is_told_to(machine: Machine) -> None:
    machine.add(delay_us=50_000)

    done = machine.python(
        "import time, pynvml; pynvml.nvmlInit(); h = pynvml.nvmlDeviceGetHandleByIndex(0); "
        "t = time.monotonic(); pynvml.nvmlDeviceGetPowerUsage(h); print(time.monotonic() - t)"
    )

    assert float(done.stdout) >= 0.05


def test_unmodified_nvitop_reads_it(machine: Machine) -> None:
    gpus: list[FakeGpu] = [machine.model("h100"), machine.model("gtx_1080")]
    gpus[0].runs((1, 3 << 30))

    done = machine.python(NVITOP)
    listed = subprocess.run(
        [sys.executable, "-m", "nvitop", "--once"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert [[it[0], it[1], it[4]] for it in json.loads(done.stdout)] == [
        [MODELS["h100"].name, 80 << 30, [1]],
        [MODELS["gtx_1080"].name, 8 << 30, []],
    ]
    assert listed.returncode == 0, listed.stderr
    assert "GTX 1080" in listed.stdout
    assert listed.stderr == ""
