"""What a session comes to: by GPU, and by node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from escalade.profiler.columns import GIGA

if TYPE_CHECKING:
    from escalade.profiler.columns import Cells
    from escalade.profiler.frames import Frame, Shown

_TOLD = ("gpu_util", "gpu_memory", "power", "temperature", "dram_bandwidth", "gpu_bandwidth")
_GROWN = {
    "energy_joules": (1.0, ("energy_joules",)),
    "pcie_gigabytes": (1 / GIGA, ("pcie_sent_bytes", "pcie_received_bytes")),
    "nvlink_gigabytes": (1 / GIGA, ("nvlink_sent_bytes", "nvlink_received_bytes")),
}


@dataclass(slots=True)
class _Spread:
    """Number, sum and ends of what was seen."""

    count: int = 0
    total: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self.least = min(self.least, value)
        self.most = max(self.most, value)


@dataclass(slots=True)
class _Device:
    node: str
    samples: int = 0
    spreads: dict[str, _Spread] = field(default_factory=dict)
    grown: dict[str, float] = field(default_factory=dict)
    first: float = 0.0
    last: float = 0.0

    def spread(self, name: str) -> _Spread:
        found = self.spreads.get(name)
        if found is None:
            found = self.spreads[name] = _Spread()
        return found


class Summary:
    """Gathers frames as they pass.

    Parameters
    ----------
    expected
        Readings of each GPU that the session has room for.
    """

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._devices: dict[str, _Device] = {}
        self.frames = 0

    @property
    def gpus(self) -> int:
        """How many GPUs were seen."""
        return len(self._devices)

    def add(self, frame: Frame, cells: Cells) -> None:
        """Take a frame in, and what `cells_of` gives of it."""
        self.frames += 1
        devices = [self._read(shown) for shown in frame.shown]
        for name in _TOLD:
            for device, value in zip(devices, cells[name], strict=True):
                if value is not None:
                    device.spread(name).add(value)

    def by_device(self) -> dict[str, dict[str, Any]]:
        """Give for each GPU: avg, min and max of what is told, totals of what counts, samples."""
        return {name: self._told(device) for name, device in sorted(self._devices.items())}

    def by_node(self) -> dict[str, dict[str, Any]]:
        """Give for each node: its GPUs, the mean of their use, the sum of their energy."""
        told: dict[str, dict[str, Any]] = {}
        for node in sorted({device.node for device in self._devices.values()}):
            devices = [device for device in self._devices.values() if device.node == node]
            use = [it.spreads["gpu_util"] for it in devices if "gpu_util" in it.spreads]
            energy = [it.grown["energy_joules"] for it in devices if "energy_joules" in it.grown]
            told[node] = {
                "gpus": len(devices),
                "samples": sum(device.samples for device in devices),
                "missing": sum(max(0, self._expected - device.samples) for device in devices),
                "avg_gpu_util": _mean(use),
                "energy_joules": sum(energy) if len(energy) == len(devices) else None,
            }
        return told

    def _read(self, shown: Shown) -> _Device:
        """Count a reading, and add what has grown since the one before."""
        reading, rates = shown.reading, shown.rates
        device = self._devices.get(reading.device)
        if device is None:
            device = self._devices[reading.device] = _Device(reading.node, first=reading.time)
        seconds = reading.time - device.last
        device.samples += 1
        device.last = reading.time
        if rates:
            for name, (factor, counters) in _GROWN.items():
                found = [rates[counter] for counter in counters if counter in rates]
                if found:
                    grown = sum(found) * seconds * factor
                    device.grown[name] = device.grown.get(name, 0.0) + grown
        return device

    def _told(self, device: _Device) -> dict[str, Any]:
        told: dict[str, Any] = {
            "samples": device.samples,
            "expected": self._expected,
            "missing": max(0, self._expected - device.samples),
            "seconds": device.last - device.first,
        }
        for name in _TOLD:
            if (spread := device.spreads.get(name)) is not None:
                told[f"avg_{name}"] = spread.total / spread.count
                told[f"min_{name}"], told[f"max_{name}"] = spread.least, spread.most
        return told | device.grown


def _mean(spreads: list[_Spread]) -> float | None:
    count = sum(spread.count for spread in spreads)
    return sum(spread.total for spread in spreads) / count if count else None
