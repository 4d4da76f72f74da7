"""Closed loops and samples sent at once: figures by hand, and what is not claimed of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.table import cell_kpis, summary
from escalade.analysis.measured.cell import Slo
from escalade.analysis.verdicts.judge import judge
from unit.analysis.builders import EPOCH, at_once_step, cell, closed_step, value_of

if TYPE_CHECKING:
    from escalade.analysis.measured.cell import CellData

ONE_AFTER_THE_OTHER = [(0.5 * k, 0.4) for k in range(20)]  # 0.1 s in the client each time
SLOS = [Slo("fast", "latency_seconds", "p90", 1.0)]


def outcomes(data: CellData, step: int = 1) -> dict[str, str]:
    rows = cell_gates(data, cell_kpis(data, SLOS), SLOS)
    return {row["gate"]: row["outcome"] for row in rows if row["step"] == step}


def test_latency_counts_from_the_send_and_says_what_it_hides() -> None:
    kpis = cell_kpis(cell(closed_step(1, ONE_AFTER_THE_OTHER, turnaround=0.1)))

    latency = value_of(kpis, "latency_seconds", "p50")
    assert latency["value"] == pytest.approx(0.4)  # not 0.5, from when it was due
    assert latency["quality"] == "flagged: a closed loop hides queueing: 1 in flight"
    assert math.isnan(latency["target_qps"])
    assert value_of(kpis, "concurrency")["value"] == 1
    assert value_of(kpis, "throughput_qps")["value"] == pytest.approx(2.0)  # 20 in 10 s
    assert value_of(kpis, "arrival_rate_qps")["value"] == pytest.approx(2.0)


def test_the_turnaround_is_the_clients_own_share_of_the_loop() -> None:
    data = cell(closed_step(1, ONE_AFTER_THE_OTHER, turnaround=0.1))
    kpis = cell_kpis(data)

    assert value_of(kpis, "turnaround_seconds", "p50")["value"] == pytest.approx(0.1)
    assert value_of(kpis, "turnaround_ratio")["value"] == pytest.approx(0.2)  # 0.1 of 0.5 s
    assert outcomes(data)["turnaround"] == "fail"
    assert (
        outcomes(cell(closed_step(1, ONE_AFTER_THE_OTHER, turnaround=0.01)))["turnaround"] == "pass"
    )


def test_nothing_planned_can_be_missed() -> None:
    data = cell(closed_step(2, ONE_AFTER_THE_OTHER))
    kpis = cell_kpis(data)

    for metric in ("offered_qps", "planned_gap_cv", "late_ratio"):
        row = value_of(kpis, metric)
        assert row["quality"] == "missing: in a closed loop nothing is planned"
    found = outcomes(data)
    for gate in ("late_ratio", "arrival_rate", "gap_cv", "client_backlog", "over_saturation"):
        assert found[gate] == "not applicable"
    assert found["constant_rate"] == "fail"
    assert found["littles_law"] == "pass"  # 0.8 in flight on average


def test_no_capacity_is_fitted_and_the_verdict_names_the_loop() -> None:
    slow = [(2.0 * k, 1.9) for k in range(5)]
    data = cell(closed_step(1, ONE_AFTER_THE_OTHER * 3), closed_step(2, slow * 10))
    found = judge(cell_kpis(data, SLOS), [data], SLOS)

    capacity = found["capacity"][0]
    assert capacity["capacity_qps"] is None
    assert capacity["slo_capacity_qps"] is None
    assert capacity["steps_used"] == []
    assert "closed loop, 1 in flight" in capacity["reason"]
    assert [row["concurrency"] for row in found["slos"]] == [1, 2]
    assert [row["target_qps"] for row in found["slos"]] == [None, None]
    assert not any(row["counts"] for row in found["slos"])


def test_a_query_takes_as_long_as_the_last_of_its_samples() -> None:
    # Two queries of two samples: 0.3 and 0.7 s after the first send of each.
    times = [(0.0, 0.2), (0.1, 0.2), (1.0, 0.7), (1.0, 0.1)]
    kpis = cell_kpis(cell(closed_step(1, times, together=2)))

    assert value_of(kpis, "query_latency_seconds", "mean")["value"] == pytest.approx(0.5)
    assert value_of(kpis, "latency_seconds", "mean")["value"] == pytest.approx(0.3)


def test_a_query_with_a_failed_sample_has_no_end() -> None:
    times = [(0.0, 0.2), (0.1, 0.2), (1.0, 0.7), (1.0, 0.1)]
    data = cell(closed_step(1, times, together=2))
    data.requests.loc[3, "error"] = "http_5xx"
    row = value_of(cell_kpis(data), "query_latency_seconds", "mean")

    assert row["value"] == pytest.approx(0.3)
    assert "50 % of queries had a failed request" in row["quality"]


def test_samples_at_once_are_counted_from_the_first_send_to_the_last_end() -> None:
    data = cell(at_once_step([0.5, 1.0, 1.5, 2.0]))
    kpis = cell_kpis(data)

    assert value_of(kpis, "samples_per_second")["value"] == pytest.approx(2.0)  # 4 in 2 s
    assert value_of(kpis, "samples")["value"] == 4
    assert "time in the pile" in value_of(kpis, "latency_seconds", "mean")["quality"]
    assert value_of(kpis, "offered_qps")["quality"].startswith("missing: all samples")
    found = outcomes(data)
    for gate in ("steadiness", "littles_law", "over_saturation", "arrival_rate", "gap_cv"):
        assert found[gate] == "not applicable"


def test_samples_that_failed_are_not_counted() -> None:
    data = cell(at_once_step([0.5, 1.0, 1.5, 2.0]))
    data.requests.loc[3, "error"] = "http_5xx"
    row = value_of(cell_kpis(data), "samples_per_second")

    assert row["value"] == pytest.approx(2.0)  # 3 in 1.5 s
    assert row["quality"] == "flagged: without the 25 % of requests that failed"


@pytest.mark.parametrize(("early", "outcome"), [(0.0, "pass"), (3.0, "fail")])
def test_a_loop_that_ran_out_of_requests_is_invalid(early: float, outcome: str) -> None:
    end = EPOCH + 5.0 + 10.0
    data = cell(closed_step(1, ONE_AFTER_THE_OTHER, used_up=end - early))

    assert outcomes(data)["enough_requests"] == outcome


def test_a_request_that_was_never_sent_stays_in_the_cohort() -> None:
    data = cell(closed_step(1, ONE_AFTER_THE_OTHER))
    data.requests.loc[19, ["sent_at", "ended_at"]] = math.nan
    data.requests.loc[19, "error"] = "not_sent"

    assert value_of(cell_kpis(data), "error_ratio")["value"] == pytest.approx(1 / 20)


@pytest.mark.parametrize(
    ("step", "column", "value"),
    [(closed_step(3, ONE_AFTER_THE_OTHER), "concurrency", 3), (at_once_step([1.0]), "samples", 1)],
)
def test_the_summary_names_the_load(step: Any, column: str, value: int) -> None:
    table = summary(cell_kpis(cell(step)))

    assert table[column].tolist() == [value]
    assert table["target_qps"].isna().all()


def test_a_step_that_did_not_run_still_names_its_load() -> None:
    load = {"target_qps": None, "arrivals": "closed", "concurrency": 3, "samples_per_query": 1}
    ran = closed_step(3, ONE_AFTER_THE_OTHER)
    lost = type(ran)(outcome="not_run", cause="because", load=load)
    kpis = cell_kpis(cell(ran, lost))

    assert value_of(kpis, "concurrency", step=2)["value"] == 3
    assert "samples_per_second" not in set(kpis["metric"])
