"""What a verdict rests on beside its limit."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.verdicts.judge import Slo, judge
from escalade.analysis.verdicts.what_if import limit_rows
from unit.report import campaign

SLO = campaign.SLOS[0]
RATES = (1.0, 2.0, 5.0)


@pytest.fixture(scope="module")
def measured() -> Any:
    """Give KPIs, cells and gates of three repetitions."""
    data = campaign.report_data(repetitions=3, rates=RATES)
    return data.kpis, data.cells, data.verdicts["gates"]


def test_every_step_of_every_repetition_is_there_and_the_repetitions_together(
    measured: Any,
) -> None:
    rows = limit_rows(*measured, [SLO])

    assert [(row["cell"] is None, row["target_qps"]) for row in rows] == [
        (joined, rate) for joined in (False, False, False, True) for rate in RATES
    ]


def test_what_was_judged_has_the_same_numbers(measured: Any) -> None:
    kpis, cells, gates = measured
    rows = {(row["cell"], row["step"]): row for row in limit_rows(kpis, cells, gates, [SLO])}
    judged = judge(kpis, cells, [SLO])["slos"]

    assert judged
    for verdict in judged:
        row = rows[verdict["cell"], verdict["step"]]
        for column in ("value", "ci_low", "ci_high", "n"):
            assert row[column] == verdict[column]


def test_an_over_saturated_step_can_pass_under_no_limit(measured: Any) -> None:
    last = [row for row in limit_rows(*measured, [SLO]) if row["target_qps"] == RATES[-1]]

    assert [row["no_pass"] for row in last] == [
        "the step is over-saturated: a longer window would be worse"
    ] * 4


def test_a_step_whose_gate_failed_stays_invalid(measured: Any) -> None:
    kpis, cells, gates = measured
    bad = [
        {**gate, "outcome": "fail", "invalidates": True, "detail": "too late"}
        if (gate["cell"], gate["step"], gate["gate"]) == (cells[0].name, 1, "late_ratio")
        else gate
        for gate in gates
    ]

    rows = limit_rows(kpis, cells, bad, [SLO])
    mine = [row for row in rows if row["step"] == 1]

    assert mine[0]["fixed"] == "INVALID"
    assert "late_ratio" in mine[0]["reason"]
    assert [row.get("fixed") for row in mine[1:3]] == [None, None]
    # two of three repetitions are left, one more is needed
    assert (mine[3]["fixed"], mine[3]["reason"]) == (
        "INCONCLUSIVE",
        "2 of 3 repetitions have a valid value",
    )


def test_no_limit_below_ten_times_the_clients_resolution_can_be_passed(measured: Any) -> None:
    kpis, cells, gates = measured
    resolution = kpis[kpis["metric"] == "client_resolution_seconds"].set_index(["cell", "step"])
    row = limit_rows(kpis, cells, gates, [SLO])[0]

    known = float(resolution.loc[row["cell"], row["step"]]["value"])
    assert math.isfinite(known)
    assert row["least_limit"] == pytest.approx(10 * known)


def test_an_objective_on_a_rate_has_the_steps_that_its_limit_leaves_out(measured: Any) -> None:
    kpis, cells, gates = measured
    slo = Slo("enough", "throughput_qps", "value", 2.0, at_least=True)

    rows = limit_rows(kpis, cells, gates, [slo])

    assert {row["target_qps"] for row in rows} == set(RATES)
    judged = judge(kpis, cells, [slo])["slos"]
    assert {row["target_qps"] for row in judged} == {2.0, 5.0}


def test_a_search_has_no_rows_over_repetitions(measured: Any) -> None:
    kpis, cells, gates = measured
    searched = [replace(cell, search={"slos": [SLO.name], "trials": []}) for cell in cells]

    assert None not in {row["cell"] for row in limit_rows(kpis, searched, gates, [SLO])}


def test_a_failed_cell_did_not_run_under_any_limit() -> None:
    cell = campaign.without_results(campaign.simulated_cell(rates=RATES), "not ready", [])
    kpis = cell_kpis(cell, [SLO])
    gates = judge(kpis, [cell], [SLO])["gates"]

    assert {row["fixed"] for row in limit_rows(kpis, [cell], gates, [SLO])} == {"NOT_RUN"}
