"""What clocks that are known to a bound may hide in the gaps between sends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.clocks import farthest_gap_cv
from escalade.analysis.kpis.steps import measured_steps
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.windows import gap_cv
from unit.analysis.builders import GOOD_CLIENT, NODE_TARGET, Request, Step, cell, up

if TYPE_CHECKING:
    from escalade.analysis.measured.cell import CellData

SECONDS = [float(at) for at in range(-2, 13)]
EVEN = [0.1 * number for number in range(100)]


def sent_by(times: list[float], *errors: float | None) -> CellData:
    """Give a cell of one step whose requests nodes send in turn, with these errors of their clocks."""
    count = len(errors)
    nodes = [
        {"node": f"n{number}", "workers": [number], "clock_error_seconds": error}
        for number, error in enumerate(errors)
    ]
    requests = [Request(at, latency=0.05, sent=at) for at in times]
    step = Step(requests, client=GOOD_CLIENT | {"nodes": nodes}, samples=up(NODE_TARGET, SECONDS))
    data = cell(step)
    return replace(data, requests=data.requests.assign(worker=data.requests["index"] % count))


def gate_of(data: CellData) -> dict[str, Any]:
    """Judge the gaps."""
    rows = cell_gates(data, cell_kpis(data))
    return next(row for row in rows if row["gate"] == "gap_cv")


def error_of(data: CellData) -> Any:
    """Give the row of the clocks' error."""
    kpis = cell_kpis(data)
    return kpis[kpis.metric == "client_clock_error_seconds"].iloc[0]


def test_even_gaps_of_two_nodes_may_alternate_by_the_error() -> None:
    (step,) = measured_steps(sent_by(EVEN, 0.0, 0.01), ())

    # 0.11, 0.09, 0.11, …: 0.01 of a mean of 0.1
    assert farthest_gap_cv(step, 0.0) == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize(("error", "outcome"), [(0.002, "pass"), (0.01, "unknown")])
def test_the_gaps_are_judged_as_far_as_the_clocks_allow(error: float, outcome: str) -> None:
    gate = gate_of(sent_by(EVEN, 0.0, error))

    assert gate["outcome"] == outcome
    assert gate["invalidates"]
    assert ("known to 10 ms only" in gate["detail"]) == (outcome == "unknown")


def test_gaps_that_differ_by_any_clock_fail() -> None:
    moved = [at + 0.03 * (number % 2) for number, at in enumerate(EVEN)]
    data = sent_by(moved, 0.0, 0.01)
    planned = data.requests.assign(
        planned_at=data.requests.planned_at - 0.03 * (data.requests["index"] % 2)
    )

    assert gate_of(replace(data, requests=planned))["outcome"] == "fail"


def test_clocks_that_nobody_asked_at_the_end_leave_the_gaps_open() -> None:
    data = sent_by(EVEN, 0.0, None)

    gate = gate_of(data)

    assert gate["outcome"] == "unknown"
    assert "is not known" in gate["detail"]
    assert error_of(data).quality.startswith("missing")


def test_random_gaps_hide_little_of_a_clock_s_error() -> None:
    times = np.sort(np.random.default_rng(3).uniform(0, 10, 400)).tolist()
    (step,) = measured_steps(sent_by(times, 0.0, 0.001), ())
    planned = gap_cv(np.array(times))
    assert planned is not None

    # a constant stream of the same rate would be off by 0.04
    assert 0 < farthest_gap_cv(step, planned) < 0.01


def test_many_nodes_are_tried_in_some_directions_of_their_errors() -> None:
    (step,) = measured_steps(sent_by(EVEN, 0.0, *[0.01] * 9), ())

    assert 0.05 < farthest_gap_cv(step, 0.0) < 0.2
    assert farthest_gap_cv(step, 0.0) == farthest_gap_cv(step, 0.0)  # the draw is seeded


def test_the_largest_error_is_told_and_one_node_has_none() -> None:
    assert error_of(sent_by(EVEN, 0.0, 0.002, 0.001)).value == 0.002
    assert error_of(sent_by(EVEN, 0.0)).value == 0.0
    alone = cell(Step([Request(at, latency=0.05) for at in EVEN], client=GOOD_CLIENT))
    assert error_of(alone).value == 0.0
