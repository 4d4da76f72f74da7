"""Values over repetitions at every step, with what would mislead left out."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from escalade.analysis.compare.over_runs import run_rows
from escalade.analysis.kpis.request_kpis import OVER_SATURATED
from escalade.analysis.kpis.table import cell_kpis
from unit.analysis.builders import Request, Step, cell

if TYPE_CHECKING:
    from escalade.analysis.measured.cell import CellData


def runs(*latencies: float, step: Step | None = None) -> list[CellData]:
    """Give a repetition for each latency, of one step with forty requests that all take so long."""
    return [
        cell(
            step or Step([Request(at / 4, latency=each) for at in range(40)], 10.0, 4.0),
            repetition=repetition,
        )
        for repetition, each in enumerate(latencies, start=1)
    ]


def rows_of(cells: list[CellData], gates: list[dict[str, Any]] | None = None) -> pd.DataFrame:
    return pd.DataFrame(run_rows(tables(cells), cells, gates or []))


def tables(cells: list[CellData]) -> pd.DataFrame:
    return pd.concat([cell_kpis(each) for each in cells], ignore_index=True)


def row(rows: pd.DataFrame, metric: str, stat: str) -> dict[str, Any]:
    (found,) = rows[(rows["metric"] == metric) & (rows["stat"] == stat)].to_dict("records")
    return {str(key): value for key, value in found.items()}


def test_the_interval_is_t_on_the_logarithm_of_the_repetitions() -> None:
    found = row(rows_of(runs(0.1, 0.2, 0.4)), "latency_seconds", "p90")

    # geometric mean 0.2; deviation of the logarithms ln 2; t(0.975, 2) = 4.3027
    half = 4.302653 * math.log(2) / math.sqrt(3)
    assert found["value"] == pytest.approx(0.2)
    assert found["ci_low"] == pytest.approx(0.2 * math.exp(-half), rel=1e-5)
    assert found["ci_high"] == pytest.approx(0.2 * math.exp(half), rel=1e-5)
    assert (found["n"], found["repetitions"], found["reason"]) == (3, 3, "")
    assert (found["step"], found["target_qps"], found["unit"]) == (1, 4.0, "s")


def test_two_repetitions_have_no_interval() -> None:
    assert rows_of(runs(0.1, 0.2)).empty


def test_a_repetition_that_is_invalid_is_left_out_and_n_says_so() -> None:
    cells = runs(0.1, 0.2, 0.4, 9.0)
    gate = {"gate": "late_ratio", "detail": "20 % were late", "value": 0.2, "limit": 0.01}
    bad = {"cell": cells[3].name, "step": 1, "outcome": "fail", "invalidates": True, **gate}

    found = row(rows_of(cells, [bad]), "latency_seconds", "p90")

    assert found["value"] == pytest.approx(0.2)
    assert (found["n"], found["repetitions"]) == (3, 4)


def test_failed_requests_in_one_repetition_leave_no_value_over_the_others() -> None:
    broken = Step([Request(at / 4, error="timeout") for at in range(40)], 10.0, 4.0)
    cells = [*runs(0.1, 0.2, 0.4), replace(runs(0.1, step=broken)[0])]
    cells[3] = replace(cells[3], cell={**cells[3].cell, "cell": "demo_rep-4_x", "repetition": 4})

    found = row(rows_of(cells), "latency_seconds", "p90")

    assert math.isnan(found["value"])
    assert found["reason"] == "requests failed, or the service died, in 1 of 4 repetitions"


def test_a_latency_that_grows_with_time_has_no_value_over_repetitions() -> None:
    cells = runs(0.1, 0.2, 0.4)
    kpis = tables(cells)
    grows = (kpis["cell"] == cells[0].name) & kpis["metric"].isin(["latency_seconds"])
    kpis.loc[grows, "quality"] = f"flagged: {OVER_SATURATED}"
    rows = pd.DataFrame(run_rows(kpis, cells, []))

    assert row(rows, "latency_seconds", "p90")["reason"] == "over-saturated in 1 of 3 repetitions"
    throughput = row(rows, "throughput_qps", "value")
    assert throughput["reason"] == ""
    values = kpis[(kpis["metric"] == "throughput_qps") & (kpis["step"] == 1)]["value"]
    assert throughput["value"] == pytest.approx(statistics.geometric_mean(values))


def test_repetitions_of_a_search_have_other_rates_and_no_rows() -> None:
    trials = {"trials": [{"step": 1, "kind": "confirm"}]}
    cells = [replace(each, search=trials) for each in runs(0.1, 0.2, 0.4)]

    assert rows_of(cells).empty
