"""Readings in as few spans of time as a picture can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.profiler.stat.rows import Rows

SPANS = 720
"""At most; they are twice as long each time that more would be needed."""


class Buckets:
    """Number, sum and ends of what each GPU showed in each span.

    Parameters
    ----------
    columns
        That are kept.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self.ticks = 1
        """Frames in a span: a power of two."""
        self._time_count, self._time_sum = np.zeros(SPANS), np.zeros(SPANS)
        self._kept: dict[str, _Kept] = {}

    def add(self, rows: Rows) -> None:
        """Take readings in."""
        while rows.tick.max() // self.ticks >= SPANS:
            self._fold()
        span = rows.tick // self.ticks
        self._time_count += np.bincount(span, minlength=SPANS)
        self._time_sum += np.bincount(span, weights=rows.time, minlength=SPANS)
        for name in self._columns:
            values = rows.values.get(name)
            if values is not None and (there := ~np.isnan(values)).any():
                kept = self._kept.setdefault(name, _Kept())
                kept.add(rows.device[there], span[there], values[there])

    @property
    def columns(self) -> list[str]:
        """Those of which there is a value, in their order."""
        return [name for name in self._columns if name in self._kept]

    @property
    def extent(self) -> slice:
        """The spans from the first to the last that has a reading."""
        used = np.flatnonzero(self._time_count)
        return slice(int(used[0]), int(used[-1]) + 1)

    @property
    def times(self) -> np.ndarray:
        """Of the spans in the extent, in Unix seconds; those without a reading lie between."""
        extent = self.extent
        places = np.arange(extent.start, extent.stop)
        used = self._time_count[extent] > 0
        means = self._time_sum[extent][used] / self._time_count[extent][used]
        return np.interp(places, places[used], means)

    @property
    def empty(self) -> np.ndarray:
        """Whether a span in the extent has no reading of any GPU."""
        empty: np.ndarray = self._time_count[self.extent] == 0
        return empty

    def of(self, column: str, devices: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give mean, least and most of some GPUs in each span of the extent; NaN without readings."""
        return self._kept[column].over(devices, self.extent)

    def _fold(self) -> None:
        self.ticks *= 2
        self._time_count, self._time_sum = _paired(self._time_count), _paired(self._time_sum)
        for kept in self._kept.values():
            kept.fold()


class _Kept:
    """Of one column; arrays have a row for each GPU and a column for each span."""

    def __init__(self) -> None:
        self._count, self._total = np.zeros((0, SPANS)), np.zeros((0, SPANS))
        self._least, self._most = np.zeros((0, SPANS)), np.zeros((0, SPANS))

    def add(self, device: np.ndarray, span: np.ndarray, values: np.ndarray) -> None:
        more = int(device.max()) + 1 - len(self._count)
        if more > 0:
            self._count = np.vstack([self._count, np.zeros((more, SPANS))])
            self._total = np.vstack([self._total, np.zeros((more, SPANS))])
            self._least = np.vstack([self._least, np.full((more, SPANS), np.inf)])
            self._most = np.vstack([self._most, np.full((more, SPANS), -np.inf)])
        place = (device, span)
        np.add.at(self._count, place, 1)
        np.add.at(self._total, place, values)
        np.minimum.at(self._least, place, values)
        np.maximum.at(self._most, place, values)

    def fold(self) -> None:
        self._count, self._total = _paired(self._count), _paired(self._total)
        least, most = self._least, self._most
        self._least, self._most = np.full_like(least, np.inf), np.full_like(most, -np.inf)
        self._least[:, : SPANS // 2] = np.minimum(least[:, ::2], least[:, 1::2])
        self._most[:, : SPANS // 2] = np.maximum(most[:, ::2], most[:, 1::2])

    def over(
        self, devices: Sequence[int], extent: slice
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = [place for place in devices if place < len(self._count)]
        count = self._count[rows, extent].sum(axis=0)
        used = count > 0
        mean = np.divide(
            self._total[rows, extent].sum(axis=0),
            count,
            out=np.full(len(count), np.nan),
            where=used,
        )
        least = self._least[rows, extent].min(axis=0, initial=np.inf)
        most = self._most[rows, extent].max(axis=0, initial=-np.inf)
        return mean, np.where(used, least, np.nan), np.where(used, most, np.nan)


def _paired(values: np.ndarray) -> np.ndarray:
    """Add neighbours in the last axis; the second half is empty after it."""
    folded = np.zeros_like(values)
    folded[..., : SPANS // 2] = values[..., ::2] + values[..., 1::2]
    return folded
