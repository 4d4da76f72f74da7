"""Findings: each rule fires when it should, not when it nearly should, and never without a reason."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.analysis.findings import RULES, findings, fired
from escalade.analysis.findings.rule import ADVICE, FINE, KINDS, LIMIT, PROBLEM, UNSEEN
from unit.analysis.campaigns import Made, fine
from unit.analysis.scenario_rows import SCENARIOS_FIRE, SCENARIOS_NEARLY
from unit.analysis.strained import (
    KNEE,
    bounds,
    cached,
    carried,
    collapsing,
    counted,
    died,
    died_at_the_objective,
    disk,
    failing,
    gpu,
    growing,
    hidden,
    idle,
    in_pieces,
    judged,
    remote,
    slots_full,
    slow_alone,
    spread,
    stated,
    swap,
    threads,
)

if TYPE_CHECKING:
    from collections.abc import Callable


PAGE = (Path(__file__).parents[3] / "docs" / "findings.md").read_text(encoding="utf-8")


def told(made: Made) -> list[dict[str, Any]]:
    kpis, cells = made.kpis, made.cells
    return findings(made.judged(kpis, cells), kpis, cells)


def names(rows: list[dict[str, Any]], *kinds: str) -> list[str]:
    return [row["rule"] for row in rows if row["kind"] in kinds]


def firing(made: Made) -> list[str]:
    return [str(row["rule"]) for row in fired(told(made))]


def one(made: Made, rule: str) -> dict[str, Any]:
    return next(row for row in told(made) if row["rule"] == rule)


FAST = '{cache_type="llm",mode="fast"}'
MORE = "p90 1.4 s, 95 % [1.2, 1.7], limit 1.5 s; about 90 more requests would decide"
FIRES: dict[str, Callable[[], Made]] = {
    "service-failed": lambda: died("service_failed"),
    "objective-not-judged": lambda: judged("INVALID", reason="gate late_ratio: late"),
    "missed-as-the-service-died": died_at_the_objective,
    "missed-by-overload": lambda: judged("FAIL", step=KNEE),
    "missed-by-failures": lambda: judged("FAIL").put("error_ratio", 0.12, steps=[3]),
    "missed-by-waiting": lambda: judged("FAIL", value=2.0),
    "missed-by-prefill": lambda: slow_alone(judged("FAIL"), 0.9),
    "missed-by-decode": lambda: slow_alone(judged("FAIL"), 0.1),
    "missed-by-service-time": lambda: slow_alone(judged("FAIL"), 0.5),
    "client-limited": lambda: fine(1).fail("late_ratio", steps=[2], value=0.2),
    "neighbours": lambda: fine(1).fail("neighbours", steps=[2], value=0.4),
    "stolen-cpu-time": lambda: fine(1).fail("steal", steps=[2], value=0.1),
    "counts-disagree": lambda: fine(1).fail("client_server_agreement", steps=[2], value=0.1),
    "scrape-holes": lambda: fine(1).fail("scrape_gap", steps=[2], value=9.0),
    "not-idle-at-start": lambda: fine(1).fail("started_idle", steps=[2], value=3.0),
    "cached-answers": lambda: cached(0.6),
    "warm-up-too-short": lambda: fine(1).fail("warm_up", steps=[1, 2], value=0.2),
    "latency-falls": lambda: fine(1).fail("steadiness", steps=[1, 2], value=0.8),
    "latency-rises": lambda: fine(1).fail("steadiness", steps=[1, 2], value=1.3),
    "littles-law": lambda: fine(1).fail("littles_law", steps=[1, 2], value=0.3),
    "repetitions-differ": lambda: spread(1.5),
    "too-few-requests": lambda: judged("INCONCLUSIVE", reason=MORE),
    "too-few-repetitions": lambda: fine(2),
    "timeouts": lambda: failing(2, "timeout", 20.0),
    "connection-errors": lambda: failing(2, "reset", 20.0),
    "server-errors": lambda: failing(2, "http_5xx", 20.0),
    "refused-requests": lambda: failing(2, "http_4xx", 20.0),
    "broken-answers": lambda: failing(2, "malformed", 20.0),
    "lost-requests": lambda: failing(2, "not_sent", 20.0),
    "fails-by-timeout-under-overload": lambda: failing(KNEE, "timeout", 200.0),
    "memory-grows": lambda: growing(9e4),
    "limited-by-memory": lambda: swap(fine(1), 1e9),
    "limited-by-slots": lambda: slots_full(idle(fine(1))),
    "limited-by-cpu": lambda: fine(1),
    "limited-by-threads": lambda: threads(2),
    "limited-by-gpu": lambda: gpu(idle(fine(1)), 0.97),
    "limited-by-kv-cache": lambda: idle(fine(1)).put(
        "kv_cache_usage_ratio", lambda s: 0.099 * carried(s), "max"
    ),
    "limited-by-network": lambda: remote(idle(fine(1)), 125e6),
    "limited-by-disk": lambda: disk(0.97),
    "limit-unknown": lambda: idle(fine(1)),
    "long-prompts-disturb": lambda: fine(1).put("long_prompt_slowdown_ratio", 2.5, steps=[2]),
    "cache-yields-little": lambda: cached(0.1, shared_prefix={"tokens": 48, "groups": 1}),
    "far-from-bound": lambda: bounds(0.1),
    "beyond-bound": lambda: bounds(1.3),
    "missed-by-too-little": lambda: judged("FAIL", at_least=True, metric="goodput_qps"),
    "no-rung-held": lambda: fine(1, offered=(14.0, 20.0)),
    "collapse": lambda: collapsing(4.0),
    "requests-without-end": lambda: fine(1).fail("drained", steps=[2]),
    "queue-grows": lambda: fine(1),
    "queue-is-hidden": lambda: hidden(200.0),
    "ladder-too-low": lambda: fine(1, offered=(2.0, 5.0, 8.0)),
    "ladder-too-high": lambda: fine(1, offered=(5.0, 14.0, 20.0, 30.0)),
    "ladder-too-coarse": lambda: fine(1, offered=(2.0, 4.0, 14.0)),
    "cache-hits-too-few": lambda: counted(0.42),
    "cuda-memory-in-pieces": lambda: in_pieces(oom=3.0),
    "cuda-memory-too-small": lambda: in_pieces(lacks=2.0),
    **SCENARIOS_FIRE,
}
"""Rule → the smallest campaign in which it has to fire."""


NEARLY: dict[str, Callable[[], Made]] = {
    "service-failed": lambda: died("client_failed"),
    "objective-not-judged": lambda: judged("INCONCLUSIVE"),
    "missed-as-the-service-died": lambda: judged("FAIL"),
    "missed-by-overload": lambda: judged("FAIL", step=4),
    "missed-by-failures": lambda: judged("FAIL").put("error_ratio", 0.05, steps=[3]),
    "missed-by-waiting": lambda: slow_alone(judged("FAIL"), 0.9),
    "missed-by-prefill": lambda: slow_alone(judged("FAIL"), 0.55),
    "missed-by-decode": lambda: slow_alone(judged("FAIL"), 0.45),
    "missed-by-service-time": lambda: slow_alone(judged("FAIL"), 0.61),
    "client-limited": lambda: fine(1).fail("late_ratio", steps=[2], outcome="unknown"),
    "neighbours": lambda: fine(1).fail("neighbours", steps=[2], outcome="unknown"),
    "stolen-cpu-time": lambda: fine(1).put("steal_ratio", 0.04),
    "counts-disagree": lambda: fine(1).fail("client_server_agreement", outcome="unknown"),
    "scrape-holes": lambda: fine(1).fail("scrape_gap", steps=[2], value=2.9, outcome="pass"),
    "not-idle-at-start": lambda: fine(1).fail("started_idle", outcome="unknown"),
    "cached-answers": lambda: cached(0.6, shared_prefix={"tokens": 512, "groups": 1}),
    "warm-up-too-short": lambda: (
        fine(1).fail("warm_up", steps=[1], value=0.2).fail("warm_up", steps=[2, 3], outcome="pass")
    ),
    "latency-falls": lambda: fine(1).fail("steadiness", steps=[1], value=0.8),
    "latency-rises": lambda: fine(1).fail("steadiness", steps=[4, KNEE], value=1.3),
    "littles-law": lambda: fine(1).fail("littles_law", steps=[KNEE], value=0.3),
    "repetitions-differ": lambda: spread(1.5, width=0.3),
    "too-few-requests": lambda: judged("INCONCLUSIVE", reason="but latency was still rising"),
    "too-few-repetitions": lambda: fine(3),
    "timeouts": lambda: failing(2, "timeout", 10.0),
    "connection-errors": lambda: failing(2, "timeout", 20.0),
    "server-errors": lambda: failing(KNEE, "http_5xx", 20.0),
    "refused-requests": lambda: failing(2, "http_5xx", 20.0),
    "broken-answers": lambda: failing(2, "malformed", 9.0),
    "lost-requests": lambda: failing(2, "aborted", 10.0),
    "fails-by-timeout-under-overload": lambda: failing(KNEE, "http_5xx", 200.0),
    "memory-grows": lambda: growing(-1.0),
    "limited-by-memory": lambda: swap(fine(1), 1e8),
    "limited-by-slots": lambda: slots_full(fine(1)),
    "limited-by-cpu": lambda: fine(1, demand=0.17),
    "limited-by-threads": lambda: threads(8),
    "limited-by-gpu": lambda: gpu(idle(fine(1)), 0.85),
    "limited-by-kv-cache": lambda: idle(fine(1)).put("kv_cache_usage_ratio", 0.5, "max"),
    "limited-by-network": lambda: remote(idle(fine(1)), 250e6),
    "limited-by-disk": lambda: disk(0.7),
    "limit-unknown": lambda: fine(1, offered=(2.0, 5.0, 8.0)),
    "long-prompts-disturb": lambda: fine(1).put("long_prompt_slowdown_ratio", 1.55, steps=[2]),
    "cache-yields-little": lambda: cached(0.7, shared_prefix={"tokens": 48, "groups": 1}),
    "far-from-bound": lambda: bounds(0.5),
    "beyond-bound": lambda: bounds(0.99),
    "missed-by-too-little": lambda: judged("FAIL", step=KNEE, at_least=True),
    "no-rung-held": lambda: fine(1, offered=(5.0, 14.0)),
    "collapse": lambda: collapsing(9.9),
    "requests-without-end": lambda: fine(1).fail("drained", steps=[KNEE]),
    "queue-grows": lambda: fine(1, offered=(2.0, 5.0, 8.0)),
    "queue-is-hidden": lambda: hidden(60.0),
    "ladder-too-low": lambda: fine(1, offered=(8.0,)),
    "ladder-too-high": lambda: fine(1, offered=(2.0, 5.0, 14.0, 20.0)),
    "ladder-too-coarse": lambda: fine(1, offered=(2.0, 8.0, 14.0)),
    "cache-hits-too-few": lambda: counted(0.58),  # up to 0.609 with its interval
    "cuda-memory-in-pieces": lambda: in_pieces(retry=5.0, lacks=2.0),
    "cuda-memory-too-small": lambda: in_pieces(oom=3.0, retry=5.0),
    **SCENARIOS_NEARLY,
}
"""Rule → a campaign that nearly makes it fire."""


def test_every_rule_has_a_campaign_in_which_it_fires_and_one_in_which_it_nearly_does() -> None:
    known = [rule.name for rule in RULES]

    assert len(known) == len(set(known))
    assert set(FIRES) == set(NEARLY) == set(known)


@pytest.mark.parametrize("rule", FIRES)
def test_a_rule_fires_when_it_should(rule: str) -> None:
    made = FIRES[rule]()
    row = one(made, rule)

    assert row["kind"] == next(known.kind for known in RULES if known.name == rule)
    assert row["measured"]
    assert row["next"]
    assert row["evidence"] or rule == "missed-as-the-service-died"
    json.dumps(row, allow_nan=False)


@pytest.mark.parametrize("rule", NEARLY)
def test_a_rule_does_not_fire_when_it_nearly_should(rule: str) -> None:
    assert rule not in firing(NEARLY[rule]())


def test_no_rule_fires_on_a_campaign_that_is_fine_but_those_that_name_its_limit() -> None:
    rows = told(fine())

    assert names(rows, PROBLEM, ADVICE) == []
    assert names(rows, LIMIT) == ["limited-by-cpu", "queue-grows"]
    assert len(names(rows, FINE)) > 15


@settings(max_examples=8, deadline=None)
@given(
    capacity=st.floats(1.0, 500.0),
    factor=st.floats(0.5, 0.99),
    share=st.floats(0.91, 1.0),
    amiss=st.tuples(st.floats(0.0, 0.05), st.floats(0.0, 0.01)),
)
def test_no_rule_fires_over_the_range_of_what_is_fine(
    capacity: float, factor: float, share: float, amiss: tuple[float, float]
) -> None:
    steal, errors = amiss
    offered = [capacity * part for part in (0.1, 0.5 * factor, 0.7, 0.95, 1.4)]
    made = fine(3, offered, capacity, demand=2 * share / capacity)
    made.put("steal_ratio", steal).put("error_ratio", errors)
    made.put("failed_requests", 1000 * errors, label='{error="timeout"}', n=1000)

    assert names(told(made), PROBLEM, ADVICE) == []


def test_problems_come_first_and_what_is_fine_last() -> None:
    rows = told(fine(1).fail("neighbours", steps=[2], value=0.4).fail("drained", steps=[1]))

    places = [KINDS.index(row["kind"]) for row in rows]
    assert places == sorted(places)
    assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[0]["rule"] == "neighbours"  # the instrument before the service
    assert rows[1]["rule"] == "requests-without-end"


def test_what_could_not_be_checked_is_not_called_fine() -> None:
    made = fine(1).fail("neighbours", outcome="unknown")

    assert "neighbours" in names(told(made), UNSEEN)


def test_a_finding_names_cells_steps_and_the_numbers_that_it_rests_on() -> None:
    row = one(fine(2).fail("neighbours", steps=[2], runs=[2], value=0.4), "neighbours")

    assert (row["cells"], row["steps"]) == (["demo_rep-2_0badcafe"], [2])
    assert (row["evidence"][0]["kpi"], row["evidence"][0]["value"]) == ("gate neighbours", 0.4)
    assert row["measured"].startswith("1 of 10 steps: as told (step 2, gate neighbours)")


def test_the_option_of_the_recipe_that_sets_a_limit_is_named_with_its_value() -> None:
    row = one(slots_full(idle(fine(1))), "limited-by-slots")

    assert row["next"][0] == "raise the parameter `slots` of the deployment, now 16"


def test_rates_to_try_follow_from_what_was_measured() -> None:
    low = one(fine(1, offered=(2.0, 5.0, 8.0)), "ladder-too-low")
    high = one(fine(1, offered=(14.0, 20.0)), "no-rung-held")
    coarse = one(fine(1, offered=(2.0, 4.0, 14.0)), "ladder-too-coarse")

    assert low["next"][0] == "add rungs at 12, 16 requests/s"  # 1.5 and 2 times 8
    assert high["next"][0] == "add rungs at 3, 6, 9 requests/s"  # of the 10 that it carried
    # 4 and 14 apart by 3.5: 4 × 3.5^(1/3) = 6.07 and 4 × 3.5^(2/3) = 9.22
    assert coarse["next"][0] == "add rungs at 6.1, 9.2 requests/s"


def test_one_failed_gate_in_many_steps_is_chance_and_two_are_not() -> None:
    # a step fails by chance in 0.5 %: of nine steps below 80 % one or more in 4.4 %, two in 0.09 %
    once = fine(3).fail("steadiness", steps=[1], runs=[1], value=1.3)
    twice = fine(3).fail("steadiness", steps=[1], runs=[1, 2], value=1.3)

    assert "latency-rises" not in firing(once)
    assert "latency-rises" in firing(twice)


def test_conversations_are_held_against_what_was_sent_before() -> None:
    made = cached(0.1, conversation={"turns": 3})
    for turn, tokens in (("first turn", 50.0), ("later turns", 100.0)):
        made.put("input_tokens", tokens, "mean", label=f'{{turn="{turn}"}}')
        made.put("cached_token_ratio", 0.1, label=f'{{turn="{turn}"}}')

    row = one(made, "cache-yields-little")

    # half of a later turn's 100 tokens were sent before; half of that is expected at least
    assert row["evidence"][0]["limit"] == pytest.approx(0.25)
    assert "cached-answers" not in firing(made)


def of_turns(made: Made) -> Made:
    """Let first turns have 50 tokens, later ones 100, and nothing be cached."""
    for turn, tokens in (("first turn", 50.0), ("later turns", 100.0)):
        made.put("input_tokens", tokens, "mean", label=f'{{turn="{turn}"}}')
    return made


@pytest.mark.parametrize(
    ("made", "kind", "why"),
    [
        (
            lambda: cached(0.0, shared_prefix={"tokens": 48}).fail("neighbours", value=0.9),
            UNSEEN,
            "no step is valid and below saturation",
        ),
        (lambda: cached(0.0, shared_prefix={"tokens": 9}), FINE, "only 14 % of the input tokens"),
        (
            lambda: cached(0.0, shared_prefix={"tokens": 48}).drop("cached_token_ratio"),
            UNSEEN,
            "neither answers nor counters of the service tell",
        ),
        (
            lambda: cached(0.0, shared_prefix={"tokens": 48}).drop("input_tokens"),
            UNSEEN,
            "how many tokens the prompts had",
        ),
        (
            lambda: cached(0.0, conversation={"turns": 3}),
            UNSEEN,
            "how many tokens the first and the later turns had",
        ),
        (
            lambda: of_turns(cached(0.0, conversation={"turns": 3}).drop("cached_token_ratio")),
            UNSEEN,
            "neither answers nor counters of the service tell",
        ),
    ],
)
def test_why_a_cache_of_prompts_is_not_held_against_anything_is_told_as_it_is(
    made: Callable[[], Made], kind: str, why: str
) -> None:
    row = one(made(), "cache-yields-little")

    assert row["kind"] == kind
    assert why in row["measured"]


def test_conversations_are_held_against_an_engine_s_counters_where_answers_do_not_tell() -> None:
    made = of_turns(cached(0.0, conversation={"turns": 3})).drop("cached_token_ratio")
    row = one(
        made.put("cache_hit_ratio", 0.1, label='{cache_type="prefix"}'), "cache-yields-little"
    )

    # as many first turns of 50 as later ones of 100, of which 50 were sent before: a third of all
    assert row["kind"] == ADVICE
    assert row["evidence"][0]["limit"] == pytest.approx(1 / 6)


@pytest.mark.parametrize(
    ("made", "kind"),
    [
        (lambda: counted(0.42, mode="creative"), UNSEEN),  # no target
        (lambda: counted(0.42, lookups=99), UNSEEN),
        (lambda: counted(0.42).fail("late_ratio", value=0.2), UNSEEN),  # no step is valid
        (lambda: counted(0.42).put("cache_hit_ratio", 0.8, label=FAST, steps=[3]), FINE),
        (lambda: counted(0.9), FINE),
        (lambda: stated(counted(0.42), target=0.4), FINE),
        (lambda: stated(counted(0.42, mode="own"), target=0.5, mode="own"), ADVICE),
    ],
)
def test_a_cache_is_held_against_the_target_of_its_mode_where_it_was_asked_enough(
    made: Callable[[], Made], kind: str
) -> None:
    assert one(made(), "cache-hits-too-few")["kind"] == kind


def test_a_few_lookups_without_an_interval_leave_room_for_chance() -> None:
    # Wilson: 55 of 100 reach up to 64 %, 45 of 100 up to 55 %
    near, far = (counted(share, lookups=100, spread=math.nan) for share in (0.55, 0.45))

    assert "cache-hits-too-few" not in firing(near)
    assert "cache-hits-too-few" in firing(far)


def test_the_ttl_to_try_is_twice_the_one_that_the_service_tells() -> None:
    row = one(stated(counted(0.42), ttl=300.0), "cache-hits-too-few")

    assert row["measured"] == (
        "42 % of the 5000 lookups of mode fast (llm) were hits at step 1, where 60 % are asked for"
    )
    assert row["next"][0] == "double the TTL of mode fast (llm), from 300 s to 600 s"
    assert row["evidence"][0]["limit"] == 0.6


def test_a_longer_ttl_is_not_advised_where_nothing_expired() -> None:
    none = one(counted(0.42).put("cache_expired", 0.0, label=FAST), "cache-hits-too-few")
    some = one(counted(0.42).put("cache_expired", 900.0, label=FAST), "cache-hits-too-few")

    assert "its TTL is not what holds it back" in none["next"][0]
    assert some["next"][0] == "double the TTL of mode fast (llm)"
    assert some["evidence"][0]["words"].endswith("900 entries expired")


def test_the_counters_of_an_engine_tell_of_its_prefix_cache_where_answers_do_not() -> None:
    label = '{cache_type="prefix"}'
    silent = cached(0.6).drop("cached_token_ratio").put("cache_hit_ratio", 0.6, label=label)
    shared = cached(0.1, shared_prefix={"tokens": 48, "groups": 1}).drop("cached_token_ratio")

    row = one(silent, "cached-answers")
    assert (row["kind"], row["evidence"][0]["kpi"]) == (PROBLEM, "cache_hit_ratio")
    assert "cache-hits-too-few" not in [each["rule"] for each in told(silent)]
    assert one(shared, "cache-yields-little")["kind"] == UNSEEN
    little = one(shared.put("cache_hit_ratio", 0.1, label=label), "cache-yields-little")
    assert (little["kind"], little["evidence"][0]["kpi"]) == (ADVICE, "cache_hit_ratio")


def test_memory_that_killed_the_service_is_named() -> None:
    row = one(died("service_failed"), "service-failed")

    assert "SIGKILL" in row["measured"]
    assert "more memory" in row["next"][0]


def test_deployments_are_looked_at_one_by_one() -> None:
    made = fine(1)
    cells, kpis, verdicts = made.cells, made.kpis, made.verdicts
    second = fine(2).cells[1]
    other = replace(second, cell={**second.cell, "deployment": "other"})

    rows = findings(verdicts, kpis, [*cells, other])

    assert {row["deployment"] for row in rows} == {"demo", "other"}


def test_a_campaign_without_any_step_has_findings_too() -> None:
    made = fine(1)
    made.figures, made.gates = {}, {}

    rows = findings({"gates": [], "slos": [], "capacity": []}, made.kpis, made.cells)

    assert [row["kind"] for row in fired(rows)] == [ADVICE]  # one repetition


def test_every_rule_is_in_the_documentation_as_it_is() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (\w+) \| (.*?) \|$", PAGE, flags=re.MULTILINE)

    assert rows == [(rule.name, rule.kind, rule.fires) for rule in RULES]


def test_fragmentation_begins_at_the_lowest_rate_with_events() -> None:
    row = one(in_pieces(oom=2.0, retry=5.0), "cuda-memory-in-pieces")

    # three steps from the third on: of the rates 2, 5, 8, 9.5, 14
    assert row["measured"] == (
        "6 allocations failed for which idle and free CUDA memory would have sufficed, and 15 succeeded "
        "when idle memory had been given back; it begins at 8 requests/s (step 3)"
    )
    assert row["steps"] == [3, 4, 5]
    assert "max_split_size_mb:128" in row["next"][0]


def test_settings_that_the_allocator_has_are_not_recommended_again() -> None:
    made = in_pieces(oom=2.0)
    made.environment["service"]["parameters"]["cuda_alloc_conf"] = "max_split_size_mb:128"

    assert one(made, "cuda-memory-in-pieces")["next"][0] == (
        "other settings of the allocator than `max_split_size_mb:128`, which it has now"
    )


def test_a_service_that_does_not_count_its_allocations_is_told_nothing_of_them() -> None:
    assert not {"cuda-memory-in-pieces", "cuda-memory-too-small"} & {*names(told(fine()), *KINDS)}


def test_counts_that_are_missing_are_not_called_fine() -> None:
    made = fine(1).put("cuda_fragmentation_events", math.nan, label='{kind="oom"}')

    assert one(made, "cuda-memory-in-pieces")["kind"] == UNSEEN


def test_allocations_that_succeeded_in_the_end_are_told_and_no_finding() -> None:
    row = one(in_pieces(retry=5.0), "cuda-memory-in-pieces")

    assert row["kind"] == FINE
    assert row["measured"] == (
        "CUDA memory: no allocation failed for want of memory that was there in pieces; 15 succeeded "
        "when idle memory had been given back"
    )


def test_events_that_a_service_does_not_tell_apart_count() -> None:
    made = fine(1).put("cuda_fragmentation_events", lambda step: 4.0 if step == 4 else 0.0)

    assert one(made, "cuda-memory-in-pieces")["steps"] == [4]
