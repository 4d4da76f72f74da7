"""Exporter of what the workers of a load generator count, as they count it.

`python -m escalade.load.exporter --folder FOLDER --address A --port N` reads the counters
that the workers of this node keep in FOLDER (`escalade.load.live`) and serves those of the
latest step, and of one that ended within the last ten seconds, so that no scrape interval
takes a step's end away. Counters begin at 0 with each step, which is a label.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from escalade.load.live import read_all
from escalade.runtime.exposition import serve

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client.metrics_core import Metric

    from escalade.load.live import Distribution, Reading

JOB = "load"
"""Name of the scrape job."""
REQUESTS = "escalade_load_requests_total"
SCHEDULED = "escalade_load_scheduled_total"
SENT = "escalade_load_sent_total"
IN_FLIGHT = "escalade_load_in_flight"
BACKLOG = "escalade_load_backlog"
TARGET = "escalade_load_target_qps"
RUNNING = "escalade_load_worker_running"
LATENCY = "escalade_load_request_latency_seconds"
FIRST_CHUNK = "escalade_load_time_to_first_chunk_seconds"
LAG = "escalade_load_dispatch_lag_seconds"

KEPT_SECONDS = 10.0
_LABELS = ("worker", "step")
_NICENESS = 19  # it may have to share the client's core


class LoadCollector(Collector):
    """Reads the counters at every scrape.

    Parameters
    ----------
    folder
        Where the workers keep them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def describe(self) -> Iterable[Metric]:
        """Name nothing in advance."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Give the samples of this moment."""
        return _families(_of_interest(read_all(self._folder)))


def _of_interest(readings: Sequence[Reading]) -> list[Reading]:
    latest = max((reading.step for reading in readings), default=0)
    since = time.time() - KEPT_SECONDS
    return [one for one in readings if one.step == latest or one.running or one.ended_at > since]


def _families(readings: Sequence[Reading]) -> list[Metric]:
    requests = CounterMetricFamily(
        REQUESTS, "Requests that are over, by outcome.", labels=(*_LABELS, "outcome")
    )
    scheduled = CounterMetricFamily(
        SCHEDULED, "Arrivals handed out for their planned times.", labels=_LABELS
    )
    sent = CounterMetricFamily(SENT, "Requests that left.", labels=_LABELS)
    in_flight = GaugeMetricFamily(IN_FLIGHT, "Requests sent and not ended.", labels=_LABELS)
    backlog = GaugeMetricFamily(BACKLOG, "Arrivals that wait for a free user.", labels=_LABELS)
    target = GaugeMetricFamily(TARGET, "Rate asked of the worker, in 1/s.", labels=_LABELS)
    running = GaugeMetricFamily(
        RUNNING, "1 while the worker runs its step, 0 once it has ended or is lost.", labels=_LABELS
    )
    latency = HistogramMetricFamily(
        LATENCY, "Planned send to last byte, of good answers.", labels=_LABELS
    )
    first = HistogramMetricFamily(
        FIRST_CHUNK, "Planned send to first chunk, of good answers.", labels=_LABELS
    )
    lag = HistogramMetricFamily(LAG, "Planned send to actual send.", labels=_LABELS)
    for one in readings:
        key = (str(one.worker), str(one.step))
        for outcome, count in one.outcomes.items():
            requests.add_metric((*key, outcome), count)
        scheduled.add_metric(key, one.scheduled)
        sent.add_metric(key, one.sent)
        running.add_metric(key, one.running)
        if one.running:  # of a worker that is gone nobody knows what was in flight
            in_flight.add_metric(key, one.in_flight)
            backlog.add_metric(key, one.backlog)
            target.add_metric(key, one.target_qps)
        for family, values in ((latency, one.latency), (first, one.first_chunk), (lag, one.lag)):
            family.add_metric(key, _buckets(values), values.total)
    return [requests, scheduled, sent, in_flight, backlog, target, running, latency, first, lag]


def _buckets(values: Distribution) -> list[tuple[str, float]]:
    """Give (upper bound, how many up to it), as Prometheus has histograms."""
    below, buckets = 0, []
    for bound, count in zip((*values.bounds, None), values.counts, strict=True):
        below += count
        buckets.append(("+Inf" if bound is None else str(bound), float(below)))
    return buckets


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT.

    Returns
    -------
    int
        0, or 3 when the port can't be had.
    """
    parser = argparse.ArgumentParser(prog="load_exporter", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the workers count")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--address", default="127.0.0.1", help="to listen on")
    options = parser.parse_args(arguments)
    os.nice(_NICENESS)
    return serve(LoadCollector(options.folder), options.address, options.port)


if __name__ == "__main__":
    raise SystemExit(main())
