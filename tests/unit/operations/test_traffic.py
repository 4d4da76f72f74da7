"""Requests, their time and the queue, as Prometheus reads them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from escalade.operations import RequestMetrics


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> RequestMetrics:
    return RequestMetrics(["fast"], registry=registry)


def count(registry: CollectorRegistry, status: str) -> float | None:
    labels = {"mode": "fast", "status": status}
    return registry.get_sample_value("http_requests_total", labels)


def bucket(registry: CollectorRegistry, le: str) -> float | None:
    name = "http_server_request_duration_seconds_bucket"
    return registry.get_sample_value(name, {"mode": "fast", "le": le})


def test_a_request_is_counted_with_its_status_and_timed(
    metrics: RequestMetrics, registry: CollectorRegistry
) -> None:
    assert count(registry, "200") == 0  # there from the start

    with metrics.request("fast"):
        pass
    with metrics.request("fast") as request:
        request.status = 429

    assert count(registry, "200") == count(registry, "429") == 1
    assert bucket(registry, "+Inf") == 2


def test_a_request_that_fails_counts_as_500_and_its_exception_goes_on(
    metrics: RequestMetrics, registry: CollectorRegistry
) -> None:
    def fail() -> None:
        with metrics.request("fast") as request:
            request.status = 204
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert (count(registry, "500"), count(registry, "204")) == (1, None)


@pytest.mark.parametrize("limit", ["0.5", "2.0", "2.5", "3.2", "4.5"])
def test_limits_that_are_asked_for_are_bounds_of_buckets(
    limit: str, metrics: RequestMetrics, registry: CollectorRegistry
) -> None:
    metrics.record("fast", float(limit))
    metrics.record("fast", float(limit) + 1e-9)

    assert bucket(registry, limit) == 1


def test_the_queue_is_asked_at_the_scrape_and_absent_unless_it_is_watched(
    metrics: RequestMetrics, registry: CollectorRegistry
) -> None:
    assert registry.get_sample_value("llm_queue_length") is None
    waiting = [1, 2]
    metrics.watch_queue(lambda: len(waiting))
    assert registry.get_sample_value("llm_queue_length") == 2
    waiting.append(3)
    assert registry.get_sample_value("llm_queue_length") == 3
    with pytest.raises(ValueError, match="Duplicated"):
        metrics.watch_queue(lambda: 0)


def test_dashboards_that_are_there_keep_their_names(registry: CollectorRegistry) -> None:
    names = {"requests": "swarm_router_requests_total", "latency": "swarm_router_request_latency"}
    RequestMetrics(registry=registry, **names).record("creative", 0.3)

    asked = {"mode": "creative", "status": "200"}
    assert registry.get_sample_value("swarm_router_requests_total", asked) == 1
    in_bucket = {"mode": "creative", "le": "0.5"}
    assert registry.get_sample_value("swarm_router_request_latency_bucket", in_bucket) == 1


@pytest.mark.parametrize(
    ("request_of", "words"),
    [
        (("slow", 1.0, 200), r"no mode 'slow'\. Modes: fast"),
        (("fast", -1.0, 200), r"can't take -1\.0 s"),
        (("fast", float("nan"), 200), "can't take nan s"),
        (("fast", 1.0, 42), "42 is no HTTP status"),
    ],
)
def test_what_is_no_request_is_refused_and_not_counted(
    request_of: tuple[str, float, int],
    words: str,
    metrics: RequestMetrics,
    registry: CollectorRegistry,
) -> None:
    with pytest.raises(ValueError, match=words):
        metrics.record(*request_of)
    assert bucket(registry, "+Inf") == 0
