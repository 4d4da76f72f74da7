"""Suites and standards in the configuration: what a preset gives, and what wins over it."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from escalade.campaign.configuration import parse_campaign
from escalade.campaign.models import Campaign
from escalade.campaign.presets import SUITES, given_by_suite, with_suite
from escalade.campaign.smoke import reduced
from escalade.campaign.span import Span
from escalade.campaign.standards import shortfalls
from unit.campaign.test_models import configuration, refusal

SPAN = {"span": {"lowest_qps": 2, "highest_qps": 50}}
SLO = {"name": "fast", "metric": "latency_seconds", "stat": "p90", "limit": 1.0}


def suite(name: str, load: dict[str, Any] = SPAN, **changes: Any) -> dict[str, Any]:
    return configuration(suite=name, load=load, **changes)


def rungs(content: dict[str, Any]) -> list[tuple[float | None, float]]:
    campaign = parse_campaign(content, "my.yaml")
    return [(step.target_qps, step.window_seconds) for step in campaign.load.ladder]


def test_quick_measures_three_rungs_once_each_with_a_hundred_requests() -> None:
    campaign = parse_campaign(suite("quick"), "my.yaml")

    assert campaign.repetitions == 1
    assert campaign.load.warmup_seconds == 10
    # √(2 · 50) = 10; 2/s hold 100 requests in 50 s, the others in less than the 30 s of the preset
    assert rungs(suite("quick")) == [(2.0, 50.0), (10.0, 30.0), (50.0, 30.0)]
    assert shortfalls(campaign) == []


def test_full_repeats_seven_times_in_windows_of_ten_minutes() -> None:
    campaign = parse_campaign(suite("full"), "my.yaml")

    assert (campaign.repetitions, len(campaign.load.ladder)) == (7, 8)
    assert {step.window_seconds for step in campaign.load.ladder} == {600.0}
    assert campaign.standards is not None
    assert campaign.standards.when_short == "refuse"


def test_what_the_user_wrote_wins_key_by_key() -> None:
    load = {
        "warmup_seconds": 3,
        "ladder": [{"target_qps": 5, "window_seconds": 7}, {"target_qps": 40}],
    }
    campaign = parse_campaign(
        suite("ci", load, repetitions=2, standards={"least_requests": 200}), "my.yaml"
    )

    assert (campaign.repetitions, campaign.load.warmup_seconds) == (2, 3)
    assert rungs(suite("ci", load)) == [(5.0, 7.0), (40.0, 60.0)]
    assert campaign.standards is not None
    assert campaign.standards.least_requests == 200
    assert [each.words for each in shortfalls(campaign)] == [
        "step 1 plans 35 requests, of 200: a window of 40 s holds them",
        "step 1 warms up for 3 s, of 10: raise warmup_seconds",
        "step 2 warms up for 3 s, of 10: raise warmup_seconds",
    ]


def test_what_it_gave_can_be_listed_and_holds_nothing_that_the_user_wrote() -> None:
    given_keys = given_by_suite(suite("quick", {**SPAN, "warmup_seconds": 3}))

    assert given_keys["load.span.rungs"] == 3
    assert "load.warmup_seconds" not in given_keys
    assert given_by_suite(configuration()) == {}


@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize(
    "load",
    [
        SPAN,
        {"ladder": [{"target_qps": 20}]},
        {"search": {"start_qps": 5}},
        {"arrivals": "closed", "ladder": [{"concurrency": 2}]},
        {"scenario": "offline", "ladder": [{"samples": 2000, "window_seconds": 60}]},
    ],
    ids=["span", "ladder", "search", "closed", "offline"],
)
def test_the_resolved_configuration_is_a_campaign_that_needs_the_preset_no_more(
    name: str, load: dict[str, Any]
) -> None:
    first = parse_campaign(suite(name, load, slos=[SLO]), "my.yaml").model_dump(mode="json")
    written = yaml.safe_load(yaml.safe_dump(first))

    assert given_by_suite(written) == {}
    assert parse_campaign(written, "my.yaml").model_dump(mode="json") == first
    assert "span" not in written["load"]


def test_without_a_suite_and_standards_nothing_is_written_down() -> None:
    written = parse_campaign(configuration(), "my.yaml").model_dump()

    assert not {"suite", "standards", "targets"} & written.keys()


def test_a_span_ascends_from_end_to_end() -> None:
    assert Span(lowest_qps=1, highest_qps=16).rates == [1, 2, 4, 8, 16]


@given(lowest=st.floats(0.01, 100), factor=st.floats(1.5, 1000), count=st.integers(2, 12))
def test_the_rungs_of_a_span_are_a_ladder(lowest: float, factor: float, count: int) -> None:
    span = Span(lowest_qps=lowest, highest_qps=lowest * factor, rungs=count, least_requests=50)

    rates = [rung["target_qps"] for rung in span.ladder]
    assert rates == sorted(set(rates))
    assert (rates[0], rates[-1]) == (lowest, lowest * factor)
    assert all(rung["target_qps"] * rung["window_seconds"] >= 49.999 for rung in span.ladder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"suite": "fast"}, "suite: 'fast' is not accepted; expected 'quick', 'ci' or 'full'"),
        ({"suite": ["quick"]}, "suite: ['quick'] is not accepted"),
        ({"suite": "quick", "standards": 3}, "standards: 3 is not accepted"),
        ({"suite": "quick", "load": 3}, "load: 3 is not accepted"),
        ({"standards": {"least_request": 3}}, "unknown key. Did you mean 'least_requests'?"),
        ({"load": {"span": {"lowest_qps": 5, "highest_qps": 2}}}, "is not above lowest_qps 5"),
        ({"load": {"span": {"lowest_qps": 5}}}, "load.span.highest_qps: is missing"),
        (
            {"load": {"span": {"lowest_qps": 1, "highest_qps": 1.001, "rungs": 9}}},
            "are the same to 3 digits; lower rungs",
        ),
        (
            {"load": {**SPAN, "ladder": [{"target_qps": 1, "window_seconds": 1}]}},
            "span and ladder both say what is measured",
        ),
        ({"load": {"ladder": [{"target_qps": 1}]}}, "load.ladder[0].window_seconds: is missing"),
        (
            {"standards": {"when_short": "refuse"}},
            "the plan falls short: step 1 plans 20 requests, of 1000: a window of 500 s holds them",
        ),
    ],
)
def test_bad_input_gets_one_clear_message(changes: dict[str, Any], said: str) -> None:
    assert said in refusal(configuration(**changes))


def test_a_search_is_held_to_the_requests_of_its_trials() -> None:
    load = {"search": {"start_qps": 5}}
    campaign = parse_campaign(configuration(load=load, slos=[SLO], standards={}), "my.yaml")

    # four floors of p90: 4 · 36 = 144
    assert [each.words for each in shortfalls(campaign)] == [
        (
            "windows of the search hold 144 requests at least, of 1000: raise "
            "load.search.least_requests to 1000"
        ),
        "the search warms up for 5 s, of 10: raise load.warmup_seconds",
    ]


def test_a_smoke_run_is_held_to_nothing_and_can_be_read_again() -> None:
    target = {"name": "t", "metric": "throughput_qps", "at_least": 1, "at_qps": 50}
    small = reduced(parse_campaign(suite("full", targets=[target]), "my.yaml"))
    written = small.model_dump(mode="json")

    assert not {"suite", "standards", "targets"} & written.keys()
    assert parse_campaign(written, "smoke.yaml") == small


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["suite", "load", "ladder", "span", "search", "standards"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_whatever_is_written_is_left_to_the_checks(content: Any) -> None:
    whole = {**content, "suite": "quick"} if isinstance(content, dict) else content

    assert isinstance(with_suite(whole), type(whole))


@pytest.mark.parametrize(("name", "pairs"), [("quick", 2), ("ci", 6), ("full", 8)])
def test_of_pairs_that_change_places_a_preset_gives_an_even_number(name: str, pairs: int) -> None:
    # 1, 5 and 7 repetitions, and one more
    two = [{"name": each, "recipe": "truth_server"} for each in ("a", "b")]
    paired = {"design": "paired", "deployments": two}
    one = {"ladder": [{"target_qps": 20}]}

    assert parse_campaign(suite(name, one, **paired), "my.yaml").repetitions == pairs
    assert given_by_suite(suite(name, one, **paired))["repetitions"] == pairs
    assert "repetitions is 3: write" in refusal(suite(name, one, **paired, repetitions=3))


WINDOW = {"window_seconds": 60}


@pytest.mark.parametrize("name", [None, *SUITES])
@pytest.mark.parametrize(
    "rung",
    [
        {"target_qps": 20},
        {"target_qps": 20, **WINDOW},
        {"concurrency": 2},
        {"samples": 2000},
        {"samples": 2000, **WINDOW},
        {"samples": None, "target_qps": 20},
    ],
    ids=["rate", "rate-window", "closed", "samples", "samples-window", "rate-no-samples"],
)
def test_the_published_schema_asks_for_a_window_just_where_one_is_missing(
    name: str | None, rung: dict[str, Any]
) -> None:
    arrivals = {"concurrency": "closed", "samples": "at_once"}
    level = next(key for key in ("target_qps", "concurrency", "samples") if rung.get(key))
    load = {"arrivals": arrivals.get(level, "poisson"), "ladder": [rung]}
    content = configuration(load=load) if name is None else suite(name, load)
    missing = "window_seconds" not in rung and (name is None or rung.get("samples") is not None)

    said = "load.ladder[0].window_seconds: is missing"
    assert (said in refusal(content)) if missing else parse_campaign(content, "my.yaml")
    assert Draft202012Validator(Campaign.model_json_schema()).is_valid(content) != missing
