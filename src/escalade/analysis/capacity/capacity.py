"""How much a deployment carries: the rate at which throughput stops following.

Throughput against offered rate is fitted by min(r, C). A ladder that never
saturates gives a lower bound and no number. One that collapses is fitted by the
universal scalability law, between the best stable step and the first that gave way.
"""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.capacity.slo_capacity import SloCapacity, bounded, over_cells, slo_capacity
from escalade.analysis.gates.gate import left_out
from escalade.analysis.kpis.readings import rows_of
from escalade.analysis.measured.json_numbers import finite
from escalade.analysis.stats.distributions import binomial_cdf
from escalade.analysis.stats.intervals import MIN_REPETITIONS, RESAMPLES, over_repetitions
from escalade.analysis.stats.sample_floors import TAIL
from escalade.analysis.stats.scalability import scalability

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import Slo
    from escalade.analysis.measured.windows import FloatArray

FOLLOWS = 0.97
"""Throughput per offered rate from which on a step counts as following."""

TWO_SEGMENTS = "two segments min(r, C)"
LOWER_BOUND = "lower bound"
SCALABILITY = "universal scalability law, above the best stable step"


_OF_RUNGS = ("offered_qps", "throughput_qps", "error_ratio", "abandoned_ratio")


@dataclass(frozen=True)
class Rung:
    """One valid step of a ladder, as the fit sees it.

    Attributes
    ----------
    step
        Its number.
    offered, throughput
        Requests planned, and good answers, per second of the window.
    completed
        Number of good answers in the window.
    piles_up
        Whether the backlog grew, or requests failed for lack of capacity.
    """

    step: int
    offered: float
    throughput: float
    completed: int
    piles_up: bool

    @property
    def follows(self) -> bool:
        """Whether throughput follows what is offered."""
        return self.throughput >= FOLLOWS * self.offered

    @property
    def saturated(self) -> bool:
        """Whether it is beyond saturation: throughput lags, and that shows as backlog or errors."""
        return not self.follows and self.piles_up


@dataclass(frozen=True)
class Capacity:
    """Capacity of a cell, or of a deployment over its repetitions.

    Attributes
    ----------
    qps, low, high
        Requests per second; NaN for what is not known. Without saturation only
        `low` is: the highest throughput seen.
    method, reason
        How, and one sentence.
    saturated
        Whether the ladder reached beyond saturation; of a deployment, that of any repetition.
    steps
        Steps that were used.
    collapse
        Whether throughput fell under overload, below 97 % of the best step.
    """

    qps: float
    low: float
    high: float
    method: str
    reason: str
    saturated: bool
    steps: tuple[int, ...]
    collapse: bool = False

    def row(self, deployment: str, cell: str | None, slo: SloCapacity) -> dict[str, Any]:
        """Make a row of verdicts.json."""
        return {
            "deployment": deployment,
            "cell": cell,
            "capacity_qps": finite(self.qps),
            "ci_low": finite(self.low),
            "ci_high": finite(self.high),
            "method": self.method,
            "reason": self.reason,
            "saturated": self.saturated,
            "collapse": self.collapse,
            "slo_capacity_qps": finite(slo.qps),
            "slo_ci_low": finite(slo.low),
            "slo_ci_high": finite(slo.high),
            "slo_method": slo.method,
            "slo_reason": slo.reason,
            "slo_at_least": slo.beyond == "above",
            "steps_used": list(self.steps),
        }


def ladder_capacity(
    kpis: pd.DataFrame, gates: Sequence[Mapping[str, Any]], slos: Sequence[Slo]
) -> dict[str, Any]:
    """Find the capacity of one cell.

    Parameters
    ----------
    kpis
        KPI table of one cell.
    gates
        Gate rows of the same cell.
    slos
        All of them have to hold at the SLO capacity.

    Returns
    -------
    dict
        A row of `capacity` in verdicts.json.
    """
    cell, deployment = str(kpis["cell"].iloc[0]), str(kpis["deployment"].iloc[0])
    found = fitted(rungs(rows_of(kpis), gates), zlib.crc32(cell.encode()))
    notes = [found.reason, *_named(gates)]
    found = replace(found, reason="; ".join(note for note in notes if note))
    slo = bounded(slo_capacity(kpis, gates, slos), found.qps, found.high)
    return found.row(deployment, cell, slo)


def rungs(kpis: pd.DataFrame, gates: Sequence[Mapping[str, Any]]) -> list[Rung]:
    """Take the valid steps of a cell, ascending in offered rate."""
    failing = {(gate["step"], gate["gate"]) for gate in gates if gate["outcome"] == "fail"}
    invalid = left_out(gates)
    table = _values(kpis)
    found = []
    for step in sorted({step for step, _ in table} - {0}):
        offered, throughput, errors, left = (table.get((step, name), {}) for name in _OF_RUNGS)
        if step in invalid or not _usable(offered) or not _usable(throughput):
            continue
        answered = 1 - (float(left["value"]) if _usable(left) else 0.0)
        if answered <= 0:  # nobody waited for an answer: there is no throughput to speak of
            continue
        failures = float(errors["value"]) > 1 - FOLLOWS if _usable(errors) else False
        piles_up = (step, "over_saturation") in failing or failures
        found.append(
            Rung(
                step,
                float(offered["value"]),
                float(throughput["value"]) / answered,
                int(throughput["n"]),
                piles_up,
            )
        )
    return sorted((rung for rung in found if rung.offered > 0), key=lambda rung: rung.offered)


def _values(kpis: pd.DataFrame) -> dict[tuple[int, str], Mapping[str, Any]]:
    """Give the rows that rungs are made of, by step and metric."""
    wanted = kpis[kpis["metric"].isin(_OF_RUNGS) & (kpis["stat"] == "value")]
    found: dict[tuple[int, str], Mapping[str, Any]] = {}
    for row in wanted[["step", "metric", "value", "n"]].to_dict("records"):
        place = int(row["step"]), str(row["metric"])
        found.setdefault(place, {"value": row["value"], "n": row["n"]})
    return found


def _usable(row: Mapping[str, Any]) -> bool:
    return bool(row) and math.isfinite(float(row["value"]))


def _named(gates: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the steps that the fit leaves out, with the first gate that failed."""
    alike: dict[str, list[tuple[str, str]]] = {}
    for step, gate in sorted(left_out(gates).items()):
        detail = str(gate["detail"])
        alike.setdefault(re.sub(r"\d+(\.\d+)?", "#", detail), []).append((str(step), detail))
    return [_told(steps) for steps in alike.values()]


def _told(steps: Sequence[tuple[str, str]]) -> str:
    """Say why steps are left out, where their reasons differ by their numbers at most."""
    numbers = ", ".join(step for step, _ in steps)
    first = steps[0][1]
    if len(steps) == 1:
        return f"step {numbers} is left out: {first}"
    varies = any(detail != first for _, detail in steps)
    return f"steps {numbers} are left out: {first}{f' (in step {steps[0][0]})' * varies}"


def fitted(ladder: Sequence[Rung], seed: int) -> Capacity:
    """Fit min(r, C) to a ladder, or say why it has no capacity."""
    steps = tuple(sorted(rung.step for rung in ladder))
    if not ladder:
        return Capacity(
            math.nan, math.nan, math.nan, "none", "no valid step", saturated=False, steps=()
        )
    best = max(ladder, key=lambda rung: rung.throughput)
    beyond = [rung for rung in ladder if rung.saturated]
    if not beyond:
        reason = (
            f"at least {best.throughput:.3g} requests/s: no valid step went beyond saturation; "
            f"add a step above {ladder[-1].offered:.3g} requests/s"
        )
        return Capacity(
            math.nan, best.throughput, math.nan, LOWER_BOUND, reason, saturated=False, steps=steps
        )
    lower = sorted(
        (rung for rung in ladder if rung.offered >= best.offered), key=lambda rung: rung.throughput
    )
    if _collapses(lower[0], best, len(lower)):
        return _collapsed(ladder, best, lower[0])
    return _two_segments(ladder, seed, _collapse_note(lower[0], best))


def _collapses(worst: Rung, best: Rung, among: int) -> bool:
    """Tell whether throughput fell below 97 % of the best step, beyond chance.

    Two counts are compared given their sum, at 2.5 % shared among all pairs of `among` steps,
    since the pair that differs most was chosen.
    """
    if best.throughput <= 0 or worst.throughput >= FOLLOWS * best.throughput:
        return False
    if worst.throughput <= 0:
        return True
    times = [rung.completed / rung.throughput for rung in (worst, best)]
    share = times[0] / (times[0] + times[1])
    chance = binomial_cdf(worst.completed, worst.completed + best.completed, share)
    return chance < TAIL / math.comb(among, 2)


def _collapse_note(worst: Rung, best: Rung) -> str:
    if worst.throughput >= FOLLOWS * best.throughput:
        return ""
    return (
        f"throughput at {worst.offered:.3g} requests/s was {100 * (1 - worst.throughput / best.throughput):.2g} % "
        "below the best step, within chance"
    )


def _collapsed(ladder: Sequence[Rung], best: Rung, worst: Rung) -> Capacity:
    """Bracket the capacity of a service that collapses: its overload throughput is not it."""
    offered, throughput, seconds = _columns(ladder)
    stable = [rung for rung in ladder if not rung.saturated]
    low = max((rung.throughput for rung in stable), default=0.0)
    above = [rung.offered for rung in ladder if rung.saturated and rung.offered > low]
    high = min(above, default=worst.offered)
    peak = min(max(scalability(offered, throughput, seconds).peak, low), high)
    reason = (
        f"collapse: throughput fell from {best.throughput:.3g} at {best.offered:.3g} offered requests/s to "
        f"{worst.throughput:.3g} at {worst.offered:.3g}; "
    )
    if not stable:
        reason += (
            "no valid step was stable, so that no rate is known that it holds: add lower steps"
        )
        peak = low = math.nan
    else:
        reason += (
            f"the capacity lies between the best stable step, {low:.3g}, and the lowest rate above "
            f"it that the service did not hold, {high:.3g}"
        )
    steps = tuple(sorted(rung.step for rung in ladder))
    return Capacity(
        peak, low, high, SCALABILITY, reason, saturated=True, steps=steps, collapse=True
    )


def _two_segments(ladder: Sequence[Rung], seed: int, note: str) -> Capacity:
    offered, throughput, seconds = _columns(ladder)
    counts = np.array([rung.completed for rung in ladder], dtype=np.int64)
    point = float(two_segments(offered, throughput[None, :], seconds)[0])
    drawn = np.random.default_rng(seed).poisson(counts, size=(RESAMPLES, len(ladder))) / seconds
    resampled = np.where(offered > point, drawn, throughput)
    low, high = np.quantile(two_segments(offered, resampled, seconds), [TAIL, 1 - TAIL])
    follows = [rung for rung in ladder if rung.follows]
    reason = f"throughput stops following at {point:.3g} requests/s"
    if not follows:
        reason += "; no step lies below saturation"
    return Capacity(
        point,
        min(point, float(low)),
        max(point, float(high)),
        f"{TWO_SEGMENTS}, bootstrap of Poisson counts",
        "; ".join(part for part in (reason, note) if part),
        saturated=True,
        steps=tuple(sorted(rung.step for rung in ladder)),
    )


def _columns(ladder: Sequence[Rung]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Give offered rate, throughput and length of the window of each step."""
    offered = np.array([rung.offered for rung in ladder])
    throughput = np.array([rung.throughput for rung in ladder])
    counts = np.array([rung.completed for rung in ladder])
    seconds = np.divide(counts, throughput, out=np.ones(len(ladder)), where=throughput > 0)
    return offered, throughput, seconds


def two_segments(offered: FloatArray, throughput: FloatArray, weights: FloatArray) -> FloatArray:
    """Fit C of min(r, C) by least squares, for each row of `throughput`.

    Parameters
    ----------
    offered
        Ascending rates, shape (steps,).
    throughput
        Throughputs, shape (rows, steps).
    weights
        Weight of each step, shape (steps,).
    """
    best = np.full(len(throughput), np.inf)
    found = np.full(len(throughput), np.nan)
    for knee in range(len(offered)):
        upper = weights[knee:]
        level = (throughput[:, knee:] * upper).sum(axis=1) / upper.sum()
        level = np.clip(level, offered[knee - 1] if knee else 0.0, offered[knee])
        fit = np.minimum(offered[None, :], level[:, None])
        loss = (weights * (throughput - fit) ** 2).sum(axis=1)
        better = loss < best
        best, found = np.where(better, loss, best), np.where(better, level, found)
    return found


def deployment_capacity(rows: Sequence[Mapping[str, Any]], slos: Sequence[Slo]) -> dict[str, Any]:
    """Join the capacities of a deployment's repetitions.

    Parameters
    ----------
    rows
        `ladder_capacity` of every repetition.
    slos
        As given to it.

    Returns
    -------
    dict
        A row of `capacity` with cell None. Without a capacity of every repetition it has none, and
        `ci_low` is the lowest of the repetitions' lower bounds. `saturated` when any repetition
        went beyond saturation: the reason says how many have a capacity.
    """
    deployment = str(rows[0]["deployment"])
    known = [float(row["capacity_qps"]) for row in rows if row["capacity_qps"] is not None]
    steps = tuple(sorted({step for row in rows for step in row["steps_used"]}))
    slo = over_cells([row["slo_capacity_qps"] for row in rows], slos)
    if any(row.get("slo_at_least") for row in rows):
        slo = replace(slo, beyond="above")
    collapsed = sum(bool(row["collapse"]) for row in rows)
    note = f"; it collapsed in {collapsed} of them" if collapsed else ""
    if len(known) == len(rows) and len(known) >= MIN_REPETITIONS and min(known) > 0:
        found = over_repetitions(known)
        reason = f"{found.value:.3g} requests/s over {len(known)} repetitions{note}"
        whole = Capacity(
            *(found.value, found.low, found.high, found.method, reason),
            saturated=True,
            steps=steps,
            collapse=collapsed > 0,
        )
        return whole.row(deployment, None, slo)
    bounds = [float(row["ci_low"]) for row in rows if row["ci_low"] is not None]
    reason = (
        f"{len(known)} of {len(rows)} repetitions have a capacity{note}; the interval needs all, "
        f"and {MIN_REPETITIONS} at least"
    )
    low = min(bounds) if len(bounds) == len(rows) else math.nan
    whole = Capacity(
        *(math.nan, low, math.nan, LOWER_BOUND, reason),
        saturated=any(bool(row["saturated"]) for row in rows),
        steps=steps,
        collapse=collapsed > 0,
    )
    return whole.row(deployment, None, slo)
