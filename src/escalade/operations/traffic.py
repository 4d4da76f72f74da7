"""Requests of a service, how long they took, and how many wait."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from escalade.operations.cache import MODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client import CollectorRegistry

GOOD, FAILED = 200, 500
BUCKETS = (
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.0, 2.5, 3.2, 4.5, 6.0, 10.0, 30.0, 60.0),
)
"""Upper bounds in seconds. Limits that are asked for (0.5, 2, 2.5, 3.2, 4.5 s) are among them, so that
whether a quantile keeps one does not hang on interpolation."""


@dataclass
class Request:
    """A request under way; its HTTP status, 200 unless the service says otherwise."""

    status: int = GOOD


class RequestMetrics:
    """Counts and times the requests of a service by mode, for Prometheus.

    The names are those that the default queries of a collected window ask for, and that of the
    queue's alert; give others where dashboards are there already, as in
    `RequestMetrics(requests="swarm_router_requests_total", latency="swarm_router_request_latency")`.

    Parameters
    ----------
    modes
        The modes of the service.
    requests, latency, queue
        Names of the counter (labels mode, status), the histogram in seconds (mode) and the gauge.
    registry
        Where `/metrics` finds them; that of prometheus-client when left out.

    Raises
    ------
    ValueError
        When a name can't name a metric, or the registry has it already.
    """

    def __init__(
        self,
        modes: Iterable[str] = tuple(MODES),
        *,
        requests: str = "http_requests_total",
        latency: str = "http_server_request_duration_seconds",
        queue: str = "llm_queue_length",
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._modes = tuple(modes)
        self._queue, self._registry = queue, registry
        self._requests = Counter(
            requests, "Requests that ended.", ("mode", "status"), registry=registry
        )
        self._latency = Histogram(
            latency, "Time of a request, in seconds.", ("mode",), buckets=BUCKETS, registry=registry
        )
        for mode in self._modes:  # series that are there from the start lose no first request
            self._requests.labels(mode, str(GOOD))
            self._latency.labels(mode)

    @contextmanager
    def request(self, mode: str) -> Iterator[Request]:
        """Time one request, and count it with the status that is set on what is given.

        An exception counts as status 500 and goes on.

        Raises
        ------
        ValueError
            For a mode that was not declared, before the request begins.
        """
        self._known(mode)
        begun, under_way = time.perf_counter(), Request()
        try:
            yield under_way
        except BaseException:
            under_way.status = FAILED
            raise
        finally:
            self.record(mode, time.perf_counter() - begun, under_way.status)

    def record(self, mode: str, seconds: float, status: int = GOOD) -> None:
        """Count a request that was timed elsewhere; HTTP status, and time in seconds.

        Raises
        ------
        ValueError
            For a mode that was not declared, a time below 0, or what is no HTTP status.
        """
        self._known(mode)
        if not seconds >= 0:
            raise ValueError(f"a request can't take {seconds!r} s: expected 0 or more")
        if not 100 <= status <= 599:
            raise ValueError(f"{status!r} is no HTTP status: expected 100 to 599")
        self._requests.labels(mode, str(int(status))).inc()
        self._latency.labels(mode).observe(seconds)

    def watch_queue(self, length: Callable[[], float]) -> None:
        """Show how many requests wait, asked at each scrape; without this there is no such metric.

        Raises
        ------
        ValueError
            When a queue is watched already.
        """
        gauge = Gauge(self._queue, "Requests that wait.", registry=self._registry)
        gauge.set_function(length)

    def _known(self, mode: str) -> None:
        if mode not in self._modes:
            raise ValueError(
                f"there is no mode {mode!r}. Modes: {', '.join(self._modes)}. Declare it: "
                "RequestMetrics(modes=[…])"
            )
