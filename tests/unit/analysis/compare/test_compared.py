"""Two campaigns compared: what decides, what is left out and why, and what it comes to."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from escalade.analysis.capacity.capacity import LOWER_BOUND
from escalade.analysis.capacity.slo_capacity import SloCapacity
from escalade.analysis.compare.compared import Side
from unit.analysis.comparisons import (
    P90,
    PASSED,
    RATE,
    SEVEN,
    Row,
    compared,
    one,
    row_of,
    side,
    times,
)

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("factor", "conclusion", "code"),
    [(1.2, "regression", 1), (1.0, "no regression shown", 0), (0.8, "no regression shown", 0)],
)
def test_the_primary_kpi_decides(factor: float, conclusion: str, code: int) -> None:
    found = compared(side(times(1)), side(times(factor)), "latency_seconds:p90@1")

    assert (found["conclusion"], found["exit_code"]) == (conclusion, code)
    row = row_of(found)
    assert row["role"] == "primary"
    assert row["effect"] == pytest.approx(factor)
    assert (row["baseline"], row["candidate"]) == pytest.approx((1.0, factor))
    assert row["n"] == {"baseline": 7, "candidate": 7}


def test_what_is_exploratory_decides_nothing() -> None:
    found = compared(side(times(1)), side(times(2)), "ready_seconds")
    row = row_of(found)

    assert (row["role"], row["verdict"]) == ("exploratory", "worse")
    assert found["conclusion"] == "undecided"  # the primary KPI is nowhere


def test_a_margin_hides_smaller_changes() -> None:
    before, after = side(times(1)), side(times(1.2))

    assert compared(before, after, "latency_seconds:p90@1", margin=0.25)["exit_code"] == 0


def test_three_against_three_is_undecided_and_says_what_would_do() -> None:
    found = compared(side([1.0, 1.1, 1.2]), side([2.0, 2.1, 2.2]), "latency_seconds:p90@1")

    assert found["exit_code"] == 4
    assert "4 on each side can" in row_of(found)["reason"]
    assert row_of(found)["p_smallest"] == pytest.approx(0.1)


def test_all_primary_tests_share_the_level_over_deployments_too() -> None:
    def both(factor: float) -> Side:
        cells = [
            one(number, {P90: factor * value}, deployment=name)
            for name in ("a", "b")
            for number, value in enumerate(SEVEN[:4], start=1)
        ]
        return Side({"campaign": "two"}, cells)

    found = compared(both(1.0), both(2.0), "latency_seconds:p90@1")

    # Four against four show 0.029 at best, and two tests share the 5 %.
    assert [row["verdict"] for row in found["kpis"]] == ["inconclusive"] * 2
    assert [row["p_holm"] for row in found["kpis"]] == pytest.approx([4 / 70] * 2)


def test_repetitions_that_are_invalid_are_left_out_and_said() -> None:
    failed = {"gate": "late_ratio", "outcome": "fail", "detail": "3 % late", "invalidates": True}
    cells = [
        one(number, {P90: value}, gate=failed if number == 1 else None)
        for number, value in enumerate(SEVEN, start=1)
    ]
    row = row_of(compared(side(times(1)), Side({}, cells), "latency_seconds:p90@1"))

    assert row["n"] == {"baseline": 7, "candidate": 6}
    assert (
        "1 of 7 repetitions of the candidate are left out: INVALID: client_limited" in row["reason"]
    )


def test_steps_that_are_all_invalid_are_not_comparable_and_undecided() -> None:
    unknown = {**PASSED, "outcome": "unknown", "detail": "no samples"}
    found = compared(side(times(1)), side(times(1), gate=unknown), "latency_seconds:p90@1")

    row = row_of(found)
    assert row["verdict"] == "not comparable"
    assert row["reason"] == "candidate: gate late_ratio could not be checked: no samples"
    assert found["exit_code"] == 4


def test_steps_that_are_invalid_on_both_sides_say_why() -> None:
    busy = {**PASSED, "gate": "neighbours", "outcome": "fail", "detail": "55 % of the CPUs"}
    both = side(times(1), gate=busy)
    for name in ("latency_seconds:p90@1", "latency_seconds:p90"):
        row = next(row for row in compared(both, both, name)["kpis"] if row["role"] == "primary")

        assert row["verdict"] == "not comparable"
        assert row["reason"] == (
            "neither side has a value: INVALID: gate neighbours: 55 % of the CPUs"
        )


def test_what_flags_a_step_does_not_leave_it_out() -> None:
    flag = {"gate": "drained", "outcome": "fail", "detail": "no", "invalidates": False}
    found = compared(side(times(1)), side(times(1), gate=flag), "latency_seconds:p90@1")

    assert row_of(found)["n"] == {"baseline": 7, "candidate": 7}


def test_a_percentile_among_failed_requests_is_worse_than_any_other() -> None:
    failing = ["not estimable: 12 % of requests failed"] * 7
    found = compared(side(times(1)), side(failing), "latency_seconds:p90@1")

    assert found["exit_code"] == 1
    row = row_of(found)
    assert (row["effect"], row["candidate"]) == (None, None)  # JSON has no infinity
    assert "candidate, 7 of 7: 12 % of requests failed" in row["reason"]


def test_a_percentile_of_too_few_requests_is_missing() -> None:
    few = ["not estimable: needs n ≥ 36"] * 7
    row = row_of(compared(side(times(1)), side(few), "latency_seconds:p90@1"))

    assert row["verdict"] == "not comparable"
    assert row["reason"] == "candidate: not estimable: needs n ≥ 36"


def test_a_service_that_died_is_no_improvement_by_what_is_left() -> None:
    # Three of seven died; the four that lived are quicker than ever.
    lived = [one(number, {P90: 0.5}) for number in range(1, 5)]
    died = [
        one(number, {P90: "missing: the service failed"}, outcome="service_failed")
        for number in range(5, 8)
    ]
    row = row_of(compared(side(times(1)), Side({}, [*lived, *died]), "latency_seconds:p90@1"))

    assert row["verdict"] != "better"
    assert "candidate, 3 of 7: the service died" in row["reason"]


@pytest.mark.parametrize("row", [P90, RATE, ("goodput_qps", "value", '{slo="fast"}')])
def test_a_service_that_always_died_is_a_regression(row: Row) -> None:
    name = f"{row[0]}[fast]@1" if row[2] else f"{row[0]}:{row[1]}@1"
    died = side(["missing: the service failed"] * 7, (row[0], row[1], ""), outcome="service_failed")

    found = compared(side(times(1), row), died, name)

    assert found["conclusion"] == "regression"


def test_another_workload_or_hardware_is_not_comparable_at_all() -> None:
    node = {"node": {"cpu_model": "Intel"}}, {"node": {"cpu_model": "AMD"}}
    before, after = (side(times(1), environment=each) for each in node)
    found = compared(before, after, "latency_seconds:p90@1")

    assert (found["conclusion"], found["exit_code"]) == ("not comparable", 2)
    assert found["deployments"][0]["why"] == ["another CPU: Intel against AMD"]
    assert [row["verdict"] for row in found["kpis"]] == ["not comparable"]


def test_steps_are_matched_by_what_was_asked_for() -> None:
    before = side(times(1), rates=(1.0, 2.0))
    after = side(times(1), rates=(2.0,))
    found = compared(before, after, "latency_seconds:p90@2")

    assert row_of(found)["step"] == 1  # as the candidate counts
    assert found["deployments"][0]["steps"] == [
        {"in": "baseline", "step": 1, "target_qps": 1.0, "why": "in the baseline alone"}
    ]


def test_a_step_with_another_window_is_another_step() -> None:
    found = compared(side(times(1)), side(times(1), seconds=600.0), "latency_seconds:p90@1")

    whys = [step["why"] for step in found["deployments"][0]["steps"]]
    assert whys == ["another warm-up or window"] * 2
    assert found["conclusion"] == "undecided"
    assert row_of(found)["reason"] == "no step at 1 that both have; both have none"


def test_a_primary_kpi_of_several_steps_has_to_say_which() -> None:
    rates = (1.0, 2.0)
    found = compared(
        side(times(1), rates=rates), side(times(1), rates=rates), "latency_seconds:p90"
    )

    row = next(row for row in found["kpis"] if row["role"] == "primary")
    assert row["reason"] == "several steps have it: say which, as in latency_seconds:p90@1"


def test_a_primary_kpi_with_several_rows_has_to_say_which() -> None:
    row = "goodput_qps", "value", '{slo="fast"}'
    found = compared(side(times(1), row), side(times(1), row), "goodput_qps@1")

    primary = next(row for row in found["kpis"] if row["role"] == "primary")
    assert primary["reason"] == 'it has rows of slo="fast": name one, as in goodput_qps[fast]'


def test_a_deployment_that_vanished_is_undecided_and_a_new_one_is_noted() -> None:
    def named(*names: str) -> Side:
        cells = [
            one(number, {P90: value}, deployment=name)
            for name in names
            for number, value in enumerate(SEVEN, start=1)
        ]
        return Side({}, cells)

    lost = compared(named("a", "b"), named("a", "c"), "latency_seconds:p90@1")
    new = compared(named("a"), named("a", "c"), "latency_seconds:p90@1")

    assert lost["conclusion"] == "undecided"
    assert [told["why"] for told in lost["deployments"]] == [
        [],
        ["it is in the baseline alone"],
        ["it is in the candidate alone"],
    ]
    assert new["conclusion"] == "no regression shown"


def test_the_only_deployments_are_a_pair_whatever_their_names() -> None:
    after = side(times(1.2), deployment="other")
    found = compared(side(times(1)), after, "latency_seconds:p90@1")

    assert found["deployments"][0]["deployment"] == "demo → other"
    assert found["conclusion"] == "regression"


def capacities(values: Sequence[float], top: float = math.inf) -> Side:
    """Give a campaign whose capacities are these, or at least `top` where they are above it."""
    cells = []
    for number, value in enumerate(values, start=1):
        beyond = value > top
        known = (
            {"capacity_qps": None, "ci_low": top, "method": LOWER_BOUND, "reason": "at least"}
            if beyond
            else {"capacity_qps": value, "ci_low": value, "method": "fit", "reason": "fit"}
        )
        slo = SloCapacity(min(value, top), "found", beyond="above" if beyond else "")
        cells.append(one(number, {P90: 1.0}, capacity=known, slo=slo))
    return Side({}, cells)


def test_capacities_are_compared_and_more_is_better() -> None:
    ten = [9.7, 9.8, 9.9, 10.0, 10.1, 10.2, 10.3]
    less = [0.8 * value for value in ten]
    found = compared(capacities(ten), capacities(less), "slo_capacity_qps", "capacity_qps")

    assert [row["verdict"] for row in found["kpis"] if row["role"] == "primary"] == ["worse"] * 2
    assert row_of(found, "capacity_qps")["effect"] == pytest.approx(0.8)


def test_a_higher_ladder_is_no_higher_capacity() -> None:
    # All carry 100, but one ladder ends at 10 and the other at 20.
    low, high = capacities([100.0] * 7, top=10.0), capacities([100.0] * 7, top=20.0)

    for before, after in ((low, high), (high, low)):
        found = compared(before, after, "slo_capacity_qps", "capacity_qps")
        assert found["conclusion"] == "no regression shown"
        assert "a ladder ends at 10 requests/s" in row_of(found, "capacity_qps")["reason"]


def test_a_capacity_below_the_ladder_is_less_than_any_on_it() -> None:
    lost = SloCapacity(math.nan, "missed at 1", beyond="below")
    after = Side({}, [one(number, {P90: 1.0}, slo=lost) for number in range(1, 8)])
    found = compared(capacities([5.0] * 7), after, "slo_capacity_qps")

    assert found["conclusion"] == "regression"
    assert "a ladder begins at 1 requests/s" in row_of(found, "slo_capacity_qps")["reason"]


def test_a_dead_service_has_no_more_capacity_than_it_showed() -> None:
    # Until it died at the top it carried 5; "at least 5" would be no less than the baseline's 8.
    known = {"capacity_qps": None, "ci_low": 5.0, "method": LOWER_BOUND, "reason": "at least"}
    died = [
        one(number, {P90: 1.0}, outcome="service_failed", capacity=known) for number in range(1, 8)
    ]
    found = compared(capacities([8.0] * 7), Side({}, died), "capacity_qps")

    assert found["conclusion"] == "regression"


def test_labels_that_differ_from_run_to_run_do_not_tell_kpis_apart() -> None:
    def gpus(port: int) -> Row:
        return "gpu_power_watts", "mean", f'{{gpu="0",instance="n:{port}",uuid="GPU-{port}"}}'

    before = Side({}, [one(n, {gpus(n): 300.0 + n}) for n in range(1, 8)])
    after = Side({}, [one(n, {gpus(10 + n): 400.0 + n}) for n in range(1, 8)])
    row = row_of(compared(before, after, "ready_seconds"), "gpu_power_watts")

    assert (row["label"], row["n"]["baseline"], row["verdict"]) == ('gpu="0"', 7, "worse")


def test_the_instrument_is_not_compared() -> None:
    lag = "dispatch_lag_seconds", "p50", ""
    found = compared(side(times(1), lag), side(times(2), lag), "ready_seconds")

    assert all(row["metric"] != "dispatch_lag_seconds" for row in found["kpis"])


def test_a_search_has_no_steps_to_compare() -> None:
    def searched(factor: float) -> Side:
        cells = [
            replace(each, cell=replace(each.cell, search={"trials": []}))
            for each in capacities([factor * value for value in SEVEN]).cells
        ]
        return Side({}, cells)

    found = compared(searched(10.0), searched(10.0), "slo_capacity_qps")

    assert {row["metric"] for row in found["kpis"]} == {"capacity_qps", "slo_capacity_qps"}
    assert found["conclusion"] == "no regression shown"
