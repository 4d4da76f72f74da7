"""From when to when a Prometheus has samples, found without reading them all."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from escalade.monitoring.client import PrometheusClient

EVERYTHING = '{__name__=~".+"}'
"""Selects all series."""

_CELLS = 1000
_FINE_SECONDS = 5.0
_MILLISECOND = 0.001


def data_extent(client: PrometheusClient, until: float) -> tuple[float, float] | None:
    """Give the times of the first and the last sample that are there; None of no sample.

    Parameters
    ----------
    client
        Asks the Prometheus.
    until
        Unix seconds to look up to: now, by its clock.

    Notes
    -----
    Every scrape leaves a sample of `up`, the failed one too, so these few tell; only
    data that no scrape wrote are looked through whole.
    """
    return extent(client, "up", 0.0, until) or extent(client, EVERYTHING, 0.0, until)


def extent(
    client: PrometheusClient, selector: str, start: float, end: float
) -> tuple[float, float] | None:
    """Give the times of the first and the last sample of a selector in [start, end].

    Parameters
    ----------
    client
        Asks the Prometheus.
    selector
        An instant selector.
    start, end
        Unix seconds.

    Returns
    -------
    tuple of float or None
        None when there is no sample.

    Raises
    ------
    BadQueryError
        When the selector is none.
    TooLargeError
        When a thousandth of the time holds more samples than Prometheus looks at.
    """
    first = _edge(client, selector, start, end, at=0)
    last = _edge(client, selector, start, end, at=-1)
    return None if first is None or last is None else (first, last)


def _edge(
    client: PrometheusClient, selector: str, start: float, end: float, *, at: int
) -> float | None:
    """Narrow the time down to the part that has the first (0) or the last (-1) sample."""
    while end - start > _FINE_SECONDS:
        width = math.ceil((end - start) / _CELLS / _MILLISECOND)  # in whole milliseconds
        seconds = width * _MILLISECOND
        parts = math.ceil((end - start) / seconds)
        counted = f"count(count_over_time({selector}[{width}ms]))"
        counts = client.range_samples(counted, start + seconds, start + parts * seconds, seconds)
        if not len(counts):
            return None
        here = float(next(counts.tracks()).times[at])
        # Prometheus 2 takes a sample at the border of two parts into both
        start, end = here - seconds - _MILLISECOND, here + _MILLISECOND
    pieces = client.raw_pieces(selector, start, end + _MILLISECOND)
    stamps = [float(track.times[at]) for piece in pieces for track in piece.tracks()]
    if not stamps:
        return None
    return max(stamps) if at else min(stamps)
