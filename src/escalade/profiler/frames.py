"""Frames: what all GPUs showed in one tick of a session.

Each node reads at a phase of its own. A reading belongs to the tick that is nearest to its time
less its node's phase, so that a jitter across the edge of a tick drops and doubles nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from escalade.profiler.reading import FIGURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from escalade.profiler.reading import Reading

COUNTERS = tuple(figure.name for figure in FIGURES if figure.counts)
_SETTLES = 0.05
_OPEN_TICKS = 4
_AHEAD = 1
_GAP = 1.5
_SLIGHT = 1e-6


@dataclass(frozen=True, slots=True)
class Shown:
    """A reading in its frame.

    Parameters
    ----------
    reading
        As it was stored.
    rates
        Growth of each counter per second since the GPU's reading before; without those that have
        no reading before, or went back.
    after_gap
        Whether readings are missing before it: rates are means over the gap.
    """

    reading: Reading
    rates: dict[str, float]
    after_gap: bool


@dataclass(slots=True)
class Frame:
    """One tick.

    Parameters
    ----------
    tick
        Number of the tick, from the start of the session on; ticks without any reading have no
        frame. Where a GPU has more readings than ticks, its further ones are in further frames of
        the same tick, which name nobody as missing.
    time
        Of the tick's begin, in Unix seconds.
    shown
        The readings, by node and GPU.
    missing
        Nodes that sent before and have no reading here.
    """

    tick: int
    time: float
    shown: list[Shown] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without readings of a node.

    Parameters
    ----------
    node
        Its name.
    start, end
        Of the readings before and after, or of the session; Unix seconds.
    missing
        Readings that are not there.
    """

    node: str
    start: float
    end: float
    missing: int


class Framing:
    """Puts readings into frames, with a few frames in memory at a time.

    Parameters
    ----------
    start, end
        Of the session, in Unix seconds.
    interval
        Between two readings, in seconds.
    """

    def __init__(self, start: float, end: float, interval: float) -> None:
        self._start, self._end, self._interval = start, end, interval
        self._phases: dict[str, _Phase] = {}
        self._before: dict[tuple[str, str], Reading] = {}
        self._open: dict[tuple[int, int], Frame] = {}
        self._done = -1
        self.gaps: list[Gap] = []
        """Of all nodes, complete when all frames were given."""

    def frames(self, readings: Iterable[Reading]) -> Iterator[Frame]:
        """Give the frames of readings, which come in the order of time."""
        for reading in readings:
            yield from self._close(self._ticks_until(reading.time) - _OPEN_TICKS)
            self._put(reading)
        yield from self._close(None)
        for node, phase in self._phases.items():
            passed = (self._end - phase.last) / self._interval
            self._note_gap(node, phase.last, self._end, math.ceil(passed - _SLIGHT) - 1)
        self.gaps.sort(key=lambda gap: (gap.start, gap.node))

    def _put(self, reading: Reading) -> None:
        key = (reading.node, reading.uuid)
        phase = self._phases.get(reading.node)
        if phase is None:
            tick = max(0, self._ticks_until(reading.time))
            phase = self._phases[reading.node] = _Phase(reading.time, tick, self._interval)
            passed = (reading.time - self._start) / self._interval
            self._note_gap(reading.node, self._start, reading.time, math.floor(passed + _SLIGHT))
        elif reading.time - phase.last > self._interval / 2:
            passed = (reading.time - phase.last) / self._interval
            self._note_gap(reading.node, phase.last, reading.time, round(passed) - 1)
        now = self._ticks_until(reading.time)
        least = max(self._done + 1, now - _OPEN_TICKS)
        place = phase.place_of(reading.time, key, least, now + _AHEAD)
        frame = self._open.setdefault(
            place, Frame(place[0], self._start + place[0] * self._interval)
        )
        frame.shown.append(self._shown(reading, self._before.get(key)))
        self._before[key] = reading

    def _shown(self, reading: Reading, before: Reading | None) -> Shown:
        if before is None or reading.time <= before.time:
            return Shown(reading, {}, after_gap=False)
        seconds = reading.time - before.time
        rates = {
            name: (reading.values[name] - before.values[name]) / seconds
            for name in COUNTERS
            if name in reading.values and reading.values[name] >= before.values.get(name, math.inf)
        }
        return Shown(reading, rates, after_gap=seconds > _GAP * self._interval)

    def _note_gap(self, node: str, start: float, end: float, missing: int) -> None:
        if end - start > _GAP * self._interval and missing > 0:
            self.gaps.append(Gap(node, start, end, missing))

    def _close(self, before: int | None) -> Iterator[Frame]:
        for place in sorted(it for it in self._open if before is None or it[0] < before):
            frame = self._open.pop(place)
            self._done, further = place
            frame.shown.sort(key=lambda it: (it.reading.node, it.reading.gpu, it.reading.uuid))
            there = {it.reading.node for it in frame.shown}
            frame.missing = [] if further else sorted(self._phases.keys() - there)
            yield frame

    def _ticks_until(self, at: float) -> int:
        return math.floor((at - self._start) / self._interval)


class _Phase:
    """Where in a tick a node reads; follows a clock that drifts."""

    def __init__(self, at: float, tick: int, interval: float) -> None:
        self._anchor, self._tick, self._interval = at, tick, interval
        self._places: dict[tuple[str, str], tuple[int, int]] = {}
        self.last = at

    def place_of(self, at: float, key: tuple[str, str], least: int, most: int) -> tuple[int, int]:
        """Give the tick of a reading of that GPU, and which of its readings in that tick it is.

        Ticks below `least` are closed. One beyond `most` is too far ahead of the reading: a node
        that reads more often than the session's interval has more readings than ticks.
        """
        self.last = max(self.last, at)
        passed = (at - self._anchor) / self._interval
        tick = self._tick + round(passed)
        taken, further = self._places.get(key, (least - 1, 0))
        wanted = min(max(tick, least, taken + 1), most)
        place = (wanted, 0) if wanted > taken else (taken, further + 1)
        if place == (tick, 0):
            self._anchor += _SETTLES * (passed - round(passed)) * self._interval
        else:  # the agent was started again at another phase, or its clock is another
            self._anchor, self._tick = at, place[0]
        self._places[key] = place
        return place
