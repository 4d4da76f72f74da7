"""Readings out of the head's Prometheus."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from escalade.monitoring.client import PrometheusClient
from escalade.profiler.reading import FIGURES, Reading, column_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from escalade.monitoring.answers import Samples

_TELLING = ("direction", "clock")
SELECTOR = '{{__name__=~"{}",node!=""}}'.format("|".join(sorted({it.metric for it in FIGURES})))


class StoredReadings:
    """A `Source` over a Prometheus that nodes have written to.

    Parameters
    ----------
    url
        Of the Prometheus.

    Notes
    -----
    All samples of one GPU and one reading carry the same timestamp, which the exporter gave them:
    that is how they are put together again.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def readings(self, start: float, end: float) -> Iterator[Reading]:
        """Give the readings of [start, end), in the order of time.

        Raises
        ------
        PrometheusError
            As `PrometheusClient.raw_pieces`.
        """
        with PrometheusClient(self._url) as client:
            for piece in client.raw_pieces(SELECTOR, start, end):
                yield from _together(piece)


def _together(piece: Samples) -> Iterator[Reading]:
    """Put the samples of a part of the window together: no reading reaches over its ends."""
    found: dict[tuple[float, str, str], Reading] = {}
    values: dict[tuple[float, str, str], dict[str, float]] = {}
    for track in piece.tracks():
        labels = json.loads(track.labels)
        name = column_of(track.metric, {it: labels[it] for it in _TELLING if it in labels})
        if name is None or not {"node", "gpu", "uuid", "name"} <= labels.keys():
            continue
        for at, value in zip(track.times.tolist(), track.values.tolist(), strict=True):
            key = (at, labels["node"], labels["uuid"])
            if key not in found:
                values[key] = {}
                found[key] = Reading(
                    at,
                    labels["node"],
                    int(labels["gpu"]),
                    labels["name"],
                    labels["uuid"],
                    values[key],
                )
            values[key][name] = value
    for key in sorted(found):
        yield found[key]
