"""What a service counts of its caches, as Prometheus reads it, and when it warns."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from escalade.operations import CacheMetrics, Mode

LOGGER = "escalade.operations.cache"
LLM = {"mode": "fast", "cache_type": "llm"}


def made(*types: str, **modes: Mode) -> tuple[CacheMetrics, CollectorRegistry]:
    registry = CollectorRegistry()
    metrics = (
        CacheMetrics(modes, types or ("llm",), registry=registry)
        if modes
        else CacheMetrics(registry=registry)
    )
    return metrics, registry


def page(registry: CollectorRegistry) -> dict[str, list[Any]]:
    """Read the page as a scraper does: samples by name."""
    found: dict[str, list[Any]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample)
    return found


def ask(metrics: CacheMetrics, hits: int, misses: int, mode: str = "fast") -> None:
    for _ in range(hits):
        metrics.hit(mode, "llm")
    for _ in range(misses):
        metrics.miss(mode, "llm")


def test_counters_begin_at_zero_and_the_rate_is_absent_before_the_first_request() -> None:
    metrics, registry = made()
    found = page(registry)

    for name in ("cache_hits_total", "cache_misses_total", "cache_ttl_expired_total"):
        assert {sample.labels["mode"]: sample.value for sample in found[name]} == {
            "fast": 0.0,
            "balanced": 0.0,
            "creative": 0.0,
        }
    assert "cache_hit_rate" not in found
    assert metrics.hit_rate("fast", "llm") is None


def test_the_first_request_gives_its_own_cache_a_rate_and_no_other() -> None:
    metrics, registry = made()
    metrics.miss("fast", "llm")

    assert [(each.labels, each.value) for each in page(registry)["cache_hit_rate"]] == [(LLM, 0.0)]


def test_an_expired_entry_is_counted_beside_the_miss_that_found_it() -> None:
    metrics, registry = made()
    ask(metrics, hits=3, misses=1)
    metrics.expired("fast", "llm")

    values = {name: samples[0].value for name, samples in page(registry).items()}
    assert values["cache_ttl_expired_total"] == 1
    assert values["cache_misses_total"] == 1
    assert values["cache_hit_rate"] == metrics.hit_rate("fast", "llm") == 0.75


def test_modes_ttls_and_targets_are_the_documented_ones_unless_told_otherwise() -> None:
    _, registry = made()
    found = page(registry)

    ttls = {each.labels["mode"]: each.value for each in found["cache_ttl_seconds"]}
    targets = {each.labels["mode"]: each.value for each in found["cache_hit_rate_target"]}
    assert ttls == {"fast": 300, "balanced": 600, "creative": 1800}
    assert targets == {"fast": 0.6, "balanced": 0.6}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["hit", "miss", "expired"]),
            st.sampled_from(["fast", "slow"]),
            st.sampled_from(["llm", "embedding"]),
        ),
        max_size=60,
    )
)
def test_hits_and_misses_are_the_requests_and_the_rate_is_their_share(
    events: list[tuple[str, str, str]],
) -> None:
    metrics, registry = made("llm", "embedding", fast=Mode(60, 0.5), slow=Mode(60))
    for kind, mode, cache_type in events:
        getattr(metrics, kind)(mode, cache_type)
    found = page(registry)

    asked = [event for event in events if event[0] != "expired"]
    lookups = [*found["cache_hits_total"], *found["cache_misses_total"]]
    assert sum(each.value for each in lookups) == len(asked)
    assert len(found.get("cache_hit_rate", [])) == len({event[1:] for event in asked})
    for each in found.get("cache_hit_rate", []):
        place = each.labels["mode"], each.labels["cache_type"]
        own = [kind for kind, *labels in asked if tuple(labels) == place]
        assert 0 <= each.value <= 1
        assert each.value == own.count("hit") / len(own)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text('\\"\n{}=,#a '))
def test_any_text_of_a_label_comes_back_as_it_was(mode: str, cache_type: str) -> None:
    registry = CollectorRegistry()
    CacheMetrics({mode: Mode(60)}, [cache_type], registry=registry).hit(mode, cache_type)

    (sample,) = page(registry)["cache_hits_total"]
    assert (sample.labels, sample.value) == ({"mode": mode, "cache_type": cache_type}, 1.0)


def test_no_count_is_lost_between_threads() -> None:
    metrics, registry = made()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(ask, metrics, 400, 100)

    found = page(registry)
    assert found["cache_hits_total"][0].value == 3200
    assert found["cache_misses_total"][0].value == 800


def test_the_warning_comes_with_the_hundredth_request_and_says_which_ttl_to_try(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics, _ = made()
    ask(metrics, hits=42, misses=57)
    for _ in range(31):
        metrics.expired("fast", "llm")
    assert not caplog.records

    metrics.miss("fast", "llm")

    (record,) = caplog.records
    assert (record.name, record.levelno) == (LOGGER, logging.WARNING)
    assert record.getMessage() == (
        "cache hit rate of mode 'fast', type 'llm', is 42.0 % after 100 requests, under its target "
        "of 60 % (31 entries expired): double the TTL, from 300 s to 600 s"
    )


def test_a_rate_at_the_target_is_no_reason_to_warn(caplog: pytest.LogCaptureFixture) -> None:
    metrics, _ = made()
    ask(metrics, hits=60, misses=40)  # the rate never lies under 60 %
    assert not caplog.records

    metrics.miss("fast", "llm")  # 60 of 101

    assert "is 59.4 % after 101 requests" in caplog.records[0].getMessage()


def test_a_mode_without_a_target_is_never_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    metrics, _ = made()
    ask(metrics, hits=0, misses=500, mode="creative")

    assert not caplog.records


def test_it_warns_once_and_again_only_after_the_rate_was_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics, _ = made()
    ask(metrics, hits=0, misses=300)
    assert len(caplog.records) == 1

    ask(metrics, hits=450, misses=0)  # 450 of 750: back at 60 %
    ask(metrics, hits=0, misses=1)  # 450 of 751

    assert len(caplog.records) == 2
    assert "after 751 requests" in caplog.records[1].getMessage()


def test_a_rate_around_the_target_warns_at_most_every_hundred_requests(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics, _ = made(fast=Mode(60, 0.5))
    for _ in range(500):  # after each pair of requests the rate is back at 50 %
        ask(metrics, hits=0, misses=1)
        ask(metrics, hits=1, misses=0)

    assert 2 <= len(caplog.records) <= 10  # of 1000 requests


def test_modes_and_types_are_judged_apart(caplog: pytest.LogCaptureFixture) -> None:
    metrics, _ = made("llm", "embedding", fast=Mode(60, 0.5), exact=Mode(60, 0.5))
    for _ in range(100):
        metrics.miss("fast", "llm")
        metrics.miss("fast", "embedding")
        metrics.hit("exact", "llm")

    assert [record.args[:2] for record in caplog.records] == [  # type: ignore[index]
        ("fast", "llm"),
        ("fast", "embedding"),
    ]


def test_a_new_ttl_is_judged_by_the_requests_that_it_saw(caplog: pytest.LogCaptureFixture) -> None:
    metrics, registry = made()
    ask(metrics, hits=0, misses=100)
    metrics.set_ttl("fast", 600)
    ask(metrics, hits=80, misses=20)  # 40 % of all, 80 % since the change

    assert len(caplog.records) == 1
    assert metrics.ttl_seconds("fast") == 600
    assert {each.labels["mode"]: each.value for each in page(registry)["cache_ttl_seconds"]}[
        "fast"
    ] == 600

    metrics.set_ttl("fast", 30)
    ask(metrics, hits=50, misses=50)

    assert "is 50.0 % after 100 requests" in caplog.records[1].getMessage()
    assert "from 30 s to 60 s" in caplog.records[1].getMessage()


def test_a_handler_of_the_log_may_ask_the_metrics() -> None:
    metrics, _ = made()
    seen = []

    class Asking(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            seen.append((record.levelno, metrics.hit_rate("fast", "llm")))
            return True

    handler = Asking()
    logging.getLogger(LOGGER).addHandler(handler)
    try:
        ask(metrics, hits=0, misses=100)
    finally:
        logging.getLogger(LOGGER).removeHandler(handler)

    assert seen == [(logging.WARNING, 0.0)]


def test_text_of_a_mode_begins_no_new_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    metrics = CacheMetrics({"a\nERROR b": Mode(60, 0.5)}, registry=registry)
    for _ in range(100):
        metrics.miss("a\nERROR b", "llm")

    assert "\n" not in caplog.records[0].getMessage()


def test_a_name_that_was_not_declared_is_refused_with_those_that_were() -> None:
    metrics, _ = made("llm", fast=Mode(60))

    with pytest.raises(ValueError, match=r"no mode 'quick'\. Modes: fast"):
        metrics.hit("quick", "llm")
    with pytest.raises(ValueError, match=r"no cache type 'sql'\. Types: llm"):
        metrics.miss("fast", "sql")
    with pytest.raises(ValueError, match="no mode 'quick'"):
        metrics.set_ttl("quick", 60)


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf")])
def test_a_ttl_that_is_no_time_is_refused(ttl: float) -> None:
    metrics, _ = made()

    with pytest.raises(ValueError, match="expected a time above 0 s"):
        Mode(ttl)
    with pytest.raises(ValueError, match="expected a time above 0 s"):
        metrics.set_ttl("fast", ttl)
    assert metrics.ttl_seconds("fast") == 300


@pytest.mark.parametrize("target", [0, 1.01, float("nan")])
def test_a_target_that_is_no_share_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match="expected a share"):
        Mode(60, target)


def test_a_cache_without_a_mode_or_a_type_is_refused() -> None:
    with pytest.raises(ValueError, match="expected one of each"):
        CacheMetrics({}, registry=CollectorRegistry())
    with pytest.raises(ValueError, match="expected one of each"):
        CacheMetrics(cache_types="llm", registry=CollectorRegistry())


def test_a_registry_takes_these_metrics_once() -> None:
    _, registry = made()

    with pytest.raises(ValueError, match="Duplicated"):
        CacheMetrics(registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Counter("cache_hits_total", "Another one.", registry=registry)
