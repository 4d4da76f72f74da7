"""Hit ratios of caches, by hand: from a service's own counters, and from an engine's prefix cache."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.analysis.kpis.cache_kpis import cache_readings
from escalade.analysis.kpis.readings import label_of, labels_in
from escalade.analysis.kpis.steps import measured_steps
from escalade.analysis.kpis.table import cell_kpis
from unit.analysis.builders import SERVICE_TARGET, Request, Step, cell, scraped, up
from unit.analysis.kpis.test_replicas import copied

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

SECONDS = [float(at) for at in range(-2, 13)]
LONG = [float(at) for at in range(-2, 63)]
VLLM = {
    "cached_tokens_total": "vllm:prefix_cache_hits_total",
    "looked_up_tokens_total": "vllm:prefix_cache_queries_total",
}
LLAMA = {
    "cached_tokens_total": "llamacpp:prompt_tokens_cached_total",
    "uncached_tokens_total": "llamacpp:prompt_tokens_total",
}
OLD = {"cached_tokens_ratio": "vllm:gpu_prefix_cache_hit_rate"}


def counter(
    metric: str, rate: float, times: list[float] = SECONDS, **labels: str
) -> list[tuple[str, Mapping[str, str], float, float]]:
    own = {**SERVICE_TARGET, **labels}
    return scraped(metric, own, {at: 1000 + rate * at for at in times})


def of_mode(
    mode: str, hits: float, misses: float, times: list[float] = SECONDS, **more: str
) -> list[Any]:
    labels = {"mode": mode, "cache_type": "llm", **more}
    return [
        *counter("cache_hits_total", hits, times, **labels),
        *counter("cache_misses_total", misses, times, **labels),
    ]


def kpis_of(*samples: Any, seconds: float = 10.0, names: Mapping[str, str] = {}) -> pd.DataFrame:
    step = Step((Request(1.0),), seconds, samples=[row for part in samples for row in part])
    return cell_kpis(cell(step, metric_names=names))


def row(kpis: pd.DataFrame, metric: str = "cache_hit_ratio", **labels: str) -> Any:
    """Give the one row of a cache."""
    found = kpis[kpis["metric"] == metric]
    mine = found[found["source"] == "series.parquet" + (label_of(labels) if labels else "")]
    assert len(mine) == 1, found["source"].tolist()
    return mine.iloc[0]


def fast(kpis: pd.DataFrame, metric: str = "cache_hit_ratio") -> Any:
    return row(kpis, metric, cache_type="llm", mode="fast")


def prefix(kpis: pd.DataFrame, metric: str = "cache_hit_ratio") -> Any:
    return row(kpis, metric, cache_type="prefix")


def test_a_service_that_counts_no_lookups_has_no_rows() -> None:
    kpis = kpis_of(up(SERVICE_TARGET, SECONDS), counter("cache_ttl_expired_total", 1.0))

    assert not kpis["metric"].str.startswith("cache_").any()


def test_hits_and_misses_of_the_window_make_the_ratio_of_each_mode() -> None:
    kpis = kpis_of(
        of_mode("fast", 3.0, 1.0),
        of_mode("balanced", 0.0, 5.0),
        counter("cache_ttl_expired_total", 0.5, mode="fast", cache_type="llm"),
    )

    # from the sample at 0 s to the one at 9 s, the last before the window's end
    assert fast(kpis).value == pytest.approx(3 / 4)
    assert fast(kpis, "cache_lookups").value == pytest.approx(9 * 4)
    assert fast(kpis, "cache_expired").value == pytest.approx(9 * 0.5)
    assert row(kpis, cache_type="llm", mode="balanced").value == 0.0
    assert (kpis["metric"] == "cache_expired").sum() == 1  # balanced counts none


def test_what_was_counted_before_the_window_has_no_part_in_it() -> None:
    cold = scraped("cache_misses_total", SERVICE_TARGET, {-2.0: 0, -1.0: 900, 0.0: 900, 9.0: 901})
    warm = scraped("cache_hits_total", SERVICE_TARGET, {-2.0: 0, -1.0: 0, 0.0: 0, 9.0: 9})

    assert row(kpis_of(cold, warm)).value == pytest.approx(9 / 10)


def test_a_ratio_over_a_minute_has_an_interval_over_samples() -> None:
    hits = {at: 100 + 10 * at + (at % 3) for at in LONG}
    misses = {at: 100 + 5 * at + ((at * 7) % 4) for at in LONG}
    found = row(
        kpis_of(
            scraped("cache_hits_total", SERVICE_TARGET, hits),
            scraped("cache_misses_total", SERVICE_TARGET, misses),
            seconds=60.0,
        )
    )

    assert found.ci_method == "t on n_eff samples"
    assert 0 <= found.ci_low < found.value < found.ci_high <= 1
    assert found.ci_high - found.ci_low < 0.2


def test_copies_of_a_service_add_up_and_none_may_be_missing() -> None:
    of = [
        {"instance": f"127.0.0.1:800{number}", "job": "service", "replica": str(number)}
        for number in (1, 2)
    ]
    one = [*of_mode("fast", 4.0, 0.0, **of[0]), *of_mode("fast", 0.0, 4.0, **of[1])]

    def replicated(*pages: Any) -> pd.DataFrame:
        samples = [*one, *(sample for page in pages for sample in page)]
        return cell_kpis(copied(cell(Step((Request(1.0),), samples=samples), metric_names={})))

    assert fast(replicated(up(of[0], SECONDS), up(of[1], SECONDS))).value == pytest.approx(0.5)
    lost = fast(replicated(up(of[0], SECONDS)))
    assert math.isnan(lost.value)
    assert lost.quality.startswith("missing: replica 2 was scraped 0 times")


def test_a_cache_that_nobody_asked_has_no_ratio_and_says_so() -> None:
    kpis = kpis_of(of_mode("fast", 0.0, 0.0))

    assert "cache_hit_ratio" not in set(kpis["metric"])
    assert fast(kpis, "cache_lookups").value == 0.0


def test_a_counter_that_comes_with_its_first_event_counts_from_zero() -> None:
    born = {"mode": "fast", "cache_type": "llm", **SERVICE_TARGET}
    kpis = kpis_of(
        up(SERVICE_TARGET, SECONDS),
        scraped("cache_misses_total", born, {at: 0.0 if at < 2 else 4.0 for at in SECONDS}),
        scraped("cache_hits_total", born, dict.fromkeys([at for at in SECONDS if at >= 4], 6.0)),
    )

    assert fast(kpis).value == pytest.approx(6 / 10)


def test_a_mode_that_never_hit_has_zero_hits_where_other_modes_have_hits() -> None:
    labels = {"mode": "fast", "cache_type": "llm"}
    alone = counter("cache_misses_total", 2.0, **labels)

    assert fast(kpis_of(alone, of_mode("balanced", 1.0, 1.0))).value == 0.0


def test_a_service_that_counts_one_side_only_has_no_ratio() -> None:
    found = fast(kpis_of(counter("cache_misses_total", 2.0, mode="fast", cache_type="llm")))

    assert found.quality == "missing: the service has no cache_hits_total"


def test_a_cache_that_stopped_telling_is_missing() -> None:
    found = fast(kpis_of(of_mode("fast", 1.0, 1.0, times=[-2.0, -1.0])))

    assert found.quality.startswith("missing: fewer than two samples")


@pytest.mark.parametrize(
    ("names", "whole"), [(VLLM, "looked_up_tokens_total"), (LLAMA, "uncached_tokens_total")]
)
def test_an_engines_prefix_cache_is_a_row_of_the_same_kpi(
    names: Mapping[str, str], whole: str
) -> None:
    rate = 80.0 if whole == "looked_up_tokens_total" else 60.0
    kpis = kpis_of(
        counter(names["cached_tokens_total"], 20.0, engine="0"),
        counter(names[whole], rate, engine="0"),
        names=names,
    )

    assert prefix(kpis).value == pytest.approx(0.25)  # 20 of 80 tokens
    assert prefix(kpis, "cache_lookups").value == pytest.approx(9 * 80)


def test_a_prefix_cache_that_was_not_scraped_is_missing_not_zero() -> None:
    found = prefix(kpis_of(counter(VLLM["looked_up_tokens_total"], 80.0), names=VLLM))

    assert found.quality == "missing: no sample of vllm:prefix_cache_hits_total in the cell"


def test_counters_that_are_not_of_one_thing_make_no_ratio() -> None:
    found = prefix(
        kpis_of(
            counter(VLLM["cached_tokens_total"], 20.0),
            counter(VLLM["looked_up_tokens_total"], 10.0),
            names=VLLM,
        )
    )

    assert found.quality.startswith("missing: the counters are not of one thing: 180 hits in 90")


def test_an_engines_own_rate_is_told_with_a_flag() -> None:
    raw = scraped(OLD["cached_tokens_ratio"], SERVICE_TARGET, dict.fromkeys(SECONDS, 0.3))
    found = prefix(kpis_of(raw, names=OLD))

    assert found.value == pytest.approx(0.3)
    assert found.quality.startswith("flagged: the engine's own rate")


def test_an_engine_without_prefix_caching_is_missing_not_minus_one() -> None:
    raw = scraped(OLD["cached_tokens_ratio"], SERVICE_TARGET, dict.fromkeys(SECONDS, -1.0))
    found = prefix(kpis_of(raw, names=OLD))

    assert math.isnan(found.value)
    assert "is -1, which is no share" in found.quality


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=15, max_size=15),
    st.integers(0, 14),
)
def test_the_ratio_lies_between_0_and_1_whatever_is_scraped(
    steps: list[tuple[int, int]], restart: int
) -> None:
    counted = {"cache_hits_total": 0, "cache_misses_total": 0}
    values: dict[str, dict[float, float]] = {name: {} for name in counted}
    for place, (at, grown) in enumerate(zip(SECONDS, steps, strict=True)):
        for name, more in zip(counted, grown, strict=True):
            counted[name] = (0 if place == restart else counted[name]) + more
            values[name][at] = counted[name]
    pages = [scraped(name, SERVICE_TARGET, found) for name, found in values.items()]
    (step,) = measured_steps(cell(Step((), samples=[row for page in pages for row in page])), [])
    found = {each.metric: each.estimate.value for each in cache_readings(step)}

    assert ("cache_hit_ratio" in found) == (found["cache_lookups"] > 0)
    assert 0 <= found.get("cache_hit_ratio", 0.0) <= 1


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.text(), max_size=3))
def test_labels_are_read_as_they_were_written(labels: dict[str, str]) -> None:
    assert labels_in(f"series.parquet{label_of(labels)}") == labels
