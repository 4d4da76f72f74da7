"""The table of performance targets: what was promised, what is measured, and whether it is met.

The rule is that of the objectives: met and missed need the whole 95 % interval on one side
of the target and every gate that can invalidate passed. A target may look at any KPI, in
either direction, and at the capacities; it never counts for the exit code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from escalade.analysis.kpis.catalogue import BY_NAME
from escalade.analysis.kpis.readings import rows_of
from escalade.analysis.measured.cell import Slo
from escalade.analysis.measured.json_numbers import finite
from escalade.analysis.measured.levels import level_of
from escalade.analysis.stats.intervals import MIN_REPETITIONS, Estimate, mean, over_repetitions
from escalade.analysis.verdicts.decisions import (
    Decision,
    Evidence,
    bound,
    evidence_of,
    fail_blocked,
    pass_blocked,
    refusal,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData
    from escalade.analysis.verdicts.decisions import Verdict

Status = Literal["met", "missed", "undecided", "not measured"]
CAPACITIES = {
    "capacity_qps": ("capacity_qps", "ci_low", "ci_high", "reason"),
    "slo_capacity_qps": ("slo_capacity_qps", "slo_ci_low", "slo_ci_high", "slo_reason"),
}
"""Metrics that a cell has once, and where verdicts.json keeps number, bounds and reason."""
_STATUS: dict[str, Status] = {
    "PASS": "met",
    "FAIL": "missed",
    "INCONCLUSIVE": "undecided",
    "INVALID": "undecided",
    "NOT_RUN": "not measured",
}
ACROSS = "the target lies within the interval"
NO_INTERVAL = (
    f"one run gives this figure no interval; {MIN_REPETITIONS} repetitions or more give one"
)


@dataclass(frozen=True)
class Target:
    """One line of the table.

    Attributes
    ----------
    name, component
        What the table calls it, and what it is promised of.
    metric, stat
        A KPI of the catalogue with one of its statistics, or one of CAPACITIES (`value`).
    bound
        The number to keep, in the metric's unit.
    at_least
        Whether `bound` is a floor; a ceiling otherwise.
    at_qps, step
        Step where it holds; both None where the metric belongs to the cell or there is one step.
    deployment
        Deployment that it is promised of; None: each.
    workload
        Workload of a mix whose requests it looks at; None: all.
    benchmark, benchmark_unit
        Component benchmark whose number it is, and that number's unit; None: it is a KPI.
    """

    name: str
    component: str
    metric: str
    stat: str
    bound: float
    at_least: bool = False
    at_qps: float | None = None
    step: int | None = None
    deployment: str | None = None
    workload: str | None = None
    benchmark: str | None = None
    benchmark_unit: str = ""

    @property
    def unit(self) -> str:
        """Unit of the bound."""
        if self.benchmark is not None:
            return self.benchmark_unit
        return "1/s" if self.metric in CAPACITIES else BY_NAME[self.metric].unit

    def holds(self, low: float, high: float) -> bool:
        """Say whether the whole interval is on the good side; a bound that is NaN never is."""
        return low >= self.bound if self.at_least else high <= self.bound

    def fails(self, low: float, high: float) -> bool:
        """Say whether the whole interval is on the bad side."""
        return high < self.bound if self.at_least else low > self.bound


@dataclass(frozen=True)
class Found:
    """What one cell, or all repetitions of a deployment, says about a target."""

    estimate: Estimate
    decision: Decision
    step: int | None = None
    died: bool = False
    trusted: bool = True


def target_table(
    targets: Sequence[Target],
    cells: Sequence[CellData],
    kpis: pd.DataFrame,
    verdicts: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Give the rows of the section `targets` of verdicts.json.

    Parameters
    ----------
    targets
        In the order of the configuration.
    cells
        What was measured.
    kpis
        Rows of all cells.
    verdicts
        `gates` and `capacity` of the same campaign.

    Returns
    -------
    list of dict
        A row per target and cell; of a deployment with three repetitions or more one row in
        place of its cells', with `cell` None and the interval between repetitions.
    """
    rows = []
    for target in targets:
        for name, group in _deployments(cells).items():
            if target.deployment not in (None, name):
                continue
            found = [_in_cell(target, cell, kpis, verdicts) for cell in group]
            if len(group) >= MIN_REPETITIONS:
                rows.append(target_row(target, name, None, _joined(target, name, found, verdicts)))
            else:
                rows += [
                    target_row(target, name, cell.name, each)
                    for cell, each in zip(group, found, strict=True)
                ]
    return rows


def _deployments(cells: Sequence[CellData]) -> dict[str, list[CellData]]:
    groups: dict[str, list[CellData]] = {}
    for cell in cells:
        groups.setdefault(cell.deployment, []).append(cell)
    return groups


def _in_cell(
    target: Target, cell: CellData, kpis: pd.DataFrame, verdicts: Mapping[str, Any]
) -> Found:
    if target.metric in CAPACITIES:
        return _capacity(target, cell.deployment, cell.name, verdicts)
    mine = kpis[kpis["cell"] == cell.name]
    if BY_NAME[target.metric].per_cell:
        row = _worst(target, mine[mine["step"] == 0])
        return Found(estimate_of(row), by_interval(target, row))
    outcome = _step_of(target, cell)
    if outcome is None:
        return Found(Estimate(), Decision("NOT_RUN", f"the cell has no step {_place(target)}"))
    evidence = evidence_of(_as_slo(target), outcome, mine, _gates(verdicts, cell.name))
    in_step = rows_of(mine[mine["step"] == int(outcome["step"])], target.workload)
    evidence = replace(evidence, row=_worst(target, in_step))
    decision = refusal(evidence) or by_interval(target, evidence.row, evidence)
    return Found(
        estimate_of(evidence.row),
        decision,
        int(outcome["step"]),
        died=evidence.outcome == "service_failed",
        trusted=evidence.trusted,
    )


def _step_of(target: Target, cell: CellData) -> Mapping[str, Any] | None:
    if target.step is not None:
        fitting = [each for each in cell.steps if int(each["step"]) == target.step]
    elif target.at_qps is not None:
        fitting = [each for each in cell.steps if level_of(each).qps == target.at_qps]
    else:
        fitting = list(cell.steps) if len(cell.steps) == 1 else []
    return fitting[0] if fitting else None


def _place(target: Target) -> str:
    if target.step is not None:
        return f"{target.step}"
    return "of its own" if target.at_qps is None else f"at {target.at_qps:g} requests/s"


def _gates(verdicts: Mapping[str, Any], cell: str) -> list[Mapping[str, Any]]:
    return [gate for gate in verdicts["gates"] if gate["cell"] == cell]


def _as_slo(target: Target) -> Slo:
    return Slo(
        target.name, target.metric, target.stat, target.bound, target.at_qps, target.workload
    )


def _worst(target: Target, rows: pd.DataFrame) -> dict[str, Any]:
    """Give the row of a metric; of several (GPUs, objectives) the one that is worst for the target."""
    mine = rows[(rows["metric"] == target.metric) & (rows["stat"] == target.stat)]
    if not len(mine):
        return {}
    ordered = mine.sort_values(
        "value", ascending=target.at_least, na_position="first", kind="stable"
    )
    return {str(key): value for key, value in ordered.iloc[0].items()}


def estimate_of(row: Mapping[str, Any]) -> Estimate:
    """Give the number of a row of a table; None, as JSON has it, is NaN."""
    told = {name: row.get(name) for name in ("value", "ci_low", "ci_high", "n_eff")}
    number = {name: math.nan if of is None else float(of) for name, of in told.items()}
    return Estimate(
        number["value"],
        number["ci_low"],
        number["ci_high"],
        str(row.get("ci_method", "")),
        int(row.get("n", 0)),
        number["n_eff"],
        str(row.get("quality", "missing: not computed")),
    )


def _capacity(
    target: Target, deployment: str, cell: str | None, verdicts: Mapping[str, Any]
) -> Found:
    """Take a capacity as the verdicts have it; without saturation only its lower bound is known."""
    row: Mapping[str, Any] = next(
        (
            row
            for row in verdicts["capacity"]
            if row["deployment"] == deployment and row["cell"] == cell
        ),
        {},
    )
    value, low, high, reason = (row.get(key) for key in CAPACITIES[target.metric])
    if value is None and low is None and high is None:
        return Found(
            Estimate(), Decision("NOT_RUN", str(reason or "no capacity was found")), trusted=False
        )
    found = Estimate(
        math.nan if value is None else float(value),
        0.0 if low is None else float(low),
        math.inf if high is None else float(high),
    )
    said = f"{_said(target, found)}; {reason}"
    if target.holds(found.low, found.high):
        return Found(found, Decision("PASS", said))
    if target.fails(found.low, found.high):
        return Found(found, Decision("FAIL", said))
    return Found(found, Decision("INCONCLUSIVE", said))


def by_interval(
    target: Target, row: Mapping[str, Any], evidence: Evidence | None = None
) -> Decision:
    """Hold a row with an interval against a target; `evidence` of a step may forbid to decide."""
    quality = str(row.get("quality", "missing: not computed"))
    if quality.startswith("missing"):
        return Decision("NOT_RUN", quality)
    found = estimate_of(row)
    said = _said(target, found)
    if math.isnan(found.low) and math.isnan(found.high):
        why = quality if math.isnan(found.value) else NO_INTERVAL
        return Decision("INCONCLUSIVE", f"{said}; {why}")
    bounded = None if target.at_least else evidence
    if target.fails(found.low, found.high):
        return _unless(fail_blocked(bounded) if bounded else None, Decision("FAIL", said))
    if target.holds(found.low, found.high):
        return _unless(pass_blocked(bounded) if bounded else None, Decision("PASS", said))
    return Decision("INCONCLUSIVE", f"{said}; {ACROSS}")


def _unless(blocked: str | None, decision: Decision) -> Decision:
    return Decision("INCONCLUSIVE", f"{decision.reason}; {blocked}") if blocked else decision


def _said(target: Target, found: Estimate) -> str:
    unit = "" if target.unit == "ratio" else f" {target.unit}"
    why = "no number" if found.quality == "ok" else found.quality
    point = f"{found.value:.3g}{unit}" if math.isfinite(found.value) else why
    interval = "" if math.isnan(found.low) else f", 95 % [{bound(found.low)}, {bound(found.high)}]"
    side = "at least" if target.at_least else "at most"
    return f"{target.stat} {point}{interval}, target {side} {target.bound:g}{unit}"


def _joined(
    target: Target, deployment: str, cells: Sequence[Found], verdicts: Mapping[str, Any]
) -> Found:
    """Judge a deployment over its repetitions, which are its independent observations."""
    if target.metric in CAPACITIES:
        return _capacity(target, deployment, None, verdicts)
    step = next((each.step for each in cells if each.step is not None), None)
    if dead := [each for each in cells if each.died]:
        words = f"in {len(dead)} of {len(cells)} repetitions {dead[0].decision.reason}"
        return Found(Estimate(), Decision("FAIL", words), step)
    values = [
        each.estimate.value for each in cells if each.trusted and math.isfinite(each.estimate.value)
    ]
    if len(values) < MIN_REPETITIONS:
        words = f"{len(values)} of {len(cells)} repetitions have a valid value"
        first = cells[0].decision
        short = Decision("INCONCLUSIVE", words)
        none = Decision(first.verdict, f"{words}: {first.reason}")
        return Found(Estimate(n=len(values)), short if values else none, step)
    found = over_repetitions(values) if min(values) > 0 else mean(np.array(values))
    said = f"{_said(target, found)}, over {len(values)} repetitions"
    sides: tuple[tuple[Verdict, Callable[[float, float], bool]], ...] = (
        ("FAIL", target.fails),
        ("PASS", target.holds),
    )
    for verdict, on_its_side in sides:
        if on_its_side(found.low, found.high):
            blocked = [each.decision.reason for each in cells if _blocked(each, on_its_side)]
            why = f"in {len(blocked)} of them {blocked[0]}" if blocked else None
            return Found(found, _unless(why, Decision(verdict, said)), step)
    return Found(found, Decision("INCONCLUSIVE", f"{said}; {ACROSS}"), step)


def _blocked(found: Found, on_its_side: Callable[[float, float], bool]) -> bool:
    """Tell a repetition whose own interval decides, and whose state forbids to say so."""
    own = on_its_side(found.estimate.low, found.estimate.high)
    return own and found.decision.verdict == "INCONCLUSIVE"


def target_row(
    target: Target, deployment: str | None, cell: str | None, found: Found
) -> dict[str, Any]:
    """Make a row of verdicts.json; numbers that JSON can't hold become None."""
    numbers = {
        "current": found.estimate.value,
        "ci_low": found.estimate.low,
        "ci_high": found.estimate.high,
    }
    return {
        "target": target.name,
        "component": target.component,
        "deployment": deployment,
        "cell": cell,
        "step": found.step,
        "target_qps": target.at_qps,
        "metric": target.metric,
        "stat": target.stat,
        **({"workload": target.workload} if target.workload else {}),
        "direction": "at least" if target.at_least else "at most",
        "bound": float(target.bound),
        "unit": target.unit,
        **{name: finite(value) for name, value in numbers.items()},
        "n": found.estimate.n,
        "status": _STATUS[found.decision.verdict],
        "reason": found.decision.reason,
    }
