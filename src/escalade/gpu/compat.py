"""The names by which dashboards that exist already know GPUs: DCGM's, and those of the swarm.

Each is taken from one of our own readings, in the unit of the foreign name. What can't be known here
(requests of a router, models that are loaded, fragmentation) is not among them: the router, the
loader (`escalade models load --compat swarm`) and the service itself tell it.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import Metric

from escalade.gpu import readings as own

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from escalade.gpu.nvml import Device
    from escalade.gpu.readings import Sample

DCGM, SWARM = "dcgm", "swarm"
KINDS = (DCGM, SWARM)
_MEBIBYTE = 1024**2
_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True)
class Name:
    """A foreign name of one of our readings."""

    name: str
    help: str
    own: str
    factor: float
    labels: Mapping[str, str] = field(default_factory=dict)


DCGM_NAMES = (
    Name("DCGM_FI_DEV_SM_CLOCK", "SM clock frequency (in MHz).", own.CLOCK, 1e-6, {"clock": "sm"}),
    Name(
        "DCGM_FI_DEV_MEM_CLOCK",
        "Memory clock frequency (in MHz).",
        own.CLOCK,
        1e-6,
        {"clock": "memory"},
    ),
    Name("DCGM_FI_DEV_MEMORY_TEMP", "Memory temperature (in C).", own.MEMORY_TEMPERATURE, 1),
    Name("DCGM_FI_DEV_GPU_TEMP", "GPU temperature (in C).", own.TEMPERATURE, 1),
    Name("DCGM_FI_DEV_POWER_USAGE", "Power draw (in W).", own.POWER, 1),
    Name(
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION",
        "Total energy consumption since boot (in mJ).",
        own.ENERGY,
        1e3,
    ),
    Name("DCGM_FI_DEV_GPU_UTIL", "GPU utilization (in %).", own.UTILIZATION, 100),
    Name("DCGM_FI_DEV_MEM_COPY_UTIL", "Memory utilization (in %).", own.MEMORY_ACTIVITY, 100),
    Name(
        "DCGM_FI_DEV_FB_FREE", "Framebuffer memory free (in MiB).", own.MEMORY_FREE, 1 / _MEBIBYTE
    ),
    Name(
        "DCGM_FI_DEV_FB_USED", "Framebuffer memory used (in MiB).", own.MEMORY_USED, 1 / _MEBIBYTE
    ),
    Name(
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL",
        "Total number of single-bit volatile ECC errors.",
        own.ECC,
        1,
        {"kind": "corrected"},
    ),
    Name(
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL",
        "Total number of double-bit volatile ECC errors.",
        own.ECC,
        1,
        {"kind": "uncorrected"},
    ),
)
_SWARM = (
    Name("swarm_vram_used_bytes", "Memory of the GPU in use.", own.MEMORY_USED, 1),
    Name("swarm_gpu_temp_celsius", "Temperature of the GPU.", own.TEMPERATURE, 1),
)
_HOST_RAM = "swarm_host_ram_used_bytes"


def families(
    kind: str,
    read: Sequence[tuple[Device, Sequence[Sample]]],
    constant: Mapping[str, str],
) -> Iterator[Metric]:
    """Give the metrics of one kind of names, without those that have no sample.

    Parameters
    ----------
    kind
        One of `KINDS`.
    read
        GPUs and what they showed.
    constant
        Labels that every sample has.

    Notes
    -----
    What counts is written as `untyped`: its names lack the `_total` that the format asks of a
    counter, and Prometheus stores no type.
    """
    for name in DCGM_NAMES if kind == DCGM else _SWARM:
        family = Metric(name.name, name.help, "unknown" if name.own.endswith("_total") else "gauge")
        for device, found in read:
            for sample in found:
                if sample.name == name.own and sample.labels == name.labels:
                    labels = labels_of(kind, device)
                    family.add_sample(name.name, {**constant, **labels}, sample.value * name.factor)
        if family.samples:
            yield family
    if kind == SWARM and (used := _host_memory_used()) is not None:
        family = Metric(_HOST_RAM, "Memory of the host in use.", "gauge")
        family.add_sample(_HOST_RAM, dict(constant), used)
        yield family


def labels_of(kind: str, device: Device) -> dict[str, str]:
    """Give the labels by which names of that kind tell a GPU."""
    index = str(device.index)
    if kind == SWARM:
        return {"gpu": index}
    labels = {
        "gpu": index,
        "UUID": device.uuid,
        "device": f"nvidia{index}",
        "modelName": device.name,
        "Hostname": socket.gethostname(),
    }
    return {**labels, "GPU_I_ID": str(device.instance)} if device.mig else labels


def _host_memory_used() -> float | None:
    """Give what programs can't get of the host's memory, in bytes."""
    lines = _MEMINFO.read_text("ascii").splitlines() if _MEMINFO.exists() else []
    known = {
        name: int(rest.split()[0]) * 1024 for name, _, rest in (x.partition(":") for x in lines)
    }
    if "MemAvailable" not in known:
        return None
    return known["MemTotal"] - known["MemAvailable"]
