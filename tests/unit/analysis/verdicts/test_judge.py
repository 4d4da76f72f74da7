"""Verdicts: what it takes to pass, to fail, and to stay undecided."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData, Slo
from escalade.analysis.verdicts.judge import judge
from escalade.analysis.verdicts.outcome import exit_code
from unit.analysis.builders import (
    GOOD_CLIENT,
    NODE_TARGET,
    Queue,
    Request,
    Step,
    cell,
    ladder,
    queue_step,
    up,
)

P90 = Slo("fast", "latency_seconds", "p90", 0.5, at_qps=1.0)
SECONDS = [float(at) for at in range(-2, 13)]


def latencies(values: list[float], seed: int = 1, **step: Any) -> Step:
    """Give a step with these latencies in random order, and all else in order."""
    shuffled = np.random.default_rng(seed).permutation(values)
    gap = 10.0 / len(shuffled)
    requests = [
        Request(gap * at, latency=float(value), sent=gap * at + 0.0001)
        for at, value in enumerate(shuffled)
    ]
    return Step(requests, client=GOOD_CLIENT, samples=up(NODE_TARGET, SECONDS), **step)


def judged(data: CellData | list[CellData], *slos: Slo) -> dict[str, Any]:
    cells = data if isinstance(data, list) else [data]
    kpis = pd.concat([cell_kpis(each, slos) for each in cells], ignore_index=True)
    return judge(kpis, cells, slos)


def one(data: CellData | list[CellData], slo: Slo = P90) -> dict[str, Any]:
    (row,) = judged(data, slo)["slos"]
    return row  # type: ignore[no-any-return]


SPREAD = np.linspace(0.1, 0.3, 100).tolist()


def test_an_interval_below_the_limit_passes() -> None:
    row = one(cell(latencies(SPREAD)))

    assert row["verdict"] == "PASS"
    assert row["ci_high"] < 0.5
    assert row["reason"].startswith("p90 0.28 s, 95 % [")


def test_an_interval_above_the_limit_fails() -> None:
    row = one(cell(latencies([5 * value for value in SPREAD])))

    assert row["verdict"] == "FAIL"
    assert row["ci_low"] > 0.5


def test_an_interval_across_the_limit_says_how_many_more_would_decide() -> None:
    row = one(cell(latencies(SPREAD)), replace(P90, limit=0.285))

    assert row["verdict"] == "INCONCLUSIVE"
    # p90 0.28, upper bound about 0.294: (0.014 / 0.005)² ≈ 8 times the sample
    assert "more requests would decide, a window" in row["reason"]


def test_too_few_requests_say_how_many_are_missing() -> None:
    row = one(cell(latencies(SPREAD[::5])))

    assert row["verdict"] == "INCONCLUSIVE"
    assert row["value"] is None
    assert "not estimable: needs n ≥ 36" in row["reason"]
    assert "about 16 more requests would decide" in row["reason"]


def test_a_value_on_the_limit_is_never_decided_by_more_requests() -> None:
    row = one(cell(latencies([0.49, 0.51] * 50)), replace(P90, stat="mean"))

    assert row["verdict"] == "INCONCLUSIVE"
    assert "no reasonable number of requests decides" in row["reason"]


def test_a_failed_gate_makes_it_invalid_and_is_named() -> None:
    step = replace(latencies(SPREAD), client={**GOOD_CLIENT, "suspended_seconds": 30.0})

    row = one(cell(step))

    assert row["verdict"] == "INVALID"
    assert row["reason"] == (
        "client_limited, gate client_suspended: the client was stopped for 30 s; "
        "raise load.workers, or give the client cores of its own"
    )


def test_a_gate_that_could_not_be_checked_leaves_it_undecided() -> None:
    row = one(cell(replace(latencies(SPREAD), samples=())))

    assert row["verdict"] == "INCONCLUSIVE"
    assert row["reason"].startswith("gate scrape_coverage could not be checked")


def test_an_over_saturated_step_fails_when_even_the_lower_bound_exceeds_the_limit() -> None:
    row = one(cell(queue_step(20.0, 30.0, seed=1)), replace(P90, at_qps=20.0))

    assert row["verdict"] == "FAIL"
    assert "over-saturated" in row["reason"]
    assert row["ci_low"] > 0.5


def test_an_over_saturated_step_never_passes() -> None:
    overloaded = cell(queue_step(20.0, 30.0, seed=1))

    errors = one(overloaded, Slo("errors", "error_ratio", "value", 0.5, at_qps=20.0))
    median = one(overloaded, replace(P90, at_qps=20.0, limit=1e4, stat="p50"))

    assert errors["verdict"] == median["verdict"] == "INCONCLUSIVE"
    assert "a longer window would be worse" in errors["reason"]
    assert "more requests would not make it stationary" in median["reason"]


def drifting(first: float, last: float) -> CellData:
    rng = np.random.default_rng(2)
    requests = [
        Request(
            0.1 * at,
            latency=float((first if at < 50 else last) * rng.uniform(0.9, 1.1)),
            sent=0.1 * at,
        )
        for at in range(100)
    ]
    return cell(Step(requests, client=GOOD_CLIENT, samples=up(NODE_TARGET, SECONDS)))


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [
        (0.1, 0.2, "INCONCLUSIVE"),
        (0.2, 0.1, "INCONCLUSIVE"),  # so steep a fall is worth a handful: no upper end
        (2.0, 1.0, "INCONCLUSIVE"),
        (1.0, 2.0, "FAIL"),
    ],
)
def test_a_trend_never_helps_a_verdict(first: float, last: float, verdict: str) -> None:
    assert one(drifting(first, last), replace(P90, stat="p50"))["verdict"] == verdict


def test_a_limit_finer_than_the_client_can_tell_is_not_passed() -> None:
    step = replace(
        latencies([0.01] * 100),
        client={
            **GOOD_CLIENT,
            "event_loop_lag_seconds": {"p50": 0.005, "p99": 0.006, "max": 0.007},
        },
    )

    row = one(cell(step), replace(P90, limit=0.02))

    assert row["verdict"] == "INCONCLUSIVE"
    assert "ten times the client's resolution" in row["reason"]


def failing(share: float, n: int = 100) -> CellData:
    step = latencies([0.1 + 0.001 * at for at in range(n)])
    requests = list(step.requests)
    for place in np.random.default_rng(3).permutation(n)[: round(share * n)]:
        requests[place] = replace(requests[place], error="http_5xx")
    return cell(replace(step, requests=requests))


def test_many_errors_fail_a_percentile_even_without_a_value() -> None:
    row = one(failing(0.3))

    assert row["verdict"] == "FAIL"
    assert row["value"] is None
    assert "30 % of requests failed" in row["reason"]
    assert "even the lower bound lies among failed requests" in row["reason"]


def test_some_errors_leave_a_percentile_undecided() -> None:
    row = one(failing(0.08))

    assert row["verdict"] == "INCONCLUSIVE"
    assert row["ci_high"] is None
    # 1.96² · 0.09 / 0.02² = 864 in all
    assert "about 770 more requests would decide" in row["reason"]


def test_errors_have_their_own_objective() -> None:
    errors = Slo("errors", "error_ratio", "value", 0.05)

    assert one(failing(0.0), errors)["verdict"] == "PASS"
    assert one(failing(0.3), errors)["verdict"] == "FAIL"
    assert one(failing(0.05), errors)["verdict"] == "INCONCLUSIVE"


def test_a_service_that_dies_in_a_step_fails_it_and_the_rest_is_not_run() -> None:
    data = cell(
        latencies(SPREAD),
        Step(target_qps=2.0, outcome="service_failed", cause="it was killed by SIGKILL"),
        Step(target_qps=4.0, outcome="not_run", cause="step 2 ended with service_failed"),
    )

    rows = judged(data, replace(P90, at_qps=None))["slos"]

    assert [row["verdict"] for row in rows] == ["PASS", "FAIL", "NOT_RUN"]
    assert (
        rows[1]["reason"]
        == "the service failed: it was killed by SIGKILL; what it left unanswered counts as missed"
    )
    assert [row["value"] for row in rows[1:]] == [None, None]


def test_a_load_client_that_dies_makes_its_step_invalid() -> None:
    data = cell(Step(outcome="client_failed", cause="exit code 1"))

    assert one(data)["verdict"] == "INVALID"


def test_an_objective_counts_only_where_it_names_its_step() -> None:
    data = cell(latencies(SPREAD), replace(latencies(SPREAD), target_qps=2.0))

    rows = judged(data, P90, replace(P90, name="every", at_qps=None))["slos"]

    assert [(row["slo"], row["step"], row["counts"]) for row in rows] == [
        ("fast", 1, True),
        ("every", 1, False),
        ("every", 2, False),
    ]


def test_a_cell_without_the_named_step_is_not_run() -> None:
    row = one(cell())

    assert (row["verdict"], row["step"], row["counts"]) == ("NOT_RUN", None, True)


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([], 0),
        ([("PASS", True)], 0),
        ([("PASS", True), ("FAIL", False)], 0),
        ([("PASS", True), ("INCONCLUSIVE", False)], 0),
        ([("PASS", True), ("INCONCLUSIVE", True)], 4),
        ([("INVALID", True)], 4),
        ([("NOT_RUN", True)], 4),
        ([("FAIL", True), ("INCONCLUSIVE", True)], 1),
    ],
)
def test_the_exit_code_follows_what_counts(verdicts: list[tuple[str, bool]], code: int) -> None:
    slos = [{"verdict": verdict, "counts": counts} for verdict, counts in verdicts]

    assert exit_code({"slos": slos}) == code


def repeated(*scales: float) -> list[CellData]:
    return [
        cell(latencies([scale * value for value in SPREAD], seed=place), repetition=place)
        for place, scale in enumerate(scales, start=1)
    ]


def test_fewer_than_three_repetitions_say_this_run_only() -> None:
    assert judged(repeated(1.0, 1.0), P90)["note"] == "this run only"
    assert judged(repeated(1.0, 1.0, 1.0), P90)["note"] is None


def joined(cells: list[CellData], slo: Slo = P90) -> dict[str, Any]:
    rows = judged(cells, slo)["slos"]
    assert not any(row["counts"] for row in rows if row["cell"] is not None)
    (row,) = [row for row in rows if row["cell"] is None]
    assert row["counts"]
    return row  # type: ignore[no-any-return]


def test_three_repetitions_are_judged_by_the_spread_between_them() -> None:
    row = joined(repeated(1.0, 1.05, 1.1))

    assert (row["verdict"], row["n"]) == ("PASS", 3)
    assert row["value"] == pytest.approx(0.28 * (1.0 * 1.05 * 1.1) ** (1 / 3), rel=0.01)


def test_repetitions_that_differ_too_much_say_how_many_more() -> None:
    row = joined(repeated(0.8, 1.2, 1.6))  # 0.22, 0.34, 0.45: each passes on its own

    assert row["verdict"] == "INCONCLUSIVE"
    assert "more repetitions would decide" in row["reason"]


def test_repetitions_that_all_fail_fail() -> None:
    assert joined(repeated(4.0, 5.0, 40.0))["verdict"] == "FAIL"


def test_an_invalid_repetition_leaves_too_few() -> None:
    cells = repeated(1.0, 1.0)
    bad = replace(latencies(SPREAD), client={**GOOD_CLIENT, "suspended_seconds": 30.0})

    row = joined([*cells, cell(bad, repetition=3)])

    assert row["verdict"] == "INCONCLUSIVE"
    assert row["reason"] == "2 of 3 repetitions have a valid value; 1 more are needed"


def test_a_repetition_in_which_the_service_died_fails_the_deployment() -> None:
    dead = cell(Step(outcome="service_failed", cause="exit code 137"), repetition=3)

    row = joined([*repeated(1.0, 1.0), dead])

    assert row["verdict"] == "FAIL"
    assert row["reason"].startswith("in 1 of 3 repetitions the service failed: exit code 137")


def test_error_ratios_of_zero_are_pooled() -> None:
    row = joined(repeated(1.0, 1.0, 1.0), Slo("errors", "error_ratio", "value", 0.02, at_qps=1.0))

    assert row["verdict"] == "PASS"  # 0 of 300: at most 1.3 %
    assert row["ci_high"] == pytest.approx(1.959964**2 / (300 + 1.959964**2), rel=1e-5)


def test_an_over_saturated_repetition_never_helps_the_deployment_to_pass() -> None:
    steps = [queue_step(20.0, 30.0, seed=seed) for seed in (1, 2, 3)]
    cells = [cell(step, repetition=place) for place, step in enumerate(steps, start=1)]

    row = joined(cells, replace(P90, at_qps=20.0, limit=1e5))

    assert row["verdict"] == "INCONCLUSIVE"
    assert "over-saturated" in row["reason"]


@pytest.mark.parametrize(("seconds", "word"), [(10.0, "exploratory"), (600.0, "confirmed")])
def test_short_windows_are_exploratory(seconds: float, word: str) -> None:
    found = judged(cell(Step([Request(0.0)], seconds=seconds)))

    assert found["exploratory"] is (word == "exploratory")


def test_two_deployments_are_judged_apart() -> None:
    cells = [cell(latencies(SPREAD), deployment=name) for name in ("b", "a")]

    found = judged(cells, P90)

    assert [row["deployment"] for row in found["slos"]] == ["b", "a"]
    assert [row["deployment"] for row in found["capacity"]] == ["b", "a"]


def test_verdicts_are_json_and_the_same_each_time() -> None:
    data = [
        ladder([4.0, 14.0], seconds=10.0, repetition=place, queue=Queue()) for place in (1, 2, 3)
    ]

    first, second = (
        json.dumps(judged(data, replace(P90, at_qps=None)), allow_nan=False) for _ in range(2)
    )

    assert first == second
    assert [row["cell"] is None for row in json.loads(first)["capacity"]] == [
        False,
        False,
        False,
        True,
    ]
