"""What a search finds, on services whose capacity and SLO capacity are known, in virtual time."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

import pytest

from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData
from escalade.analysis.verdicts.judge import judge
from escalade.analysis.verdicts.trial import judge_trial
from escalade.load.schedule import StepPlan, draw_schedule
from escalade.load.search import Ask, Done, Settings, Trial, next_step
from escalade.load.virtual import measure
from escalade.monitoring.collector import empty_series
from truths import Truth, truths

if TYPE_CHECKING:
    from collections.abc import Sequence

SEARCH = Settings(
    start_qps=10,
    lowest_qps=1,
    highest_qps=math.inf,
    factor=2,
    resolution=0.05,
    warmup_seconds=5,
    window_seconds=30,
    least_requests=288,
    confirmation_seconds=120,
    budget_seconds=720,
    budget_trials=20,
)
"""Twelve minutes of load."""
SEEDS = range(5)
AWAKE = {"suspended_seconds": 0.0, "cpu_ratio": 0.1}


def found(truth: Truth, seed: int, settings: Settings = SEARCH) -> tuple[dict[str, Any], Done]:
    """Search a service in virtual time; give its row of `capacity` in verdicts.json."""
    trials: list[Trial] = []
    plans: list[StepPlan] = []
    told: list[dict[str, Any]] = []
    while isinstance(ask := next_step(settings, trials), Ask):
        step = len(trials) + 1
        lengths = ask.warmup_seconds, ask.window_seconds
        plans.append(StepPlan(step, ask.qps, *lengths, "poisson", 8, 8))
        cell = measured(truth, plans[-1:], seed)
        verdict = judge_trial(cell.cell, cell.steps[0], cell.requests, [truth.slo])
        trials.append(
            Trial(
                ask.qps,
                ask.kind,
                ask.seconds,
                verdict.judged,  # type: ignore[arg-type]
                verdict.leans,
                verdict.saturated,
            )
        )
        told.append({"step": step, "kind": ask.kind})
    cell = measured(truth, plans, seed, {"slos": [truth.slo.name], "trials": told})
    verdicts = judge(cell_kpis(cell, [truth.slo]), [cell], [truth.slo])
    assert sum(trial.seconds for trial in trials) <= settings.budget_seconds
    row: dict[str, Any] = verdicts["capacity"][0]
    return row, ask


def measured(
    truth: Truth, plans: Sequence[StepPlan], seed: int, search: dict[str, Any] | None = None
) -> CellData:
    """Measure steps in virtual time; a step is the same whatever stands beside it."""
    table, outcomes = measure(draw_schedule(plans, seed), truth.server, seed)
    return CellData(
        cell={"cell": f"virtual_rep-1_{seed:08x}", "deployment": "virtual", "repetition": 1},
        windows={"steps": [{**outcome, "client": AWAKE} for outcome in outcomes]},
        requests=table.to_pandas(),
        series=empty_series(),
        environment={"metric_names": {}, "agreement": None, "gpus": [], "gpu_note": None},
        search=search or {},
    )


@pytest.mark.parametrize("name", ["M/D/4", "M/M/4"])
def test_a_search_finds_capacity_and_slo_capacity(name: str) -> None:
    truth = truths()[name]

    rows = [found(truth, seed)[0] for seed in SEEDS]

    errors = [abs(row["slo_capacity_qps"] / truth.slo_qps - 1) for row in rows]
    capacities = [abs(row["capacity_qps"] / truth.capacity_qps - 1) for row in rows]
    within = [
        (row["slo_ci_low"] or 0.0) <= truth.slo_qps <= (row["slo_ci_high"] or math.inf)
        for row in rows
    ]
    assert statistics.median(errors) < 0.05
    assert statistics.median(capacities) < 0.05
    assert sum(within) > 0.8 * len(rows)
