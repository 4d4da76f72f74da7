"""Loads without a rate, and presets: what they come to, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from escalade.campaign.configuration import parse_campaign, recipes_of
from escalade.campaign.plan import plan_campaign
from escalade.campaign.smoke import reduced
from escalade.errors import InputError

P99 = [{"name": "fast", "metric": "latency_seconds", "stat": "p99", "limit": 1}]
WINDOW = {"window_seconds": 10}


def content(load: dict[str, Any], **others: Any) -> dict[str, Any]:
    deployment = {"name": "a", "recipe": "truth_server"}
    return {"campaign": "small", "deployments": [deployment], "load": load, **others}


def closed(*rungs: dict[str, Any], **load: Any) -> dict[str, Any]:
    return {"arrivals": "closed", "ladder": [{**WINDOW, **rung} for rung in rungs], **load}


@pytest.mark.parametrize(
    ("scenario", "rung", "load", "expected"),
    [
        ("single_stream", {}, {"arrivals": "closed"}, {"concurrency": 1}),
        (
            "multi_stream",
            {},
            {"arrivals": "closed", "samples_per_query": 8},
            {"concurrency": 1},
        ),
        ("server", {"target_qps": 5}, {"arrivals": "poisson"}, {"target_qps": 5}),
        ("offline", {"samples": 9}, {"arrivals": "at_once", "warmup_seconds": 0}, {"samples": 9}),
    ],
)
def test_a_preset_is_written_out_and_can_be_run_again(
    scenario: str, rung: dict[str, Any], load: dict[str, Any], expected: dict[str, Any]
) -> None:
    given = content({"scenario": scenario, "ladder": [{**WINDOW, **rung}]}, slos=P99)
    campaign = parse_campaign(given, "my.yaml")
    resolved = campaign.model_dump(mode="json")

    assert resolved["load"]["scenario"] == scenario
    assert resolved["load"].items() >= load.items()
    assert resolved["load"]["ladder"][0].items() >= expected.items()
    assert parse_campaign(resolved, "again.yaml") == campaign


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (closed({"concurrency": 1, "target_qps": 2}), "this one has target_qps and concurrency"),
        (closed({}), "this one has none of them"),
        (closed({"concurrency": 0}), "0 is not accepted; expected at least 1"),
        (closed({"concurrency": 2}, {"target_qps": 2}), "step 2 has target_qps"),
        (closed({"concurrency": 2}, {"concurrency": 2}), "must ascend, but they are [2, 2]"),
        (closed({"concurrency": 2}, workers=3), "each worker needs one"),
        (closed({"concurrency": 2}, arrivals="poisson"), "write arrivals: closed"),
        (closed({"samples": 2}, arrivals="poisson"), "write arrivals: at_once"),
        (closed({"samples": 2}), "whose rungs have concurrency, but step 1 has samples"),
        (closed({"target_qps": 2}, scenario="single_stream"), "rungs have no target_qps"),
        (closed({"concurrency": 2}, scenario="single_stream"), "fixes concurrency: 1, but a rung"),
        (closed({}, scenario="multi_stream", samples_per_query=4), "fixes samples_per_query: 8"),
        (closed({"target_qps": 2}, scenario="server"), "fixes arrivals: poisson, but load says"),
        (closed({"samples": 2}, arrivals="at_once", warmup_seconds=3), "fixes warmup_seconds: 0"),
        (
            closed({"samples": 2, "warmup_seconds": 3}, arrivals="at_once"),
            "have no warm-up",
        ),
        (closed({"target_qps": 2}, arrivals="poisson", samples_per_query=2), "closed only"),
        (closed({"samples": 2, "max_requests": 3}, arrivals="at_once"), "with concurrency only"),
        (closed({"concurrency": 1}, scenario="offline_stream"), "scenario"),
    ],
)
def test_what_contradicts_itself_is_refused_in_one_sentence(
    load: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError) as refused:
        parse_campaign(content(load), "my.yaml")

    assert said in str(refused.value)
    assert "load" in str(refused.value)


def test_the_server_scenario_needs_its_p99() -> None:
    load = {"scenario": "server", "ladder": [{"target_qps": 5, **WINDOW}]}

    with pytest.raises(InputError, match="add a slo with stat: p99"):
        parse_campaign(content(load), "my.yaml")


def test_no_objective_counts_where_there_is_no_rate() -> None:
    slos = [{**P99[0], "at_qps": 2}]

    with pytest.raises(InputError, match="the service sets the rate; leave at_qps out"):
        parse_campaign(content(closed({"concurrency": 2}), slos=slos), "my.yaml")


@pytest.mark.parametrize(
    ("load", "requests", "words"),
    [
        (closed({"concurrency": 3}), None, "closed loop, 3 in flight"),
        (closed({"samples": 40}, arrivals="at_once"), 40, "40 samples at once"),
        (
            closed({}, scenario="multi_stream"),
            None,
            "closed loop, 1 query of 8 samples in flight",
        ),
    ],
)
def test_the_plan_says_what_it_knows(
    load: dict[str, Any], requests: int | None, words: str
) -> None:
    campaign = parse_campaign(content(load), "my.yaml")
    (cell,) = plan_campaign(campaign, recipes_of(campaign, Path("my.yaml"))).cells

    assert cell.requests == requests
    assert cell.calibration_seconds == 0
    assert [step.words for step in cell.steps] == [words]
    assert cell.expected_seconds > 10


def test_more_requests_are_drawn_than_can_be_sent_unless_it_is_said() -> None:
    load = closed({"concurrency": 3}, {"concurrency": 4, "max_requests": 70}, warmup_seconds=5)
    campaign = parse_campaign(content(load), "my.yaml")
    drawn = [
        campaign.load.parameters_of(step, 5 + step.window_seconds)["max_requests"]
        for step in campaign.load.ladder
    ]

    assert drawn == [2_000 * 15, 70]


@pytest.mark.parametrize(
    ("load", "rung"),
    [
        (closed({"concurrency": 3}, {"concurrency": 6}), {"concurrency": 3, "window_seconds": 5}),
        (closed({"samples": 400}, arrivals="at_once"), {"samples": 50, "window_seconds": 10}),
    ],
)
def test_a_smoke_run_keeps_the_kind_of_load(load: dict[str, Any], rung: dict[str, Any]) -> None:
    small = reduced(parse_campaign(content(load), "my.yaml"))

    assert small.load.arrivals == load["arrivals"]
    assert [step.model_dump(exclude_none=True) for step in small.load.ladder] == [rung]
