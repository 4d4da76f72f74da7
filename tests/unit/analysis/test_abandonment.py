"""Abandoned requests are neither errors nor successes."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from escalade.analysis.capacity.capacity import rungs
from escalade.analysis.kpis.agreement import agreement_of
from escalade.analysis.kpis.steps import measured_steps
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData, Slo
from unit.analysis.builders import AGREEMENT, SERVICE_TARGET, Request, Step, cell

SLO = Slo("fast", "latency_seconds", "p50", 1.5)
# 10 s: six good answers, two that clients left, one that was to be left and ended first, one
# that was to be left and failed.
REQUESTS = [
    *(Request(planned=float(k), latency=1.0, chunks=(0.5, 1.0)) for k in range(6)),
    *(Request(planned=float(k), latency=0.6, chunks=(0.5, 0.6), error="abandoned") for k in (6, 7)),
    Request(planned=8.0, latency=0.1, chunks=(0.05, 0.1)),
    Request(planned=9.0, latency=0.2, error="http_5xx"),
]
TOTAL = ("service_tokens_total", SERVICE_TARGET)


def abandoned_cell(*samples: float) -> CellData:
    """Give a cell of the requests above; the server's count of tokens before and after."""
    counted = [(*TOTAL, at, value) for at, value in zip((-6.0, 12.0), samples, strict=False)]
    data = cell(Step(REQUESTS, samples=counted), agreement=AGREEMENT)
    data.requests["leaving"] = [False] * 6 + [True] * 4
    return data


def value(kpis: pd.DataFrame, metric: str, stat: str = "value") -> float:
    (row,) = kpis[(kpis["metric"] == metric) & (kpis["stat"] == stat)]["value"]
    return float(row)


def test_what_clients_leave_counts_apart() -> None:
    kpis = cell_kpis(abandoned_cell(), [SLO])

    assert value(kpis, "abandoned_ratio") == pytest.approx(2 / 10)
    assert value(kpis, "offered_qps") == pytest.approx(1.0)
    assert value(kpis, "error_ratio") == pytest.approx(1 / 7)  # the failure, of what was awaited
    assert value(kpis, "goodput_qps") == pytest.approx(6 / 10)
    assert value(kpis, "throughput_qps") == pytest.approx(7 / 10)  # whole answers
    # Seven values, six of 1.0 and an infinite one: the answer of 0.1 s was to be left.
    assert value(kpis, "latency_seconds", "p50") == pytest.approx(1.0)
    assert value(kpis, "latency_seconds", "max") == pytest.approx(1.0)
    assert value(kpis, "offered_load_erlangs") == pytest.approx((6 * 1.0 + 2 * 0.6 + 0.1) / 9)
    assert value(kpis, "output_tokens_per_second") == pytest.approx(18 / 10)  # what arrived


def test_a_workload_that_nobody_leaves_has_no_such_row() -> None:
    data = cell(Step(REQUESTS[:6]))
    before = cell_kpis(data, [SLO])
    data.requests["leaving"] = None

    assert "abandoned_ratio" not in set(before["metric"])
    pd.testing.assert_frame_equal(before, cell_kpis(data, [SLO]))


def test_the_capacity_counts_the_requests_that_an_answer_stands_for() -> None:
    kpis = cell_kpis(abandoned_cell(), [SLO])

    (rung,) = rungs(kpis, [])
    assert rung.throughput == pytest.approx(0.7 / 0.8)
    assert rung.offered == pytest.approx(1.0)


def test_agreement_leaves_open_what_the_server_counted_of_abandoned_requests() -> None:
    # Clients had 14 tokens of whole answers and 4 of what they left; one request failed.
    (step,) = measured_steps(abandoned_cell(0.0, 18.0), [])
    found = agreement_of(step)

    assert found.estimate.value == pytest.approx(18 / 18)
    assert found.estimate.low == pytest.approx(14 / 18)
    assert found.estimate.high == pytest.approx(20 / 18)  # three more answers of two tokens
    assert found.outcome == "unknown"
    assert "2 abandoned requests, with 4 output_tokens up to then" in found.detail
    assert "1 failed requests" in found.detail


def test_agreement_still_finds_tokens_that_nobody_can_have_had() -> None:
    (step,) = measured_steps(abandoned_cell(0.0, 30.0), [])

    assert agreement_of(step).outcome == "fail"
    assert not math.isnan(agreement_of(step).estimate.value)
