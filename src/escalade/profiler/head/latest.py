"""What every GPU showed last, with the rates of what counts."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from escalade.profiler.head.told import GpuTold, Latest
from escalade.profiler.reading import FIGURES

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.profiler.head.nodes import Nodes
    from escalade.profiler.reading import Reading, Source

_LEAST_SECONDS = 3.0
_INTERVALS = 3
_COUNTERS = {figure.name for figure in FIGURES if figure.counts}


class LatestReadings:
    """Keeps the last reading of each GPU; asks for newer ones when it is asked.

    Parameters
    ----------
    source
        Gives the place where readings are stored now.
    nodes
        Know how far clocks are off.
    interval_seconds
        Between two readings.
    """

    def __init__(self, source: Callable[[], Source], nodes: Nodes, interval_seconds: float) -> None:
        self._source = source
        self._nodes = nodes
        self._look_back = max(_LEAST_SECONDS, _INTERVALS * interval_seconds)
        self._last: dict[tuple[str, str], tuple[Reading, Reading | None]] = {}
        self._lock = threading.Lock()
        self._fresh_until = 0.0

    def read(self) -> Latest:
        """Give what every GPU showed last, however long ago."""
        offsets = {it.name: it.clock_offset_seconds or 0.0 for it in self._nodes.all()}
        with self._lock:
            began = time.monotonic()
            if began >= self._fresh_until:
                self._update(offsets)
                took = time.monotonic() - began
                self._fresh_until = time.monotonic() + 4 * took  # at most a fifth of the time
            now = time.time()
            gpus = [
                _told(newest, before, now - newest.time + offsets.get(newest.node, 0.0))
                for newest, before in self._last.values()
            ]
        return Latest(time=now, gpus=sorted(gpus, key=lambda gpu: (gpu.node, gpu.gpu, gpu.gpu_id)))

    def _update(self, offsets: dict[str, float]) -> None:
        now = time.time()
        ahead = max([0.0, *offsets.values()])
        behind = min([0.0, *offsets.values()])
        start, end = now - self._look_back + behind, now + ahead + 1.0
        for reading in self._source().readings(start, end):
            key = (reading.node, reading.uuid)
            known = self._last.get(key)
            if known is None or reading.time > known[0].time:
                self._last[key] = reading, None if known is None else known[0]


def _told(newest: Reading, before: Reading | None, age: float) -> GpuTold:
    values = {name: value for name, value in newest.values.items() if name not in _COUNTERS}
    if before is not None:
        seconds = newest.time - before.time
        for name in _COUNTERS & newest.values.keys() & before.values.keys():
            grown = newest.values[name] - before.values[name]
            if grown >= 0:  # the driver was loaded anew where it shrinks
                values[f"{name}_per_second"] = grown / seconds
    return GpuTold(
        gpu_id=newest.device,
        node=newest.node,
        gpu=newest.gpu,
        name=newest.name,
        time=newest.time,
        age_seconds=max(0.0, age),
        values=values,
    )
