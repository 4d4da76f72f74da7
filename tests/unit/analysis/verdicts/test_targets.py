"""The table of targets: met, missed, undecided and not measured, by the rule of the objectives."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.verdicts.judge import judge
from escalade.analysis.verdicts.targets import Target, target_table
from unit.analysis.builders import (
    GOOD_CLIENT,
    NODE_TARGET,
    Request,
    Step,
    cell,
    ladder,
    up,
)

if TYPE_CHECKING:
    from escalade.analysis.measured.cell import CellData

P90 = Target("fast", "chat", "latency_seconds", "p90", 0.5, at_qps=1.0)
SPREAD = np.linspace(0.1, 0.3, 100)
"""p90 by type 7: place 0.9 · 99 = 89.1, so 0.1 + 89.1 / 99 · 0.2 = 0.28 s."""


def step(values: Any = SPREAD, **changes: Any) -> Step:
    """Give a step with these latencies in random order, and all else in order."""
    shuffled = np.random.default_rng(1).permutation(values)
    gap = 10.0 / len(shuffled)
    requests = [
        Request(gap * at, latency=float(value), sent=gap * at + 0.0001)
        for at, value in enumerate(shuffled)
    ]
    times = [float(at) for at in range(-2, 13)]
    return Step(requests, client=GOOD_CLIENT, samples=up(NODE_TARGET, times), **changes)


def table(cells: CellData | list[CellData], *targets: Target) -> list[dict[str, Any]]:
    """Analyse cells, and give the table."""
    cells = cells if isinstance(cells, list) else [cells]
    kpis = pd.concat([cell_kpis(each) for each in cells], ignore_index=True)
    return target_table(targets, cells, kpis, judge(kpis, cells, ()))


def one(cells: CellData | list[CellData], target: Target = P90) -> dict[str, Any]:
    (row,) = table(cells, target)
    return row


def test_an_interval_below_a_ceiling_meets_it() -> None:
    row = one(cell(step()))

    assert row["status"] == "met"
    assert row["current"] == pytest.approx(0.28)
    assert row["ci_low"] < 0.28 < row["ci_high"] < 0.5
    assert (row["component"], row["unit"], row["direction"]) == ("chat", "s", "at most")
    assert row["reason"].startswith("p90 0.28 s, 95 % [")
    assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_a_ceiling_below_the_interval_is_missed_and_one_within_it_undecided() -> None:
    assert one(cell(step()), replace(P90, bound=0.2))["status"] == "missed"
    within = one(cell(step()), replace(P90, bound=0.285))

    assert within["status"] == "undecided"
    assert "within the interval" in within["reason"]


def test_a_floor_is_met_from_above_and_missed_from_below() -> None:
    # 10 answers/s in 10 s: Garwood's bounds of 100 are 81.4 and 121.6, so 8.14/s to 12.16/s;
    # two answers or three end after the window
    floor = Target("rate", "", "throughput_qps", "value", 7.0, at_least=True, step=1)

    assert one(cell(step()), floor)["status"] == "met"
    assert one(cell(step()), replace(floor, bound=10.0))["status"] == "undecided"
    assert one(cell(step()), replace(floor, bound=13.0))["status"] == "missed"


def test_a_failed_gate_leaves_it_undecided_and_is_named() -> None:
    stopped = replace(step(), client={**GOOD_CLIENT, "suspended_seconds": 30.0})

    row = one(cell(stopped))

    assert row["status"] == "undecided"
    assert "gate client_suspended" in row["reason"]


def test_a_step_that_did_not_run_is_not_measured() -> None:
    row = one(cell(Step(outcome="not_run", cause="the service died")))

    assert (row["status"], row["current"]) == ("not measured", None)
    assert "the service died" in row["reason"]


def test_a_rate_that_the_cell_lacks_is_not_measured() -> None:
    row = one(cell(step()), replace(P90, at_qps=3.0))

    assert row["status"] == "not measured"
    assert row["reason"] == "the cell has no step at 3 requests/s"


def test_a_missing_figure_is_not_measured_with_its_reason() -> None:
    row = one(cell(step()), Target("gpu", "", "gpu_utilization_ratio", "mean", 0.9, at_least=True))

    assert row["status"] == "not measured"
    assert "no GPU" in row["reason"]


def test_a_figure_without_interval_is_undecided_in_one_run() -> None:
    row = one(cell(step()), Target("depth", "", "client_cpu_ratio", "value", 100.0))

    assert row["status"] == "undecided"
    assert "3 repetitions or more give one" in row["reason"]


def test_over_repetitions_a_figure_without_interval_gets_that_between_runs() -> None:
    cells = [ladder([4.0], seconds=30.0, repetition=number) for number in (1, 2, 3)]

    row = one(cells, Target("depth", "", "offered_load_erlangs", "value", 100.0))

    # M/D/1 at 40 %: 0.4 + 0.4² / (2 · 0.6) = 0.53 in the system on average
    assert (row["status"], row["cell"], row["n"]) == ("met", None, 3)
    assert 0.3 < row["current"] < 0.8
    assert row["ci_low"] < row["current"] < row["ci_high"]


def test_with_two_repetitions_each_has_a_row_of_its_own() -> None:
    cells = [ladder([4.0], seconds=30.0, repetition=number) for number in (1, 2)]

    rows = table(cells, Target("fast", "", "latency_seconds", "p90", 5.0, at_qps=4.0))

    assert [row["cell"] for row in rows] == [each.name for each in cells]


def test_a_deployment_of_its_own_is_the_only_one_looked_at() -> None:
    cells = [cell(step(), deployment="a"), cell(step(), deployment="b")]

    (row,) = table(cells, replace(P90, deployment="b"))

    assert row["deployment"] == "b"


def test_a_capacity_that_was_not_reached_meets_a_floor_below_what_was_seen() -> None:
    cells = ladder([4.0, 6.0], seconds=60.0)  # of 10/s: never saturated
    floor = Target("carries", "", "capacity_qps", "value", 4.0, at_least=True)

    low, high = one(cells, floor), one(cells, replace(floor, bound=50.0))

    assert (low["status"], low["current"]) == ("met", None)
    assert high["status"] == "undecided"


def test_an_over_saturated_step_never_meets_a_ceiling() -> None:
    row = one(
        ladder([20.0], seconds=30.0), Target("sound", "", "error_ratio", "value", 0.5, step=1)
    )

    assert row["status"] == "undecided"
    assert "over-saturated" in row["reason"]


@given(
    low=st.floats(-1e6, 1e6),
    width=st.floats(0, 1e6),
    bound=st.floats(-1e6, 1e6),
    at_least=st.booleans(),
)
def test_no_interval_both_holds_and_fails(
    low: float, width: float, bound: float, *, at_least: bool
) -> None:
    target = replace(P90, bound=bound, at_least=at_least)
    high = low + width

    assert not (target.holds(low, high) and target.fails(low, high))
    if low < bound < high:
        assert not target.holds(low, high)
        assert not target.fails(low, high)
