"""Gates on the state of service and machine: saturation, warm-up, drift, Little's law, steal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from escalade.analysis.measured.cell import Slo
from unit.analysis.builders import GOOD_CLIENT, Queue, Request, cell, queue_step
from unit.analysis.gated import GOOD, gates_of, good_step


@pytest.mark.parametrize(("ratio", "outcome"), [(0.05, "pass"), (0.06, "fail"), (None, "unknown")])
def test_steal_flags_above_five_percent(ratio: float | None, outcome: str) -> None:
    gate = gates_of(cell(good_step(client={**GOOD_CLIENT, "steal_ratio": ratio})))["steal"]

    assert (gate["outcome"], gate["invalidates"]) == (outcome, False)


@pytest.mark.parametrize(("rate", "outcome"), [(5.0, "pass"), (8.0, "pass"), (13.0, "fail")])
def test_over_saturation_is_seen_and_only_flags(rate: float, outcome: str) -> None:
    gate = gates_of(cell(queue_step(rate, 40.0, seed=4, queue=Queue(capacity=10.0))))[
        "over_saturation"
    ]

    assert (gate["outcome"], gate["invalidates"]) == (outcome, False)
    assert gate["limit"] == 0.97


def test_the_backlog_grows_by_what_is_offered_beyond_the_capacity() -> None:
    # offered 13, served 10: of 13 requests a second 3 pile up, 3 / 13 = 23 % of the rate
    growing = gates_of(cell(queue_step(13.0, 40.0, seed=4)))["backlog_slope"]
    level = gates_of(cell(queue_step(5.0, 40.0, seed=4)))["backlog_slope"]

    assert (growing["outcome"], growing["invalidates"]) == ("fail", False)
    assert growing["value"] == pytest.approx(3 / 13, abs=0.05)
    assert growing["limit"] == pytest.approx(0.03)
    assert level["outcome"] == "pass"


def test_a_start_three_times_as_slow_says_that_the_warm_up_was_too_short() -> None:
    # the first 20 of 100 take 150 ms, the rest 50 ms: the mean is 70 ms, without them 50 ms
    cold = [
        replace(each, latency=(0.15 if place < 20 else 0.05) + 0.0001 * (place % 7))
        for place, each in enumerate(GOOD)
    ]

    gate = gates_of(cell(good_step(cold)))["warm_up"]

    assert (gate["outcome"], gate["invalidates"]) == ("fail", False)
    assert gate["value"] == pytest.approx(0.4, abs=0.01)
    assert "cut off the first 20 % of the answers" in gate["detail"]
    assert gates_of(cell(good_step(GOOD[:99])))["warm_up"]["outcome"] == "unknown"


def test_a_service_that_sheds_load_is_not_over_saturated() -> None:
    shed = [
        replace(each, error="http_5xx" if place % 3 == 0 else None)
        for place, each in enumerate(GOOD)
    ]

    assert gates_of(cell(good_step(shed)))["over_saturation"]["outcome"] == "pass"


def test_the_sample_floor_is_that_of_the_strictest_judged_percentile() -> None:
    data = cell(good_step())

    assert gates_of(data)["sample_floor"]["limit"] == 36
    judged = gates_of(
        data, Slo("a", "latency_seconds", "p50", 1.0), Slo("b", "ttft_seconds", "p99", 1.0)
    )
    assert judged["sample_floor"]["limit"] == 368
    assert judged["sample_floor"]["outcome"] == "fail"
    assert (
        judged["sample_floor"]["detail"] == "100 requests suffice for p50, p90, p95; p99 needs 368"
    )


@pytest.mark.parametrize(("last", "outcome"), [(0.05, "pass"), (0.2, "fail")])
def test_latency_that_doubles_over_the_window_drifts(last: float, outcome: str) -> None:
    drifting = [
        replace(each, latency=0.05 + (last - 0.05) * each.planned / 10 + 0.001 * (place % 3))
        for place, each in enumerate(GOOD)
    ]

    gate = gates_of(cell(good_step(drifting)))["steadiness"]

    assert (gate["outcome"], gate["invalidates"]) == (outcome, False)
    if outcome == "fail":
        assert gate["value"] > 1.5


def test_drift_needs_answers_in_both_halves() -> None:
    early = [Request(0.1 * at, latency=0.05) for at in range(40)]

    assert gates_of(cell(good_step(early)))["steadiness"]["outcome"] == "unknown"


def test_littles_law_holds_in_a_steady_step_and_not_when_answers_pile_up() -> None:
    steady = gates_of(cell(queue_step(5.0, 40.0, seed=4)))["littles_law"]
    piling = gates_of(cell(queue_step(20.0, 40.0, seed=4)))["littles_law"]

    assert steady["outcome"] == "pass"
    assert piling["outcome"] == "fail"


def test_a_window_too_short_for_littles_law_is_unknown() -> None:
    slow = [Request(float(at), latency=9.0) for at in range(10)]

    gate = gates_of(cell(good_step(slow)))["littles_law"]

    assert gate["outcome"] == "unknown"
    assert gate["detail"].endswith("too short to tell")
