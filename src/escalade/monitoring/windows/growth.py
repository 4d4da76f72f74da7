"""How much counters grew over a window, added up piece by piece as samples arrive.

A counter is read at the window's start (its last sample not later than that, else its first
one inside) and at its last sample inside; nothing is extrapolated. A value below its predecessor
is a restart from zero, so the whole new value is growth. `analysis.measured.series` has the same
rules for samples that are all in memory, which those of a window need not be.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from escalade.analysis.measured.windows import Window
    from escalade.monitoring.answers import Samples, Track

MAX_AGE_SCRAPES = 3.0
"""A sample stands for the window's start at most this many scrape intervals."""


@dataclass(slots=True)
class Counter:
    """One counter of which samples were taken.

    Parameters
    ----------
    metric, labels
        Which it is.
    begin, end
        Times of the two samples that are compared; equal while there is one only.
    value
        Of the sample at `end`.
    grown
        By how much it grew between the two.
    resets
        How often it restarted.
    late
        Whether its first sample lies more than a scrape interval inside the window: what it had
        counted by then is not known.
    """

    metric: str
    labels: Mapping[str, str]
    begin: float
    end: float
    value: float
    grown: float = 0.0
    resets: int = 0
    late: bool = False

    @property
    def compared(self) -> bool:
        """Whether it has two samples to compare."""
        return self.end > self.begin


@dataclass(slots=True)
class Tally:
    """Counters of one kind, together: a whole, or the slice of a service.

    Parameters
    ----------
    counters
        Those with two samples to compare.
    paces
        Growth per second in one scrape interval after the other; NaN in those that not all
        counters cover.
    """

    counters: list[Counter] = field(default_factory=list)
    paces: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    @property
    def grown(self) -> float:
        """Growth of all counters."""
        return sum(counter.grown for counter in self.counters)

    @property
    def seconds(self) -> float:
        """Longest time between the two samples of a counter."""
        return max((counter.end - counter.begin for counter in self.counters), default=0.0)

    @property
    def resets(self) -> int:
        """Restarts of all counters."""
        return sum(counter.resets for counter in self.counters)

    @property
    def late(self) -> int:
        """Counters that began inside the window."""
        return sum(counter.late for counter in self.counters)


class Growth:
    """Adds up the growth of counters.

    Parameters
    ----------
    window
        The window.
    interval
        Seconds between two scrapes.
    slice_by
        Label whose values are the slices.
    paced
        Whether the paces are wanted too: they cost as much again.
    """

    def __init__(
        self, window: Window, interval: float, slice_by: str, *, paced: bool = True
    ) -> None:
        self._window, self._interval, self._slice_by = window, interval, slice_by
        self._paced = paced
        self._bins = max(1, int(window.seconds / interval + 1e-3))
        self._edges = window.start + interval * np.arange(self._bins + 1)
        self._counters: dict[tuple[str, str], Counter] = {}
        self._grown: dict[str, NDArray[np.float64]] = defaultdict(
            lambda: np.zeros(self._bins + 1)  # the last one takes what lies behind the last edge
        )

    @property
    def reads_from(self) -> float:
        """Time from which samples are needed: a little before the window."""
        return self._window.start - MAX_AGE_SCRAPES * self._interval

    def take(self, samples: Samples) -> None:
        """Take the next piece, in the order of time."""
        for track in samples.tracks():
            self.take_track(track)

    def take_track(self, track: Track) -> None:
        """Take the next samples of one series."""
        start = self._window.start
        key = (track.metric, track.labels)
        counter = self._counters.get(key)
        times, values = track.times, track.values
        before = 0 if times[0] > start else int(times.searchsorted(start, side="right"))
        if counter is None or before:
            at = max(before - 1, 0)
            first = float(times[at])
            counter = Counter(
                track.metric,
                json.loads(track.labels) if counter is None else counter.labels,
                first,
                first,
                float(values[at]),
                late=first > start + self._interval,
            )
            self._counters[key] = counter
            times, values = times[at + 1 :], values[at + 1 :]
        if not len(times):
            return
        growth = values.copy()
        growth[0] -= counter.value
        growth[1:] -= values[:-1]
        fell = growth < 0
        if fell.any():
            growth = np.where(growth >= 0, growth, values)
            counter.resets += int(np.count_nonzero(fell))
        if self._paced:
            self._spread(self._slice(counter.labels), counter.end, times, growth)
        counter.grown += float(growth.sum())
        counter.end, counter.value = float(times[-1]), float(values[-1])

    def slices(self) -> list[str]:
        """Name the values of the label that slices, "" where a series has none."""
        return sorted({self._slice(counter.labels) for counter in self._counters.values()})

    def tally(self, only: str | None = None) -> Tally:
        """Give what was added up, of all counters or of one slice."""
        counters = [
            counter
            for counter in self._counters.values()
            if counter.compared and only in {None, self._slice(counter.labels)}
        ]
        names = {self._slice(counter.labels) for counter in counters}
        bins = np.sum([np.zeros(self._bins + 1), *(self._grown[name] for name in names)], axis=0)
        paces = np.full(self._bins, np.nan)
        covered = self._covered(counters)
        paces[covered] = bins[covered] / self._interval
        return Tally(counters, paces)

    def _spread(
        self, name: str, begin: float, times: NDArray[np.float64], growth: NDArray[np.float64]
    ) -> None:
        """Put growth into the scrape intervals in which it happened; between samples it is even."""
        xs = np.concatenate([[begin], times])
        total = np.zeros(len(xs))
        np.cumsum(growth, out=total[1:])
        first, last = self._bin_of(begin), self._bin_of(times[-1])
        edges = self._edges[first : last + 1]
        reached = np.interp(edges, xs, total)  # before the window there is no interval
        bins = self._grown[name]
        bins[first:last] += reached[1:] - reached[:-1]
        bins[last] += total[-1] - reached[-1]

    def _bin_of(self, time: float) -> int:
        place = int((time - self._window.start) // self._interval)
        return min(max(place, 0), self._bins)

    def _covered(self, counters: list[Counter]) -> slice:
        """Give the scrape intervals that lie between the samples of every counter."""
        start = self._window.start
        begin = max((counter.begin for counter in counters), default=start)
        end = min((counter.end for counter in counters), default=start)
        slack = 1e-3 * self._interval
        first = max(0, int(np.ceil((begin - start - slack) / self._interval)))
        last = min(self._bins, int((end - start + slack) // self._interval))
        return slice(first, max(first, last))

    def _slice(self, labels: Mapping[str, str]) -> str:
        return labels.get(self._slice_by, "")
