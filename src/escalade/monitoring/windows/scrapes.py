"""How much of what should have been scraped in a window was."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from escalade.analysis.measured.windows import Window
    from escalade.monitoring.answers import Samples

UP = "up"
"""The metric that every scrape leaves, the failed one too."""


@dataclass(frozen=True, slots=True)
class Scraped:
    """The scrapes of one target.

    Parameters
    ----------
    job, instance
        Which target.
    interval
        Seconds between two scrapes, as they were.
    expected, received
        Scrapes that fit into the window, and those that gave samples.
    largest_gap
        Longest time in the window without one, in seconds.
    """

    job: str
    instance: str
    interval: float
    expected: int
    received: int
    largest_gap: float

    @property
    def coverage(self) -> float:
        """Received / expected; at most 1."""
        return min(1.0, self.received / self.expected)


class Scrapes:
    """Gathers the samples of `up` of a window.

    Parameters
    ----------
    window
        The window.
    usual
        Seconds between two scrapes, for a target that was scraped only once.
    """

    def __init__(self, window: Window, usual: float) -> None:
        self._window, self._usual = window, usual
        self._times: dict[tuple[str, str], list[NDArray[np.float64]]] = defaultdict(list)
        self._good: dict[tuple[str, str], list[NDArray[np.float64]]] = defaultdict(list)

    def take(self, samples: Samples) -> None:
        """Take the next piece, in the order of time."""
        for track in samples.tracks():
            key = target_of(json.loads(track.labels))
            self._times[key].append(track.times)
            self._good[key].append(track.times[track.values == 1])

    @property
    def interval(self) -> float:
        """Seconds between two scrapes of most targets, to the millisecond."""
        found = [self._interval_of(key) for key in self._times]
        return round(float(np.median(found)), 3) if found else self._usual

    def targets(self) -> list[Scraped]:
        """Give every target that was scraped in the window, by job and instance."""
        return [self._scraped(key) for key in sorted(self._times)]

    def coverage(self, series: Iterable[Mapping[str, str]]) -> float | None:
        """Give the lowest coverage of the targets that these series come from; None of no target."""
        keys = {target_of(labels) for labels in series} & set(self._times)
        return min((self._scraped(key).coverage for key in keys), default=None)

    def _interval_of(self, key: tuple[str, str]) -> float:
        gaps = np.diff(np.concatenate(self._times[key]))
        return max(0.001, float(np.median(gaps))) if len(gaps) else self._usual

    def _scraped(self, key: tuple[str, str]) -> Scraped:
        interval = self._interval_of(key)
        good = np.concatenate(self._good[key])
        edges = np.concatenate([[self._window.start], good, [self._window.end]])
        return Scraped(
            *key,
            interval=round(interval, 3),
            expected=max(1, int(self._window.seconds / interval + 1e-3)),
            received=len(good),
            largest_gap=float(np.diff(edges).max()),
        )


def target_of(labels: Mapping[str, str]) -> tuple[str, str]:
    """Name the target of a series: job and instance."""
    return labels.get("job", ""), labels.get("instance", "")
