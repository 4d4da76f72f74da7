"""The verdict on one objective at one step of one cell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from escalade.analysis.gates.gate import why_invalid
from escalade.analysis.kpis.catalogue import BY_NAME, LASTING, RATES, TIMES, WAITING
from escalade.analysis.kpis.readings import of_slo, rows_of
from escalade.analysis.kpis.request_kpis import RESOLUTION_FACTOR
from escalade.analysis.kpis.steps import GIVEN_UP
from escalade.analysis.measured.json_numbers import finite
from escalade.analysis.measured.levels import HIDES, NO_LEVEL, PILE, RATE, Level, level_of
from escalade.analysis.verdicts.sample_size import more_requests

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData, Slo

_OF_WAITING = (*WAITING, "goodput_qps")
"""Metrics that a latency which still rises or falls makes look better or worse."""
Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID", "NOT_RUN"]


@dataclass(frozen=True)
class Decision:
    """A verdict and the sentence that justifies it."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Evidence:
    """What a verdict on one step rests on.

    Attributes
    ----------
    slo
        The objective.
    row
        KPI row of the judged statistic; empty when the table has none.
    gates
        Gate rows of the step, by name.
    outcome
        Outcome of the step: "measured", "service_failed", …
    error_ratio, resolution_seconds
        KPIs of the step; NaN when unknown.
    level
        What the step was loaded with.
    """

    slo: Slo
    row: Mapping[str, Any]
    gates: Mapping[str, Mapping[str, Any]]
    outcome: str
    error_ratio: float
    resolution_seconds: float
    level: Level = NO_LEVEL

    def number(self, column: str) -> float:
        """Give a number of the KPI row, NaN without one."""
        return float(self.row.get(column, math.nan))

    @property
    def trusted(self) -> bool:
        """Whether the step was measured and every gate that invalidates passed."""
        return _unmeasured(self) is None and _untrusted(self) is None

    def fails(self, gate: str) -> bool:
        """Say whether a gate failed."""
        return str(self.gates.get(gate, {}).get("outcome")) == "fail"


@dataclass(frozen=True)
class Judged:
    """A row of verdicts.json with what it rests on; None for a step that the cell lacks."""

    row: dict[str, Any]
    evidence: Evidence | None


def cell_verdicts(
    cell: CellData,
    kpis: pd.DataFrame,
    gates: Sequence[Mapping[str, Any]],
    slos: Sequence[Slo],
    *,
    counting: bool,
) -> list[Judged]:
    """Judge every objective at every step where it applies.

    Parameters
    ----------
    cell
        The cell.
    kpis, gates
        Of this cell.
    slos
        Objectives.
    counting
        Whether the verdicts on objectives with `at_qps` count for the exit
        code; they do not when those over repetitions do.
    """
    rows = []
    for slo in slos:
        steps = [outcome for outcome in cell.steps if _applies(slo, level_of(outcome))]
        for outcome in steps:
            evidence = evidence_of(slo, outcome, kpis, gates)
            rows.append(Judged(_row(cell, outcome, evidence, counting=counting), evidence))
        if not steps:
            rows.append(Judged(_never_reached(cell, slo, counting=counting), None))
    return rows


def _applies(slo: Slo, level: Level) -> bool:
    """Say whether an objective is judged at a step: a rate not where less than that is asked for."""
    if slo.at_qps is not None:
        return slo.at_qps == level.qps
    return not (slo.metric in RATES and level.qps < slo.limit)


def evidence_of(
    slo: Slo, outcome: Mapping[str, Any], kpis: pd.DataFrame, gates: Sequence[Mapping[str, Any]]
) -> Evidence:
    """Gather what a verdict on one step rests on; `kpis` and `gates` are those of its cell."""
    all_rows = kpis[kpis["step"] == int(outcome["step"])]
    mine = rows_of(all_rows, slo.workload)
    judged = _kpi(of_slo(mine, slo.of) if slo.of else mine, slo.metric, slo.stat)
    return Evidence(
        slo=slo,
        row=judged,
        gates={str(gate["gate"]): gate for gate in gates if gate["step"] == outcome["step"]},
        outcome=str(outcome.get("outcome")),
        error_ratio=float(_kpi(mine, "error_ratio", "value").get("value", math.nan)),
        resolution_seconds=float(
            _kpi(all_rows, "client_resolution_seconds", "value").get("value", math.nan)
        ),
        level=level_of(outcome),
    )


def _kpi(kpis: pd.DataFrame, metric: str, stat: str) -> dict[str, Any]:
    rows = kpis[(kpis["metric"] == metric) & (kpis["stat"] == stat)]
    return {str(key): value for key, value in rows.iloc[0].items()} if len(rows) else {}


def decide(evidence: Evidence) -> Decision:
    """Decide one objective at one step."""
    return refusal(evidence) or _by_interval(evidence)


def refusal(evidence: Evidence) -> Decision | None:
    """Say why a step can't be judged by its interval: it did not run, or a gate failed."""
    return _unmeasured(evidence) or _untrusted(evidence)


def _unmeasured(evidence: Evidence) -> Decision | None:
    gate = evidence.gates.get("step_measured", {})
    if gate.get("outcome") != "fail":
        return None
    why = str(gate["detail"])
    if evidence.outcome == "not_run":
        return Decision("NOT_RUN", why)
    if evidence.outcome == "service_failed":
        return Decision("FAIL", f"{why}; what it left unanswered counts as missed")
    return Decision("INVALID", f"gate step_measured: {why}")


def _untrusted(evidence: Evidence) -> Decision | None:
    """Name the first gate that failed or could not be checked, of those that invalidate."""
    validity = [gate for gate in evidence.gates.values() if gate["invalidates"]]
    for gate in validity:
        if gate["outcome"] == "fail":
            return Decision("INVALID", why_invalid(gate))
    for gate in validity:
        if gate["outcome"] == "unknown":
            return Decision(
                "INCONCLUSIVE", f"gate {gate['gate']} could not be checked: {gate['detail']}"
            )
    return None


def _by_interval(evidence: Evidence) -> Decision:
    slo, low, high = evidence.slo, evidence.number("ci_low"), evidence.number("ci_high")
    if str(evidence.row.get("quality", "missing: not computed")).startswith("missing"):
        return Decision("INCONCLUSIVE", str(evidence.row.get("quality", "missing: not computed")))
    said = f"{_said(evidence)}{caveat(evidence)}"
    if slo.fails(low, high):
        blocked = fail_blocked(evidence)
        return (
            Decision("INCONCLUSIVE", f"{said}; {blocked}")
            if blocked
            else Decision("FAIL", _failing(evidence, said))
        )
    if slo.holds(low, high):
        blocked = pass_blocked(evidence)
        return Decision("INCONCLUSIVE", f"{said}; {blocked}") if blocked else Decision("PASS", said)
    return Decision("INCONCLUSIVE", f"{said}; {_undecided(evidence)}")


def _undecided(evidence: Evidence) -> str:
    """Say why an interval does not decide, and what would."""
    if evidence.outcome == GIVEN_UP:
        return "the step was abandoned before its end"
    bounds = evidence.number("ci_low"), evidence.number("ci_high")
    if all(map(math.isnan, bounds)) and math.isfinite(evidence.number("value")):
        why = str(evidence.row["quality"]).removeprefix("flagged: ")
        return "too little was measured for an interval" if why == "ok" else why
    if evidence.fails("over_saturation") and evidence.slo.metric not in LASTING:
        return "the step is over-saturated: more requests would not make it stationary"
    return more_requests(evidence.row, evidence.slo, evidence.error_ratio)


def _said(evidence: Evidence) -> str:
    """Put the estimate and the limit into words."""
    slo, unit = evidence.slo, unit_word(evidence.slo.metric)
    value, low, high = (evidence.number(name) for name in ("value", "ci_low", "ci_high"))
    point = (
        f"{slo.stat} {value:.3g}{unit}"
        if math.isfinite(value)
        else f"{slo.stat} {evidence.row['quality']}"
    )
    if math.isnan(low) or math.isnan(high):
        return f"{point}, without interval, {limit_words(slo)}"
    return f"{point}, 95 % [{bound(low)}, {bound(high)}], {limit_words(slo)}"


def limit_words(slo: Slo) -> str:
    """Write what is demanded: "limit 1.5 s", "at least 9 1/s"."""
    return f"{'at least' if slo.at_least else 'limit'} {slo.limit:g}{unit_word(slo.metric)}"


def caveat(evidence: Evidence) -> str:
    """Say what a time means under a load without a rate; nothing otherwise."""
    level = evidence.level
    if level.name == RATE or evidence.slo.metric not in WAITING:
        return ""
    return f"; {level.words}: {HIDES if level.closed else PILE}"


def unit_word(metric: str) -> str:
    """Give a metric's unit as it follows a number; a ratio has none."""
    unit = BY_NAME[metric].unit
    return "" if unit == "ratio" else f" {unit}"


def bound(value: float) -> str:
    """Write a bound; an infinite one means that the sample does not bound that side."""
    return f"{value:.3g}" if math.isfinite(value) else f"{'−' * (value < 0)}∞"


def _failing(evidence: Evidence, said: str) -> str:
    if math.isinf(evidence.number("ci_low")):
        return f"{said}; even the lower bound lies among failed requests"
    if evidence.fails("over_saturation"):
        return f"{said}; the step is over-saturated, so there is no stationary value, but the lower bound exceeds the limit and grows with time"
    return said


def fail_blocked(evidence: Evidence) -> str | None:
    """Say what would make a good service look bad in this step, if anything."""
    drift = evidence.gates.get("steadiness", {})
    falls = evidence.fails("steadiness") and float(drift["value"]) < 1
    if falls and evidence.slo.metric in _OF_WAITING and not evidence.fails("over_saturation"):
        return "but latency was still falling: lengthen the warm-up"
    return None


def pass_blocked(evidence: Evidence) -> str | None:
    """Say what would make a bad service look good in this step, if anything."""
    slo = evidence.slo
    if evidence.fails("over_saturation") and slo.metric not in LASTING:
        return "but the step is over-saturated: a longer window would be worse"
    if (
        slo.metric in _OF_WAITING
        and evidence.fails("steadiness")
        and float(evidence.gates["steadiness"]["value"]) > 1
    ):
        return "but latency was still rising: lengthen the window"
    if slo.metric in TIMES and slo.limit < RESOLUTION_FACTOR * evidence.resolution_seconds:
        return f"but the limit is under ten times the client's resolution of {evidence.resolution_seconds:.2g} s"
    return None


def _row(
    cell: CellData, outcome: Mapping[str, Any], evidence: Evidence, *, counting: bool
) -> dict[str, Any]:
    decision = decide(evidence)
    return verdict_row(
        cell=cell.name,
        deployment=cell.deployment,
        step=int(outcome["step"]),
        level=evidence.level,
        slo=evidence.slo,
        numbers={column: evidence.number(column) for column in ("value", "ci_low", "ci_high", "n")},
        decision=decision,
        counts=counting and evidence.slo.at_qps is not None,
    )


def _never_reached(cell: CellData, slo: Slo, *, counting: bool) -> dict[str, Any]:
    where = "no step" if slo.at_qps is None else f"no step at {slo.at_qps:g} requests/s"
    if slo.at_qps is None and cell.steps:  # a rate of answers that no step asks for
        where += f" at {slo.limit:g} requests/s or more"
    return verdict_row(
        cell=cell.name,
        deployment=cell.deployment,
        step=None,
        level=NO_LEVEL if slo.at_qps is None else Level(RATE, slo.at_qps),
        slo=slo,
        numbers={},
        decision=Decision("NOT_RUN", f"the cell has {where}"),
        counts=counting and slo.at_qps is not None,
    )


def margins(slo: Slo, known: Mapping[str, float | None]) -> dict[str, float | None]:
    """Give how far a value is from its limit, positive on the good side, and how far its worse end is.

    In the metric's unit, and as a share of the limit; None where the value or that end is not known,
    and no share of a limit of 0 (no error at all, say).
    """
    found: dict[str, float | None] = {}
    ends = {"margin": "value", "margin_worse": "ci_low" if slo.at_least else "ci_high"}
    for name, column in ends.items():
        value = known[column]
        away = None if value is None else (value - slo.limit) * (1 if slo.at_least else -1)
        found[name] = away
        found[f"{name}_ratio"] = None if away is None or slo.limit == 0 else away / slo.limit
    return found


def verdict_row(
    *,
    cell: str | None,
    deployment: str,
    step: int | None,
    level: Level,
    slo: Slo,
    numbers: Mapping[str, float],
    decision: Decision,
    counts: bool,
) -> dict[str, Any]:
    """Make a row of verdicts.json; numbers that JSON can't hold become None."""
    known = {column: finite(numbers.get(column)) for column in ("value", "ci_low", "ci_high")}
    n = numbers.get("n", math.nan)
    return {
        "cell": cell,
        "deployment": deployment,
        "step": step,
        **level.columns,
        "slo": slo.name,
        "metric": slo.metric,
        "stat": slo.stat,
        "limit": float(slo.limit),
        "unit": BY_NAME[slo.metric].unit,
        **({"workload": slo.workload} if slo.workload else {}),
        **({"at_least": True} if slo.at_least else {}),
        **({"of": slo.of} if slo.of else {}),
        **known,
        **margins(slo, known),
        "n": int(n) if math.isfinite(n) else 0,
        "verdict": decision.verdict,
        "reason": decision.reason,
        "counts": counts,
    }
