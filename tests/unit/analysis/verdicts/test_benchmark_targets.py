"""Targets on component benchmarks: the rule of the objectives on iterations."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from escalade.analysis.scenarios.components import component_rows, missing_row
from escalade.analysis.verdicts.benchmark_targets import benchmark_rows
from escalade.analysis.verdicts.targets import Target

SPAWN = Target("spawn", "kernel", "iteration_seconds", "p95", 0.0005, benchmark="process_spawn")
METRIC = {"name": "iteration_seconds", "unit": "s", "better": "lower"}
RUN = np.random.default_rng(1).permutation(np.linspace(1e-4, 3e-4, 1000))
"""p95 about 0.29 ms."""


def held(target: Target, *runs: Any) -> list[dict[str, Any]]:
    rows = benchmark_rows(target, component_rows("process_spawn", METRIC, list(runs)))
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    return rows


def test_iterations_meet_and_miss_a_ceiling_with_their_own_interval() -> None:
    (met,) = held(SPAWN, RUN)
    (missed,) = held(replace(SPAWN, bound=0.0002), RUN)
    (within,) = held(replace(SPAWN, bound=float(np.quantile(RUN, 0.95))), RUN)

    assert [row["status"] for row in (met, missed, within)] == ["met", "missed", "undecided"]
    assert met["current"] == pytest.approx(0.00029, rel=0.01)
    assert (met["unit"], met["benchmark"], met["repetition"], met["cell"]) == (
        "s",
        "process_spawn",
        1,
        None,
    )


def test_from_three_repetitions_on_there_is_one_row_over_them() -> None:
    (row,) = held(SPAWN, RUN, 1.01 * RUN, 0.99 * RUN)

    assert (row["repetition"], row["n"], row["status"]) == (None, 3, "met")


def test_two_repetitions_have_a_row_each() -> None:
    assert [row["repetition"] for row in held(SPAWN, RUN, RUN)] == [1, 2]


def test_what_is_not_available_is_not_measured_with_its_reason() -> None:
    absent = missing_row("process_spawn", "not available", "there is no container engine")

    (row,) = benchmark_rows(SPAWN, [absent])

    assert (row["status"], row["current"]) == ("not measured", None)
    assert "there is no container engine" in row["reason"]


def test_a_number_that_it_does_not_have_is_answered_with_those_it_has() -> None:
    (row,) = held(replace(SPAWN, metric="latency"), RUN)

    assert row["status"] == "not measured"
    assert "it has iteration_seconds p50, iteration_seconds p90" in row["reason"]


def test_a_benchmark_without_rows_was_not_measured() -> None:
    (row,) = benchmark_rows(SPAWN, [])

    assert row["reason"] == "benchmark process_spawn was not measured"


def test_too_few_iterations_are_undecided() -> None:
    (row,) = held(SPAWN, RUN[:20])

    assert row["status"] == "undecided"
    assert "needs n ≥ 72" in row["reason"]
