"""What a calibration step says of the client, by hand-written logs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from escalade.analysis.gates.calibration import calibrated, calibration_gate, not_calibrated
from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import Slo
from unit.analysis.builders import GOOD_CLIENT, NODE_TARGET, Request, Step, cell, up, value_of

SERVED = 0.010
"""What the null server says that every request took, in s."""
ADDED = 0.001
SLOW = Slo("slow", "latency_seconds", "p90", 1.0)


def calibration(
    *, late: int = 0, by: float = 0.02, cpu: float = 0.1, slos: tuple[Slo, ...] = (), **client: Any
) -> dict[str, Any]:
    """Judge 100 requests, ten a second, of which the first `late` were sent `by` seconds late."""
    requests = [
        Request(
            number / 10,
            latency=SERVED + ADDED,
            sent=number / 10 + (by if number < late else 0.0002),
        )
        for number in range(100)
    ]
    step = Step(requests, target_qps=10.0, client={**GOOD_CLIENT, "cpu_ratio": cpu, **client})
    data = cell(step)
    truth = pd.DataFrame({"index": range(100), "seconds": [SERVED] * 100})
    return {"target_qps": 10.0, **calibrated(data.requests, data.steps[0], truth, slos)}


def outcome_of(found: dict[str, Any], check: str) -> str:
    return next(str(row["outcome"]) for row in found["checks"] if row["gate"] == check)


def test_a_client_that_keeps_up_passes_with_its_ceiling_and_what_it_adds() -> None:
    found = calibration(cpu=0.1)

    assert found["outcome"] == "pass"
    assert found["sent_qps"] == pytest.approx(10.0)
    assert found["ceiling_qps"] == pytest.approx(10.0 * 0.7 / 0.1)
    assert found["added_seconds"]["p50"]["value"] == pytest.approx(ADDED, abs=1e-6)
    assert found["lag_seconds"]["p50"]["value"] == pytest.approx(0.0002, abs=1e-6)
    assert found["lag_seconds"]["p99"]["value"] is None  # 100 requests bound no p99
    json.dumps(found, allow_nan=False)


def test_a_client_that_is_late_fails_and_its_ceiling_is_what_it_sent() -> None:
    found = calibration(late=10)

    assert found["outcome"] == "fail"
    assert outcome_of(found, "late_ratio") == "fail"
    assert "10 % [" in found["detail"]
    assert found["ceiling_qps"] == pytest.approx(found["sent_qps"])


def test_two_late_requests_of_a_hundred_prove_nothing() -> None:
    assert calibration(late=2)["outcome"] == "unknown"  # Wilson: 0.55 to 7 %


def test_lateness_counts_against_the_limits_alone() -> None:
    assert calibration(late=10, by=0.04, slos=(SLOW,))["outcome"] == "pass"  # 5 % of 1 s
    assert calibration(late=10, by=0.06, slos=(SLOW,))["outcome"] == "fail"


@pytest.mark.parametrize(
    ("client", "check"),
    [({"cpu": 0.9}, "client_cpu"), ({"suspended_seconds": 3.0}, "client_suspended")],
)
def test_a_busy_or_stopped_client_fails(client: dict[str, Any], check: str) -> None:
    found = calibration(**client)

    assert found["outcome"] == "fail"
    assert outcome_of(found, check) == "fail"


def test_requests_that_were_never_sent_are_a_backlog_and_late() -> None:
    requests = [
        Request(number / 10, **({} if number < 80 else {"latency": None, "error": "not_sent"}))
        for number in range(100)
    ]
    data = cell(Step(requests, target_qps=10.0, client={**GOOD_CLIENT, "cpu_ratio": 0.5}))
    truth = pd.DataFrame({"index": range(80), "seconds": [SERVED] * 80})

    found = calibrated(data.requests, data.steps[0], truth)

    assert outcome_of(found, "client_backlog") == "fail"
    assert outcome_of(found, "late_ratio") == "fail"
    assert found["failed"] == 20
    assert found["sent_qps"] == pytest.approx(10.0)  # of the eighty that left
    json.dumps(found, allow_nan=False)


def test_answers_that_the_null_server_does_not_know_add_nothing() -> None:
    data = cell(Step([Request(0.1), Request(0.2)], client=GOOD_CLIENT))

    nothing = pd.DataFrame({"index": [], "seconds": []})
    found = calibrated(data.requests, data.steps[0], nothing)

    assert found["added_seconds"]["p50"]["value"] is None
    assert found["ceiling_qps"] is None  # the client did not report its CPU share


def test_a_calibration_that_did_not_run_is_unknown_and_says_why() -> None:
    step = Step([], outcome="client_failed", cause="the load generator ended with exit code 1")
    data = cell(step)

    found = calibrated(data.requests, data.steps[0], pd.DataFrame())

    assert found["outcome"] == "unknown"
    assert "exit code 1" in found["detail"]
    assert calibration_gate(found).outcome == "unknown"


def test_a_cell_shows_its_calibration_in_gates_and_kpis() -> None:
    requests = [Request(at / 10, latency=0.05, sent=at / 10 + 0.0002) for at in range(100)]
    samples = up(NODE_TARGET, [float(at) for at in range(-2, 13)])
    plain = cell(Step(requests, client=GOOD_CLIENT, samples=samples))
    found = calibration(cpu=0.1)
    slow = calibration(cpu=0.1)
    slow["added_seconds"]["p50"]["value"] = 0.006

    kpis = cell_kpis(replace(plain, calibration=found))
    gates = {row["gate"]: row for row in cell_gates(replace(plain, calibration=found), kpis)}
    coarse = cell_kpis(replace(plain, calibration=slow))

    assert value_of(kpis, "calibration_qps", step=0).value == found["target_qps"]
    assert value_of(kpis, "client_ceiling_qps", step=0).value == pytest.approx(70.0)
    added = value_of(kpis, "client_added_seconds", "p50", step=0)
    assert added.value == pytest.approx(found["added_seconds"]["p50"]["value"])
    assert gates["client_calibration"]["outcome"] == "pass"
    assert not gates["client_calibration"]["invalidates"]
    assert value_of(kpis, "latency_seconds", "p50").quality == "ok"  # 50 ms, and 1 ms added
    assert "client's resolution of 0.006 s" in value_of(coarse, "latency_seconds", "p50").quality


def test_a_cell_without_calibration_has_no_rows_of_one() -> None:
    data = cell(Step([Request(0.1), Request(0.2)], client=GOOD_CLIENT))

    kpis = cell_kpis(data)

    assert not kpis.metric.isin(["client_ceiling_qps", "client_added_seconds"]).any()
    assert "client_calibration" not in {row["gate"] for row in cell_gates(data, kpis)}


def test_a_reason_without_figures_reads_as_missing() -> None:
    data = cell(Step([Request(0.1), Request(0.2)], client=GOOD_CLIENT))
    found = {"target_qps": 15.0, **not_calibrated("the null server did not start")}

    kpis = cell_kpis(replace(data, calibration=found))

    assert value_of(kpis, "client_added_seconds", "p50", step=0).quality == (
        "missing: the null server did not start"
    )
