"""What a workload noted: recall, bytes, operations, and figures of one's own."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from escalade.analysis.kpis.table import cell_kpis
from unit.analysis.builders import Request, Step, cell

if TYPE_CHECKING:
    import pandas as pd

    from escalade.analysis.measured.cell import CellData


def noting(data: CellData, **columns: list[float | None]) -> CellData:
    """Give the cell with notes in its request log."""
    notes = {f"note_{name}": np.array(values, float) for name, values in columns.items()}
    return dataclasses.replace(data, requests=data.requests.assign(**notes))


def row(data: CellData, metric: str, stat: str = "mean", label: str = "", step: int = 1) -> Any:
    """Give the one row of a metric and statistic."""
    kpis = cell_kpis(data)
    rows = kpis[(kpis["metric"] == metric) & (kpis["stat"] == stat) & (kpis["step"] == step)]
    rows = rows[rows["source"].str.contains(label, regex=False)]
    assert len(rows) == 1
    return rows.iloc[0]


def metrics(kpis: pd.DataFrame) -> set[str]:
    return set(kpis["metric"])


TEN = [Request(float(at) / 2, latency=0.1) for at in range(10)]


def test_recall_is_a_mean_over_good_answers_and_a_failure_is_no_zero() -> None:
    requests = [*TEN[:9], Request(4.5, latency=0.1, error="reset")]
    found = row(noting(cell(Step(requests)), recall=[1.0] * 6 + [0.5] * 3 + [None]), "recall_at_k")

    assert found["value"] == pytest.approx(7.5 / 9)
    assert found["n"] == 9
    assert found["ci_low"] < 7.5 / 9 < found["ci_high"]
    assert found["quality"] == "flagged: mean of good answers, 10 % of requests failed"


def test_recall_of_a_query_that_comes_again_counts_as_one_query() -> None:
    many = [Request(at / 20, latency=0.1) for at in range(200)]
    recall = [1.0 if place % 20 < 10 else 0.0 for place in range(200)]
    data = cell(Step(many))
    alone = row(noting(data, recall=recall), "recall_at_k")
    queried = row(noting(data, recall=recall, query=[p % 20 for p in range(200)]), "recall_at_k")

    assert queried["value"] == alone["value"] == pytest.approx(0.5)
    assert queried["n_eff"] == 20
    assert queried["ci_method"] == "bootstrap over queries"
    # 20 queries, each wholly found or wholly not: standard error 0.11, and not 0.035
    assert 0.15 < queried["ci_high"] - 0.5 < 0.3


def test_recall_of_few_queries_has_no_interval() -> None:
    found = row(noting(cell(Step(TEN)), recall=[0.5] * 10, query=[1, 2] * 5), "recall_at_k")

    assert found["value"] == 0.5
    assert np.isnan(found["ci_low"])
    assert found["quality"] == "flagged: no interval: 2 different queries, needs 10"


def test_recall_is_missing_with_a_reason_when_every_request_failed() -> None:
    failed = [Request(1.0, latency=0.1, error="refused")]
    found = row(noting(cell(Step(failed)), recall=[None]), "recall_at_k")

    assert np.isnan(found["value"])
    assert found["quality"] == "missing: 100 % of requests failed"


def test_an_answer_that_noted_nothing_is_told() -> None:
    found = row(noting(cell(Step(TEN)), recall=[1.0] * 8 + [None, None]), "recall_at_k")

    assert found["value"] == 1.0
    assert found["quality"] == "flagged: 2 good answers noted none"


def test_bytes_count_when_a_good_answer_ends_inside_the_window() -> None:
    requests = [
        Request(0.0, latency=1.0),
        Request(5.0, latency=1.0),
        Request(6.0, latency=1.0, error="timeout"),
        Request(9.5, latency=1.0),  # ends half a second after the window
    ]
    data = noting(cell(Step(requests)), bytes_out=[1000.0, 0.0, 5000.0, 700.0])

    assert row(data, "sent_bytes_per_second", "value")["value"] == pytest.approx(100.0)
    received = row(data, "received_bytes_per_second", "value")
    assert received["value"] == pytest.approx(20.0)  # two answers of 100 bytes in 10 s
    assert received["n"] == 2


def test_operations_have_latencies_of_their_own() -> None:
    requests = [Request(place / 20, latency=0.1 + place % 2) for place in range(100)]
    put = [float(place % 2) for place in range(100)]
    data = noting(cell(Step(requests)), put=put)

    get = row(data, "operation_latency_seconds", "p50", 'operation="get"')
    assert get["value"] == pytest.approx(0.1)
    assert get["n"] == 50
    assert row(data, "operation_latency_seconds", "p50", "put")["value"] == pytest.approx(1.1)


def test_a_latency_of_an_operation_that_grows_with_time_says_so() -> None:
    growing = [Request(place / 10, latency=0.1 + place / 10) for place in range(100)]
    found = row(
        noting(cell(Step(growing, target_qps=10.0)), put=[0.0] * 100),
        "operation_latency_seconds",
        "p50",
    )

    assert "over-saturated" in found["quality"]


def test_figures_of_ones_own_have_a_row_for_each_name() -> None:
    data = noting(cell(Step(TEN)), hops=[2.0, 4.0] * 5, joules=[1.0] * 10)

    assert row(data, "noted", label='note="hops"')["value"] == 3.0
    assert row(data, "noted", label='note="joules"')["value"] == 1.0


def test_a_log_without_notes_has_no_such_row() -> None:
    found = metrics(cell_kpis(cell(Step(TEN))))

    assert not found & {"recall_at_k", "noted", "sent_bytes_per_second"}


def test_a_step_that_did_not_run_lacks_them_with_the_reason() -> None:
    data = noting(cell(Step(TEN), Step(outcome="not_run", cause="because")), recall=[1.0] * 10)

    assert row(data, "recall_at_k", step=2)["quality"] == "missing: not run: because"
