"""Raw samples of a step: counters, gauges and coverage over a window.

Samples are used as they were scraped. The value at an instant is the last
sample at or before it, unless that is older than `MAX_AGE_INTERVALS` scrapes;
nothing is extrapolated, and where there is no sample there is no value.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from escalade.errors import NoDataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.windows import BoolArray, FloatArray, Window

COLUMNS = ("step", "metric", "labels", "timestamp", "value")
MAX_AGE_INTERVALS = 3.0
"""A sample stands for its successor's time at most this many scrape intervals."""
MAX_GAP_SECONDS = 3.0
"""Largest hole in a target's samples, for intervals of up to a second."""
CLOCK_SHARE = 1e-3
"""Of a scrape: Unix times as floats are no finer than a fraction of a microsecond."""


@dataclass(frozen=True)
class Track:
    """One time series: its labels, and its samples in ascending time."""

    labels: Mapping[str, str]
    times: FloatArray
    levels: FloatArray

    def cumulative(self) -> Track:
        """Give a counter's growth since its first sample, resets taken out.

        A value below its predecessor is a restart from zero, so the whole new
        value is growth.
        """
        steps = np.diff(self.levels)
        growth = np.where(steps >= 0, steps, self.levels[1:])
        return Track(self.labels, self.times, np.concatenate([[0.0], np.cumsum(growth)]))


@dataclass(frozen=True)
class Growth:
    """How much a counter grew, and the time between the two samples compared."""

    amount: float
    seconds: float

    @property
    def rate(self) -> float:
        """Growth per second between those samples."""
        return self.amount / self.seconds


@dataclass(frozen=True)
class Coverage:
    """Which samples of one target arrived in a window.

    Attributes
    ----------
    target
        Labels that name the target (`job`, `instance`).
    expected, received
        Number of successful scrapes.
    gaps
        (start, end) of every hole longer than the limit, in Unix seconds.
    largest_gap
        Longest time without a successful scrape, in seconds.
    """

    target: Mapping[str, str]
    expected: int
    received: int
    gaps: tuple[tuple[float, float], ...]
    largest_gap: float

    @property
    def ratio(self) -> float:
        """Received / expected; at most 1."""
        return min(1.0, self.received / self.expected)


class Samples:
    """Samples of one step (or of a whole cell), by metric.

    Parameters
    ----------
    frame
        Rows of series.parquet.
    scrape_interval_seconds
        Time between two scrapes.

    Raises
    ------
    NoDataError
        When a column is missing.
    """

    def __init__(self, frame: pd.DataFrame, scrape_interval_seconds: float) -> None:
        absent = [column for column in COLUMNS if column not in frame.columns]
        if absent:
            raise NoDataError(
                f"the samples lack the column(s) {', '.join(absent)}; they have "
                f"{', '.join(map(str, frame.columns))}. They were not written by this version of "
                "Escalade, or they were changed: `escalade replay` checks them."
            )
        self._frame = frame
        self.interval = scrape_interval_seconds

    def only(self, metrics: Sequence[str]) -> Samples:
        """Keep some metrics, so that the others cost nothing."""
        return Samples(self._frame[self._frame["metric"].isin(list(metrics))], self.interval)

    @cached_property
    def _rows(self) -> Mapping[str, Mapping[str, tuple[FloatArray, FloatArray]]]:
        frame = self._frame.dropna(subset=["value"]).sort_values(
            ["metric", "labels", "timestamp"], kind="stable"
        )
        found: dict[str, dict[str, tuple[FloatArray, FloatArray]]] = {}
        for (metric, labels), rows in frame.groupby(["metric", "labels"], sort=True):
            times = rows["timestamp"].to_numpy(dtype=np.float64)
            kept = np.concatenate([np.diff(times) > 0, [True]])
            values = rows["value"].to_numpy(dtype=np.float64)
            found.setdefault(str(metric), {})[str(labels)] = times[kept], values[kept]
        return found

    def tracks(self, metric: str, **labels: str) -> list[Track]:
        """Give the series of `metric` whose labels match, in the order of their labels."""
        found = []
        for text, (times, values) in self._rows.get(metric, {}).items():
            own = {str(key): str(value) for key, value in json.loads(text).items()}
            if all(own.get(key) == value for key, value in labels.items()):
                found.append(Track(own, times, values))
        return found

    @property
    def max_age(self) -> float:
        """Age in seconds beyond which a sample says nothing any more."""
        return MAX_AGE_INTERVALS * self.interval

    @property
    def max_gap(self) -> float:
        """Largest hole that a window may have, in seconds."""
        return max(MAX_GAP_SECONDS, MAX_AGE_INTERVALS * self.interval)

    def growth(self, tracks: Sequence[Track], window: Window) -> Growth | None:
        """Add up how much counters grew over the window; None without two samples of any.

        Each counter is read at the window's start (the last sample not later
        than it, else the first one inside) and at its last sample inside.
        """
        found = [part for track in tracks if (part := self._growth_of(track, window)) is not None]
        if not found:
            return None
        return Growth(sum(part.amount for part in found), max(part.seconds for part in found))

    def _growth_of(self, track: Track, window: Window) -> Growth | None:
        first = int(np.searchsorted(track.times, window.start, side="right")) - 1
        if first < 0 or window.start - track.times[first] > self.max_age:
            first += 1
        last = int(np.searchsorted(track.times, window.end, side="left")) - 1
        if last <= first:
            return None
        total = track.cumulative().levels
        return Growth(
            float(total[last] - total[first]), float(track.times[last] - track.times[first])
        )

    def rates(self, tracks: Sequence[Track], window: Window) -> FloatArray:
        """Give the summed rate of counters between neighbouring scrapes of the window."""
        total = self.summed([track.cumulative() for track in tracks], hold=True)
        if total is None:
            return np.empty(0)
        inside = (total.times[1:] > window.start) & (total.times[1:] < window.end)
        return (np.diff(total.levels) / np.diff(total.times))[inside]

    def paces(self, groups: Sequence[Sequence[Track]], window: Window) -> list[FloatArray]:
        """Give how fast groups of counters grew, per second, in one scrape interval after the other.

        All groups over the same intervals, from where the last counter begins to where the first
        one ends; between two samples a counter grows evenly. Counters without two samples in the
        window are left out, as in `growth`; empty where there is no whole interval.
        """
        edges = self.edges(groups, window)
        found = []
        for tracks in groups:
            grown = np.zeros(len(edges))
            for track in self._growing(tracks, window):
                grown += np.interp(edges, track.times, track.cumulative().levels)
            found.append(np.diff(grown) / self.interval)
        return found

    def edges(self, groups: Sequence[Sequence[Track]], window: Window) -> FloatArray:
        """Give begin and end of the scrape intervals of `paces`; empty without a whole one."""
        tracks = [track for each in groups for track in self._growing(each, window)]
        begins = [track.times[track.times >= window.start - self.max_age][0] for track in tracks]
        ends = [track.times[track.times < window.end][-1] for track in tracks]
        begin = max([*begins, window.start], default=window.start)
        number = int((min(ends, default=begin) - begin) / self.interval + CLOCK_SHARE)
        if number < 1:
            return np.empty(0)
        return np.asarray(begin + self.interval * np.arange(number + 1), dtype=np.float64)

    def _growing(self, tracks: Sequence[Track], window: Window) -> list[Track]:
        return [track for track in tracks if self._growth_of(track, window) is not None]

    def levels(self, tracks: Sequence[Track], window: Window) -> FloatArray:
        """Give the samples of a summed gauge in the window, in time order."""
        total = self.summed(tracks)
        return np.empty(0) if total is None else total.levels[window.holds(total.times)]

    def summed(self, tracks: Sequence[Track], *, hold: bool = False) -> Track | None:
        """Add series up over all their sample times.

        A series counts with its last value; without `hold` only until that
        value is too old.
        """
        if not tracks:
            return None
        times = np.unique(np.concatenate([track.times for track in tracks]))
        total = np.zeros(len(times))
        for track in tracks:
            place = np.searchsorted(track.times, times, side="right") - 1
            age = times - track.times[np.maximum(place, 0)]
            valid = (place >= 0) & (hold | (age <= self.max_age))
            total += np.where(valid, track.levels[np.maximum(place, 0)], 0.0)
        return Track({}, times, total)

    def gauge(self, tracks: Sequence[Track], window: Window) -> tuple[float, float, int] | None:
        """Give the time-weighted mean, the maximum and the number of samples of a summed gauge.

        A value holds until the next sample, though not longer than three
        scrape intervals: a hole weighs nothing. None without a sample.
        """
        total = self.summed(tracks)
        if total is None:
            return None
        until = np.minimum(np.append(total.times[1:], np.inf), total.times + self.max_age)
        begin = np.maximum(total.times, window.start)
        weights = np.minimum(until, window.end) - begin
        inside = (weights > 0) & (total.times < window.end)
        if not inside.any():
            return None
        values, weights = total.levels[inside], weights[inside]
        mean = float((values * weights).sum() / weights.sum())
        return mean, float(values.max()), int(window.holds(total.times).sum())

    def coverage(self, window: Window, targets: Sequence[Mapping[str, str]]) -> list[Coverage]:
        """Compare the scrapes that arrived with those expected, for each target."""
        by_target = {target_key(track.labels): track for track in self.tracks("up")}
        found = []
        for target in targets:
            track = by_target.get(target_key(target))
            times = np.empty(0) if track is None else track.times[track.levels == 1]
            found.append(self._coverage_of(target, times, window))
        return found

    def _coverage_of(
        self, target: Mapping[str, str], times: FloatArray, window: Window
    ) -> Coverage:
        inside: BoolArray = window.holds(times)
        edges = np.concatenate(
            [
                times[times < window.start][-1:]
                if (times < window.start).any()
                else [window.start],
                times[inside],
                times[times >= window.end][:1] if (times >= window.end).any() else [window.end],
            ]
        )
        lengths = np.diff(edges)
        long = np.flatnonzero(lengths > self.max_gap)
        return Coverage(
            target=target,
            expected=max(1, int(window.seconds / self.interval + CLOCK_SHARE)),
            received=int(inside.sum()),
            gaps=tuple((float(edges[i]), float(edges[i + 1])) for i in long),
            largest_gap=float(lengths.max()),
        )


def target_key(labels: Mapping[str, str]) -> str:
    """Name a target by the labels that Prometheus gives each one."""
    named = {key: labels[key] for key in ("instance", "job") if key in labels}
    return json.dumps(named, sort_keys=True, separators=(",", ":"))


def targets_of(samples: Samples) -> list[Mapping[str, str]]:
    """List the targets that were ever scraped, in the order of their names."""
    named = {
        target_key(track.labels): json.loads(target_key(track.labels))
        for track in samples.tracks("up")
    }
    return [named[key] for key in sorted(named)]
