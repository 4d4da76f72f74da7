"""The table of targets in the configuration: what it may say, and what each mistake is answered with."""

from __future__ import annotations

from typing import Any

import pytest

from escalade.campaign.configuration import parse_campaign
from escalade.campaign.results import targets_of
from unit.campaign.test_models import configuration, refusal

FAST = {"name": "fast", "metric": "latency_seconds", "stat": "p95", "at_most": 0.2, "at_qps": 2}


def with_target(**changes: Any) -> dict[str, Any]:
    given = {**FAST, **changes}
    return configuration(targets=[{key: of for key, of in given.items() if of is not None}])


def test_a_target_is_kept_as_it_was_written() -> None:
    campaign = parse_campaign(with_target(component="chat"), "my.yaml")

    assert campaign.model_dump(mode="json")["targets"] == [
        {**FAST, "component": "chat", "at_qps": 2.0}
    ]
    (target,) = targets_of(campaign)
    assert (target.bound, target.at_least, target.stat) == (0.2, False, "p95")


def test_without_targets_nothing_is_written_down() -> None:
    assert "targets" not in parse_campaign(configuration(), "my.yaml").model_dump()


def test_a_figure_with_one_statistic_needs_none() -> None:
    content = with_target(metric="throughput_qps", stat=None, at_most=None, at_least=1)

    (target,) = targets_of(parse_campaign(content, "my.yaml"))

    assert (target.stat, target.at_least, target.unit) == ("value", True, "1/s")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metric": "latency"}, "which is no KPI. Did you mean 'latency_seconds'?"),
        ({"stat": None}, "needs a stat: latency_seconds has p50, p90, p95, p99, mean, max"),
        ({"stat": "p42"}, "has stat 'p42'; latency_seconds has p50"),
        ({"at_least": 3}, "either at_most or at_least, and 'fast' has both"),
        ({"at_most": None}, "either at_most or at_least, and 'fast' has neither"),
        ({"at_most": float("nan")}, "targets[0].at_most"),
        ({"at_qps": 7}, "has at_qps 7, which is no step of the ladder [2.0]"),
        ({"at_qps": None, "step": 2}, "has step 2, and the ladder has 1"),
        ({"step": 1}, "has at_qps and step; one of them will do"),
        ({"deployment": "b"}, "names the deployment 'b', which is none of: a"),
        ({"workload": "w"}, "names the workload 'w', which is none of: there is no mix"),
        ({"metric": "capacity_qps", "stat": None}, "belongs to a whole cell; leave at_qps"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(changes: dict[str, Any], said: str) -> None:
    message = refusal(with_target(**changes))

    assert said in message
    assert "my.yaml" in message


def test_of_several_steps_one_has_to_be_named() -> None:
    rungs = [{"target_qps": rate, "window_seconds": 10} for rate in (1, 2)]
    content = with_target(at_qps=None) | {"load": {"ladder": rungs}}

    assert "says neither at_qps nor step, and the ladder has 2 steps" in refusal(content)


def test_of_a_search_only_what_a_cell_has_can_be_a_target() -> None:
    slo = {"name": "s", "metric": "latency_seconds", "limit": 1}
    content = with_target(at_qps=None) | {"load": {"search": {"start_qps": 2}}, "slos": [slo]}

    assert "the steps of a search are not known beforehand" in refusal(content)


def test_two_targets_of_one_name_are_refused() -> None:
    assert "targets have to differ in name" in refusal(configuration(targets=[FAST, FAST]))


SPAWN = {"name": "spawn", "benchmark": "process_spawn", "metric": "s", "stat": "p95", "at_most": 1}


def test_a_target_may_look_at_a_benchmark_of_the_campaign() -> None:
    content = configuration(targets=[SPAWN], components=["process_spawn"])

    (target,) = targets_of(parse_campaign(content, "my.yaml"))

    assert (target.benchmark, target.stat, target.bound) == ("process_spawn", "p95", 1.0)


@pytest.mark.parametrize(
    ("changes", "components", "said"),
    [
        ({}, [], "names the benchmark 'process_spawn', which is none of: components has none"),
        ({"stat": "mean"}, ["process_spawn"], "with stat 'mean'; expected one of p50, p90"),
        ({"at_qps": 2}, ["process_spawn"], "looks at a benchmark, which has no at_qps"),
    ],
)
def test_a_target_on_a_benchmark_that_does_not_fit_is_refused(
    changes: dict[str, Any], components: list[str], said: str
) -> None:
    assert said in refusal(configuration(targets=[{**SPAWN, **changes}], components=components))
