"""What each GPU and each node came to, reckoned from the readings in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.profiler.stat.rows import node_of, order_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from escalade.profiler.stat.rows import Facts, Rows

_SUMMED = "GB/s"
_MOVED = {"dram_bandwidth": "pcie_gigabytes", "gpu_bandwidth": "nvlink_gigabytes"}
_COUNTER = "energy"


class Statistics:
    """Gathers readings as they pass; what is in memory grows with GPUs only.

    Parameters
    ----------
    facts
        Of the session.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._spreads: dict[str, _Spread] = {}
        self._samples = np.zeros(0)
        self._last_time = np.zeros(0)
        self._last_energy = np.zeros(0)
        self._grown: dict[str, _Sum] = {}
        self._frames = 0
        self._tick = -1

    @property
    def frames(self) -> int:
        """How many frames had readings."""
        return self._frames

    def add(self, rows: Rows) -> None:
        """Take readings in."""
        size = int(rows.device.max()) + 1
        ticks = np.unique(rows.tick)
        self._frames += len(ticks) - int(ticks[0] == self._tick)
        self._tick = int(ticks[-1])
        self._samples = _wide(self._samples, size, 0.0)
        self._samples += np.bincount(rows.device, minlength=len(self._samples))
        for name, values in rows.values.items():
            there = ~np.isnan(values)
            if there.any():
                spread = self._spreads.setdefault(name, _Spread())
                spread.add(rows.device[there], values[there], size)
        self._add_growth(rows, size)

    def by_device(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Give for each GPU its readings, avg, min and max of each column, and totals.

        Parameters
        ----------
        names
            Of the GPUs, in the order of their places.
        """
        expected = self._facts.expected or self._frames
        places = {name: place for place, name in enumerate(names)}
        told: dict[str, dict[str, Any]] = {}
        for name in sorted(names, key=order_of):
            place = places[name]
            samples = int(self._samples[place]) if place < len(self._samples) else 0
            told[name] = {
                "samples": samples,
                "expected": expected,
                "missing": max(0, expected - samples),
            }
            for column, spread in self._spreads.items():
                if column != _COUNTER:
                    told[name] |= spread.told(column, place)
            for total, grown in self._grown.items():
                if (value := grown.of(place)) is not None:
                    told[name][total] = value
        return told

    def by_node(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Give for each node its GPUs and readings, the mean use, and the energy where all tell it."""
        devices = self.by_device(names)
        told: dict[str, dict[str, Any]] = {}
        for node in dict.fromkeys(map(node_of, devices)):
            its = [it for name, it in devices.items() if node_of(name) == node]
            use = [(it["avg_gpu_util"], it["samples"]) for it in its if "avg_gpu_util" in it]
            energy = [it["energy_joules"] for it in its if "energy_joules" in it]
            told[node] = {
                "gpus": len(its),
                "samples": sum(it["samples"] for it in its),
                "missing": sum(it["missing"] for it in its),
                "avg_gpu_util": _mean(use),
                "energy_joules": sum(energy) if len(energy) == len(its) else None,
            }
        return told

    def _add_growth(self, rows: Rows, size: int) -> None:
        """Add what grew since each GPU's reading before."""
        self._last_time = _wide(self._last_time, size, np.nan)
        self._last_energy = _wide(self._last_energy, size, np.nan)
        order = np.argsort(rows.device, kind="stable")
        device, time = rows.device[order], rows.time[order]
        seconds = time - _before(device, time, self._last_time)
        for name, total in _MOVED.items():
            if name in rows.values and self._facts.units[name] == _SUMMED:
                self._grow(total, device, rows.values[name][order] * seconds, size)
        if _COUNTER in rows.values:
            energy = rows.values[_COUNTER][order]
            grown = energy - _before(device, energy, self._last_energy)
            grown[grown < 0] = np.nan  # the driver was loaded anew
            self._grow("energy_joules", device, grown, size)

    def _grow(self, total: str, device: np.ndarray, grown: np.ndarray, size: int) -> None:
        there = ~np.isnan(grown)
        if there.any():
            self._grown.setdefault(total, _Sum()).add(device[there], grown[there], size)


class _Sum:
    """Sum of each GPU; None of one that never had a value."""

    def __init__(self) -> None:
        self.count, self.total = np.zeros(0), np.zeros(0)

    def add(self, device: np.ndarray, values: np.ndarray, size: int) -> None:
        self.count, self.total = _wide(self.count, size, 0.0), _wide(self.total, size, 0.0)
        self.count += np.bincount(device, minlength=len(self.count))
        self.total += np.bincount(device, weights=values, minlength=len(self.total))

    def of(self, place: int) -> float | None:
        there = place < len(self.count) and self.count[place] > 0
        return float(self.total[place]) if there else None


class _Spread(_Sum):
    """The ends, too."""

    def __init__(self) -> None:
        super().__init__()
        self.least, self.most = np.zeros(0), np.zeros(0)

    def add(self, device: np.ndarray, values: np.ndarray, size: int) -> None:
        super().add(device, values, size)
        self.least, self.most = _wide(self.least, size, np.inf), _wide(self.most, size, -np.inf)
        np.minimum.at(self.least, device, values)
        np.maximum.at(self.most, device, values)

    def told(self, column: str, place: int) -> dict[str, float]:
        total = self.of(place)
        if total is None:
            return {}
        return {
            f"avg_{column}": total / float(self.count[place]),
            f"min_{column}": float(self.least[place]),
            f"max_{column}": float(self.most[place]),
        }


def _before(device: np.ndarray, values: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Give of rows that are sorted by GPU the value before; keep the last of each GPU in `last`."""
    first = np.ones(len(device), dtype=bool)
    first[1:] = device[1:] != device[:-1]
    before = np.empty(len(values))
    before[1:] = values[:-1]
    before[first] = last[device[first]]
    ends = np.append(np.flatnonzero(first)[1:] - 1, len(device) - 1)
    last[device[ends]] = values[ends]
    return before


def _wide(values: np.ndarray, size: int, empty: float) -> np.ndarray:
    if len(values) >= size:
        return values
    return np.concatenate([values, np.full(size - len(values), empty)])


def _mean(weighted: Iterable[tuple[float, int]]) -> float | None:
    pairs = list(weighted)
    count = sum(number for _, number in pairs)
    return sum(value * number for value, number in pairs) / count if count else None
