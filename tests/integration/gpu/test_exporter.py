"""What the exporter counts, what it leaves out, and the names of others on its page."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from escalade.runtime import tools

if TYPE_CHECKING:
    from pathlib import Path

    from prometheus_client.samples import Sample

    from gpus import Machine

GIB = 2**30


def scrape(url: str) -> list[Sample]:
    page = requests.get(url, timeout=5).text
    return [sample for family in text_string_to_metric_families(page) for sample in family.samples]


def of(found: list[Sample], name: str, **labels: str) -> list[float]:
    """Give the values of a metric, of the samples with these labels."""
    return [it.value for it in found if it.name == name and labels.items() <= it.labels.items()]


def names(found: list[Sample]) -> set[str]:
    return {sample.name for sample in found}


def test_counters_are_read_where_the_hardware_counts(machine: Machine, tmp_path: Path) -> None:
    machine.add(power_mw=300_000, pcie_out=10, pcie_in=20, link_out=2048, links=4, since=1000.0)
    machine.state.manual_clock, machine.state.now = 1, 1100.0
    with machine.exporter(tmp_path / "log") as url:
        before = machine.calls()
        found = scrape(url)
        calls = {name: count - before.get(name, 0) for name, count in machine.calls().items()}

    assert of(found, "escalade_gpu_energy_joules_total") == [300.0 * 100]
    assert of(found, "escalade_gpu_pcie_bytes_total", direction="sent") == [1000]
    assert of(found, "escalade_gpu_pcie_bytes_total", direction="received") == [2000]
    assert of(found, "escalade_gpu_nvlink_bytes_total", direction="sent") == [4 * 2048 * 100]
    assert calls["nvmlDeviceGetFieldValues"] == 1
    assert "nvmlDeviceGetPcieThroughput" not in calls  # blocks for 20 ms
    assert sum(calls.values()) <= 20


def test_without_field_values_energy_comes_by_its_own_call(
    machine: Machine, tmp_path: Path
) -> None:
    gpu = machine.add(energy_mj=5_000)
    gpu.offered = 255
    with machine.exporter(tmp_path / "log") as url:
        found = scrape(url)

    assert of(found, "escalade_gpu_energy_joules_total") == [5]
    assert "escalade_gpu_pcie_bytes_total" not in names(found)


@pytest.mark.parametrize(
    ("model", "absent"),
    [
        ("a100", set()),
        ("h100", set()),
        ("rtx_4070", {"ecc_errors_total", "nvlink_bytes_total", "memory_temperature_celsius"}),
        (
            "gtx_1080",
            {
                "ecc_errors_total",
                "nvlink_bytes_total",
                "memory_temperature_celsius",
                "energy_joules_total",
                "pcie_bytes_total",
            },
        ),
    ],
)
def test_what_a_model_lacks_is_absent_and_not_zero(
    machine: Machine, tmp_path: Path, model: str, absent: set[str]
) -> None:
    machine.add()  # has everything
    machine.model(model)
    with machine.exporter(tmp_path / "log", "--compat", "dcgm") as url:
        found = scrape(url)

    def shown(gpu: str) -> set[str]:
        mine = [it for it in found if it.labels["gpu"] == gpu and it.name.startswith("escalade")]
        return {it.name.removeprefix("escalade_gpu_") for it in mine}

    assert shown("0") - shown("1") == absent
    assert of(found, "escalade_gpu_power_watts", gpu="1")
    energy = of(found, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", gpu="1")
    assert bool(energy) is ("energy_joules_total" not in absent)


def test_a_fault_that_the_driver_reports_is_counted_also_of_a_lost_gpu(
    machine: Machine, tmp_path: Path
) -> None:
    gpu = machine.add()
    with machine.exporter(tmp_path / "log", "--compat", "dcgm") as url:
        before = scrape(url)
        gpu.xid = 79
        gpu.error = 15
        lost = scrape(url)
        gpu.error = 0
        later = scrape(url)

    assert of(before, "escalade_gpu_xid_errors_total") == [0]
    assert "escalade_gpu_last_xid_code" not in names(before)
    for found in (lost, later):
        assert of(found, "escalade_gpu_xid_errors_total") == [1]
        assert of(found, "escalade_gpu_last_xid_code") == [79]
        assert of(found, "DCGM_FI_DEV_XID_ERRORS", UUID="GPU-00000000-aaaa") == [79]
    assert of(lost, "escalade_gpu_up") == [0]
    assert of(later, "escalade_gpu_up") == [1]


@pytest.mark.parametrize(
    ("options", "expected"), [([], {"17": 3.0 * GIB, "23": 1.0 * GIB}), (["--no-processes"], {})]
)
def test_processes_are_shown_by_their_id_unless_that_is_not_wanted(
    machine: Machine, tmp_path: Path, options: list[str], expected: dict[str, float]
) -> None:
    machine.add().runs((17, 3 * GIB), (23, GIB))
    with machine.exporter(tmp_path / "log", *options) as url:
        found = scrape(url)

    name = "escalade_gpu_process_memory_bytes"
    assert {it.labels["pid"]: it.value for it in found if it.name == name} == expected


def test_a_mig_device_of_the_job_has_its_memory_and_not_the_boards_power(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = machine.model("a100")
    machine.slice(gpu, "MIG-aaaa", 10 * GIB, 4 * GIB)
    machine.slice(gpu, "MIG-bbbb", 20 * GIB, 5 * GIB)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-bbbb")
    with machine.exporter(tmp_path / "log", "--compat", "dcgm") as url:
        found = scrape(url)

    assert {it.labels.get("uuid", it.labels.get("UUID")) for it in found} == {"MIG-bbbb"}
    assert of(found, "escalade_gpu_memory_used_bytes", gpu="0") == [5.0 * GIB]
    assert of(found, "DCGM_FI_DEV_FB_USED", GPU_I_ID="2") == [5 * 1024]
    assert "escalade_gpu_power_watts" not in names(found)
    assert "escalade_gpu_energy_joules_total" not in names(found)


def test_other_names_have_the_units_and_labels_of_the_others(
    machine: Machine, tmp_path: Path
) -> None:
    machine.add(
        memory_total=80 * GIB,
        memory_used=8 * GIB,
        energy_mj=1_500,
        power_mw=250_500,
        utilization_percent=40,
        sm_mhz=1980,
        temperature=61,
    )
    options = ["--compat", "dcgm", "swarm", "--label", "node", "n1"]
    with machine.exporter(tmp_path / "log", *options) as url:
        found = scrape(url)

    dcgm = {it.name: it for it in found if it.name.startswith("DCGM_")}
    assert {name: it.value for name, it in dcgm.items()} == {
        "DCGM_FI_DEV_SM_CLOCK": 1980,
        "DCGM_FI_DEV_MEM_CLOCK": 0,
        "DCGM_FI_DEV_MEMORY_TEMP": 71,
        "DCGM_FI_DEV_GPU_TEMP": 61,
        "DCGM_FI_DEV_POWER_USAGE": 250.5,
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": 1500,
        "DCGM_FI_DEV_GPU_UTIL": 40,
        "DCGM_FI_DEV_MEM_COPY_UTIL": 20,
        "DCGM_FI_DEV_FB_FREE": 72 * 1024,
        "DCGM_FI_DEV_FB_USED": 8 * 1024,
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": 0,
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": 0,
    }
    labels = {"gpu", "UUID", "device", "modelName", "Hostname", "node"}
    assert all(set(it.labels) == labels for it in dcgm.values())
    assert of(found, "swarm_vram_used_bytes", gpu="0", node="n1") == [8.0 * GIB]
    assert of(found, "swarm_gpu_temp_celsius", gpu="0") == [61]
    [ram] = of(found, "swarm_host_ram_used_bytes")
    assert 0 < ram < 2**50
    swarm = {name for name in names(found) if name.startswith("swarm_")}
    assert len(swarm) == 3  # requests, models and fragmentation can't be known here
    assert {it.labels["node"] for it in found} == {"n1"}


def test_promtool_complains_of_foreign_names_only(machine: Machine, tmp_path: Path) -> None:
    promtool = tools.ensure("promtool")
    gpu = machine.model("h100")
    gpu.runs((1, GIB))
    gpu.xid = 63

    def lint(*options: str) -> list[str]:
        with machine.exporter(tmp_path / "log", *options) as url:
            page = requests.get(url, timeout=5).content
        argv = [promtool.path, "check", "metrics"]
        done = subprocess.run(argv, input=page, capture_output=True, check=False, timeout=30)
        return done.stderr.decode().splitlines()

    assert lint() == []
    assert lint("--compat", "swarm") == []
    assert [line for line in lint("--compat", "dcgm") if not line.startswith("DCGM_FI_DEV_")] == []


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--compat", "dcgm,nvitop"], "--compat: 'nvitop' is unknown; expected dcgm, swarm."),
        (["--label", "gpu=1"], "--label gpu=1: expected NAME=VALUE"),
        (["--label", "no-name=1"], "--label no-name=1: expected NAME=VALUE"),
    ],
)
def test_a_wrong_option_is_said_before_anything_runs(argv: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "escalade", "gpu", "export", *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())


def test_the_exporter_loads_nothing_that_calculates(machine: Machine) -> None:
    done = machine.python(
        "import sys, escalade.gpu.exporter; "
        "print([m for m in ('pandas', 'numpy', 'typer', 'rich', 'gevent') if m in sys.modules])"
    )

    assert done.stdout == "[]\n"


def test_a_port_that_is_taken_is_exit_code_3(machine: Machine, tmp_path: Path) -> None:
    machine.add()
    with machine.exporter(tmp_path / "log") as url:
        port = url.rsplit(":", 1)[1].partition("/")[0]
        argv = [sys.executable, "-m", "escalade.gpu.exporter", "--port", port]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)

    assert done.returncode == 3
    assert done.stderr == f"127.0.0.1:{port} can't be had: Address already in use\n"
