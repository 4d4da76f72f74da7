"""The GPUs of a machine, their units, what they lack, and how they fail."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from escalade.runtime import tools
from escalade.runtime.endpoints import free_port, wait_http

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client.samples import Sample

    from gpus import Machine

GPUS = "import json; from escalade.gpu.nvml import gpus; print(json.dumps(gpus()))"
LOST = 15
FIGURES: dict[str, int] = {
    "memory_total": 80_000_000_000,
    "memory_used": 10_000_000_000,
    "memory_reserved": 500_000_000,
    "energy_mj": 123_456,
    "utilization_percent": 37,
    "temperature": 45,
    "power_mw": 250_500,
    "power_limit_mw": 700_000,
    "sm_mhz": 1_980,
    "memory_mhz": 2_619,
    "ecc_corrected": 3,
    "ecc_uncorrected": 1,
    "reasons": 4 | 64,
    "links": 18,
}


def found_by(machine: Machine) -> tuple[list[dict[str, Any]], str | None]:
    done = machine.python(GPUS)
    assert done.returncode == 0, done.stderr
    found, note = json.loads(done.stdout)
    return found, note


def scrape(url: str) -> list[Sample]:
    page = requests.get(url, timeout=5).text
    return [sample for family in text_string_to_metric_families(page) for sample in family.samples]


def values(found: list[Sample], index: str = "0") -> dict[str, float]:
    return {
        sample.name.removeprefix("escalade_gpu_") + "".join(extra(sample)): sample.value
        for sample in found
        if sample.labels.get("gpu") == index and "error" not in sample.labels
    }


def extra(sample: Sample) -> list[str]:
    """Give what a sample has beside the labels of its GPU."""
    return [value for name, value in sample.labels.items() if name not in ("gpu", "uuid", "name")]


def test_a_gpu_is_described_in_base_units(machine: Machine) -> None:
    machine.add(**FIGURES)

    assert found_by(machine) == (
        [
            {
                "index": 0,
                "uuid": "GPU-00000000-aaaa",
                "name": "Fake H100",
                "memory_total_bytes": 80_000_000_000,
                "power_limit_watts": 700.0,
                "driver_version": "550.163.01",
            }
        ],
        None,
    )


def test_the_exporter_converts_every_unit(machine: Machine, tmp_path: Path) -> None:
    gpu = machine.add(**FIGURES)
    with machine.exporter(tmp_path / "log") as url:
        first = values(scrape(url))
        gpu.energy_mj, gpu.utilization_percent = 200_000, 100
        second = values(scrape(url))

    assert first == {
        "up": 1,
        "utilization_ratio": 0.37,
        "memory_activity_ratio": 0.18,
        "memory_temperature_celsius": 55,
        "throttledpower_cap": 1,
        "throttledpower_brake": 0,
        "throttledsoftware_thermal": 0,
        "throttledhardware_thermal": 1,
        "throttledhardware": 0,
        "pcie_bytes_totalsent": 0,
        "pcie_bytes_totalreceived": 0,
        "nvlink_bytes_totalsent": 0,
        "nvlink_bytes_totalreceived": 0,
        "ecc_errors_totalcorrected": 3,
        "ecc_errors_totaluncorrected": 1,
        "xid_errors_total": 0,
        "temperature_celsius": 45,
        "power_watts": 250.5,
        "power_limit_watts": 700,
        "energy_joules_total": 123.456,
        "memory_total_bytes": 80e9,
        "memory_used_bytes": 10e9,
        "memory_free_bytes": 69.5e9,
        "clock_hertzsm": 1.98e9,
        "clock_hertzmemory": 2.619e9,
    }
    assert second["energy_joules_total"] == 200
    assert second["utilization_ratio"] == 1


def test_what_the_hardware_does_not_offer_is_absent(machine: Machine, tmp_path: Path) -> None:
    machine.add(**FIGURES, offered=4)  # temperature only; memory by the old call
    with machine.exporter(tmp_path / "log") as url:
        found = values(scrape(url))

    assert found == {
        "up": 1,
        "temperature_celsius": 45,
        "memory_total_bytes": 80e9,
        "memory_used_bytes": 10.5e9,
        "memory_free_bytes": 69.5e9,
    }


def test_a_gpu_lost_in_the_middle_of_a_reading_has_no_samples_and_is_counted(
    machine: Machine, tmp_path: Path
) -> None:
    machine.add(**FIGURES)
    lost = machine.add(**FIGURES)
    with machine.exporter(tmp_path / "log") as url:
        before = scrape(url)
        lost.fail_after, lost.error = 3, LOST
        after = scrape(url)
        lost.error = 0
        again = scrape(url)

    assert len(values(before, "1")) == 25
    assert values(after, "1") == {"up": 0, "xid_errors_total": 0}
    assert values(after, "0") == values(before, "0")
    assert values(again, "1") == values(before, "1")
    for found in (after, again):
        [errors] = [sample for sample in found if "error" in sample.labels]
        assert errors.name == "escalade_gpu_errors_total"
        assert errors.value == 1
        assert errors.labels["error"] == "GPU is lost"
        assert errors.labels["gpu"] == "1"


def test_only_visible_gpus_are_found_and_read(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.add(**FIGURES)
    machine.add(**FIGURES)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1")

    found, _ = found_by(machine)
    with machine.exporter(tmp_path / "log") as url:
        read = scrape(url)

    assert [gpu["index"] for gpu in found] == [1]
    assert {sample.labels["gpu"] for sample in read if "gpu" in sample.labels} == {"1"}


def test_a_gpu_lost_before_is_left_out(machine: Machine) -> None:
    machine.add(**FIGURES, error=LOST)
    machine.add(**FIGURES)

    found, note = found_by(machine)
    assert [gpu["index"] for gpu in found] == [1]
    assert note is None


def test_no_gpu_says_why(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found_by(machine) == ([], "no GPU: the driver finds none")
    machine.add()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert found_by(machine) == ([], "no GPU: CUDA_VISIBLE_DEVICES shows none of the 1 here")
    monkeypatch.delenv("FAKE_NVML_STATE")
    assert found_by(machine) == ([], "no GPU: Driver Not Loaded")


@pytest.mark.usefixtures("no_library")
def test_a_machine_without_the_library_has_no_gpu_and_no_exporter() -> None:
    done = subprocess.run(
        [sys.executable, "-c", GPUS], capture_output=True, text=True, check=True, timeout=30
    )
    found, note = json.loads(done.stdout)
    argv = [sys.executable, "-m", "escalade.gpu.exporter", "--port", str(free_port())]
    refused = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)

    assert found == []
    assert note.startswith("no GPU: ")
    assert refused.returncode == 3
    assert refused.stderr == f"{note}\n"


def test_the_command_becomes_the_exporter(machine: Machine, tmp_path: Path) -> None:
    machine.add(**FIGURES)
    port = free_port()
    argv = [sys.executable, "-m", "escalade", "gpu", "export", "--port", str(port)]
    url = f"http://127.0.0.1:{port}/metrics"
    with (tmp_path / "log").open("w") as log, subprocess.Popen(argv, stderr=log) as process:
        try:
            wait_http(url, 20, lambda: None)
            found = values(scrape(url))
        finally:
            process.terminate()

    assert process.returncode == 0
    assert found["power_watts" + socket.gethostname()] == 250.5
    assert (tmp_path / "log").read_text() == f"GPU metrics: {url}, until Ctrl-C\n"


def test_promtool_finds_nothing_to_say_about_the_page(machine: Machine, tmp_path: Path) -> None:
    promtool = tools.ensure("promtool")
    machine.add(**FIGURES)
    with machine.exporter(tmp_path / "log") as url:
        page = requests.get(url, timeout=5).content
    done = subprocess.run(
        [promtool.path, "check", "metrics"],
        input=page,
        capture_output=True,
        check=False,
        timeout=30,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
