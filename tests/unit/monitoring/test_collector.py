"""What is kept of a step: names that exist, raw samples, the whole step and its edges."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from escalade.errors import InputError
from escalade.monitoring import collector
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.collector import NODE_METRICS, empty_series, selectors, window_series

if TYPE_CHECKING:
    from conftest import StandIn

PAGES = sorted((Path(__file__).parents[2] / "data" / "metrics").glob("node_exporter-*.prom"))
START = 1_790_000_000


def step(**times: float | None) -> dict[str, Any]:
    return {"step": 1, "started_at": None, "window_end": None, "drained_at": None} | times


def matches(selector: str, name: str) -> bool:
    found = re.fullmatch(r'\{__name__=~"([^"]*)"(?:,__name__!~"([^"]*)")?\}', selector)
    assert found
    left_out = found[2] is not None and re.fullmatch(found[2], name)
    return re.fullmatch(found[1], name) is not None and not left_out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_node_metric_is_on_the_page_of_each_release(page: Path) -> None:
    families = text_string_to_metric_families(page.read_text(encoding="utf-8"))
    names = {sample.name for family in families for sample in family.samples}

    assert set(NODE_METRICS) <= names


def test_the_pages_of_three_releases_are_stored() -> None:
    assert [page.stem for page in PAGES] == [
        "node_exporter-1.11.1",
        "node_exporter-1.5.0",
        "node_exporter-1.9.0",
    ]


@pytest.mark.parametrize(
    "name",
    [
        "up",
        "node_cpu_seconds_total",
        "escalade_gpu_power_watts",
        "escalade_load_requests_total",
        "escalade_load_request_latency_seconds_count",
        "cache_hits_total",
        "cache_ttl_seconds",
        "llamacpp:requests_processing",
        "vllm:ttft_seconds_bucket",
        "vllm:ttft_seconds_sum",
    ],
)
def test_each_kept_name_is_selected_exactly_once(name: str) -> None:
    recipe = ["llamacpp:requests_processing", "vllm:ttft_seconds", "up", "escalade_requests_total"]

    assert sum(matches(selector, name) for selector in selectors(recipe)) == 1


def test_other_names_are_not_kept() -> None:
    buckets = "escalade_load_request_latency_seconds_bucket"
    for name in (
        "node_load15",
        "cache_hit_rate",
        "own_cache_hits_total",
        buckets,
        "node_cpu_seconds_total_bucket",
        "go_goroutines",
        "upper",
    ):
        assert not any(matches(selector, name) for selector in selectors(["requests"]))


@pytest.mark.parametrize("name", ["", "a b", 'x"} or up{a="', "1st", ".*"])
def test_a_name_of_a_recipe_that_is_no_metric_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="can't name a metric"):
        selectors([name])


def test_a_step_is_kept_with_two_seconds_on_either_side(stand_in: StandIn) -> None:
    points = [(1000 * (START + second), float(second)) for second in range(-10, 30)]
    stand_in.samples = {
        "b": [({"__name__": "b", "x": "1"}, points)],
        "a": [({"__name__": "a"}, points)],
    }
    outcome = step(started_at=START, window_end=START + 8, drained_at=START + 10)

    with PrometheusClient(stand_in.url) as client:
        series = window_series(client, outcome, ["b", "a"])

    inside = [float(second) for second in range(-2, 13)]
    assert series["metric"].tolist() == ["a"] * 15 + ["b"] * 15
    assert series["value"].tolist() == inside * 2


def test_a_step_that_ended_early_is_kept_up_to_now(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector, "_SCRAPE_UNDER_WAY_SECONDS", 0.0)
    now = time.time()
    stand_in.samples = {"a": [({"__name__": "a"}, [(round(1000 * now) - 500, 1.0)])]}
    outcome = step(started_at=now - 1, window_end=now + 1000)

    with PrometheusClient(stand_in.url) as client:
        series = window_series(client, outcome, ["a"], margin_seconds=0.1)

    assert len(series) == 1
    assert float(stand_in.asked[-1][1]["time"]) == pytest.approx(now, abs=5)


def test_a_step_that_was_not_run_has_no_samples(stand_in: StandIn) -> None:
    with PrometheusClient(stand_in.url) as client:
        assert window_series(client, step(), ["a"]).empty
    assert stand_in.asked == []


def test_a_step_without_an_end_is_refused(stand_in: StandIn) -> None:
    with (
        PrometheusClient(stand_in.url) as client,
        pytest.raises(InputError, match="Step 1 began but has no end"),
    ):
        window_series(client, step(started_at=START), ["a"])


def test_the_empty_table_has_the_columns_and_types_of_a_full_one(stand_in: StandIn) -> None:
    stand_in.samples = {"a": [({"__name__": "a"}, [(1000 * START, 1.0)])]}
    outcome = step(started_at=START, drained_at=START + 1)
    with PrometheusClient(stand_in.url) as client:
        full = window_series(client, outcome, ["a"]).assign(step=1).astype({"step": "int16"})

    assert tuple(empty_series().columns) == collector.SERIES_COLUMNS
    assert empty_series().dtypes.to_dict() == full.dtypes.to_dict()


def test_counters_of_energy_are_kept_where_there_are_any() -> None:
    for name in ("node_rapl_package_joules_total", "escalade_gpu_energy_joules_total"):
        assert sum(matches(selector, name) for selector in selectors()) == 1
