"""The columns of the output, in the units that its readers expect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.profiler.frames import Frame, Shown

GIGA = 1e9
Cells = dict[str, list[float | None]]
"""The values of a frame: by column, one for each GPU that it has."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Parameters
    ----------
    unit
        As the output states it.
    of
        Gives its value; None where the hardware does not offer it.
    """

    unit: str
    of: Callable[[Shown], float | None]


def _level(name: str, factor: float = 1.0) -> Callable[[Shown], float | None]:
    def of(shown: Shown) -> float | None:
        value = shown.reading.values.get(name)
        return None if value is None else value * factor

    return of


def _rate(*names: str) -> Callable[[Shown], float | None]:
    def of(shown: Shown) -> float | None:
        found = [shown.rates[name] for name in names if name in shown.rates]
        return sum(found) / GIGA if len(found) == len(names) else None

    return of


def _share_of_memory(shown: Shown) -> float | None:
    values = shown.reading.values
    used, total = values.get("memory_used_bytes"), values.get("memory_total_bytes")
    return None if used is None or not total else 100 * used / total


COLUMNS = {
    "gpu_util": Column("percent", _level("utilization_ratio", 100)),
    "gpu_memory": Column("percent", _share_of_memory),
    "gpu_memory_used": Column("bytes", _level("memory_used_bytes")),
    "dram_util": Column("percent", _level("memory_activity_ratio", 100)),
    "power": Column("W", _level("power_watts")),
    "energy": Column("J", _level("energy_joules")),
    "temperature": Column("degrees Celsius", _level("temperature_celsius")),
    "sm_clock": Column("MHz", _level("sm_clock_hertz", 1e-6)),
    "memory_clock": Column("MHz", _level("memory_clock_hertz", 1e-6)),
    "dram_bandwidth": Column("GB/s", _rate("pcie_received_bytes", "pcie_sent_bytes")),
    "dram_bandwidth_rx": Column("GB/s", _rate("pcie_received_bytes")),
    "dram_bandwidth_tx": Column("GB/s", _rate("pcie_sent_bytes")),
    "gpu_bandwidth": Column("GB/s", _rate("nvlink_received_bytes", "nvlink_sent_bytes")),
}
"""By name. Bandwidths are between the GPU and the host (PCIe; rx: what the GPU received), and between
GPUs (NVLink); `energy` is the hardware's own counter since the driver was loaded."""
_BANDWIDTH = ("dram_bandwidth", "dram_bandwidth_rx", "dram_bandwidth_tx")
_NVLINK = ("gpu_bandwidth",)


def columns(*, bandwidth: bool, nvlink: bool) -> dict[str, Column]:
    """Give the columns of a session."""
    left_out = {*(() if bandwidth else _BANDWIDTH), *(() if nvlink else _NVLINK)}
    return {name: column for name, column in COLUMNS.items() if name not in left_out}


def cells_of(frame: Frame) -> Cells:
    """Give all values of a frame."""
    return {name: [column.of(it) for it in frame.shown] for name, column in COLUMNS.items()}
