"""What a stressor beside a service costs: the same requests with it and without it, one by one.

Deployments of one repetition get the same arrivals and prompts, so the request with the same
number is the same request in both cells; the difference of their latencies has the spread of what
the stressor does, and not that of the arrivals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from escalade.analysis.gates.gate import why_invalid
from escalade.analysis.kpis.request_kpis import RESOLUTION_FACTOR
from escalade.analysis.kpis.steps import measured_steps
from escalade.analysis.measured.json_numbers import finite
from escalade.analysis.stats.intervals import MIN_REPETITIONS, Estimate, mean, quantile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.cell import CellData
    from escalade.analysis.measured.levels import Level
    from escalade.analysis.measured.windows import FloatArray, IntArray

Status = Literal["slower", "faster", "no change shown", "undecided"]
LEAST_PAIRS = 30
"""Requests that were answered on both sides; fewer decide nothing."""
ONE_RUN = "runs differ by themselves, and that is not in the interval"
_TAIL = 0.9


@dataclass(frozen=True)
class Stressed:
    """A deployment with a stressor, and the same without it; `words` describe the stressor."""

    deployment: str
    against: str
    words: str


@dataclass(frozen=True)
class Side:
    """One measured step, as far as the comparison needs it.

    Attributes
    ----------
    level
        What it was loaded with.
    index, latency
        Number and latency of each request of the cohort; a failed one is +∞.
    resolution_seconds
        Finest time that the client tells apart; NaN when unknown.
    saturated
        Whether requests piled up.
    invalid
        Why the step is INVALID; None when it is not.
    """

    level: Level
    index: IntArray
    latency: FloatArray
    resolution_seconds: float
    saturated: bool
    invalid: str | None


@dataclass(frozen=True)
class Pair:
    """The same step without and with the stressor, in one repetition."""

    without: Side
    beside: Side

    @property
    def difference(self) -> FloatArray:
        """Give latency beside − without, per request that was answered on both sides, in planned order."""
        _, first, second = np.intersect1d(
            self.without.index, self.beside.index, return_indices=True
        )
        both = self.beside.latency[second], self.without.latency[first]
        answered = np.isfinite(both[0]) & np.isfinite(both[1])
        return np.asarray(both[0][answered] - both[1][answered], dtype=np.float64)

    @property
    def invalid(self) -> str | None:
        """Why one of them is INVALID."""
        sides = (("without it", self.without), ("beside it", self.beside))
        return next((f"{name}: {side.invalid}" for name, side in sides if side.invalid), None)


def contention_rows(
    stressed: Sequence[Stressed], cells: Sequence[CellData], gates: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Give the rows of the section `contention` of verdicts.json.

    Parameters
    ----------
    stressed
        Deployments with a stressor, each with the one that it is compared with.
    cells
        What was measured.
    gates
        Gate rows of all cells.

    Returns
    -------
    list of dict
        A row per deployment and step: mean difference in latency per request with its 95 % interval, p90 and
        error ratio of both sides, status and one sentence. From three repetitions on the interval is that between runs.
    """
    wanted = {name for each in stressed for name in (each.deployment, each.against)}
    sides = {
        (cell.deployment, cell.repetition, step.number): _side(step, cell.name, gates)
        for cell in cells
        if cell.deployment in wanted
        for step in measured_steps(cell, ())
    }
    steps = sorted({int(step["step"]) for cell in cells for step in cell.steps})
    repetitions = sorted({cell.repetition for cell in cells})
    rows = []
    for each in stressed:
        for number in steps:
            pairs = [
                Pair(sides[each.against, run, number], sides[each.deployment, run, number])
                for run in repetitions
                if (each.against, run, number) in sides and (each.deployment, run, number) in sides
            ]
            rows.append(_row(each, number, pairs))
    return rows


def _side(step: MeasuredStep, cell: str, gates: Sequence[Mapping[str, Any]]) -> Side:
    failed = [
        gate
        for gate in gates
        if gate["cell"] == cell
        and gate["step"] == step.number
        and gate["invalidates"]
        and gate["outcome"] == "fail"
    ]
    return Side(
        level=step.level,
        index=step.data.requests["index"].to_numpy()[step.judged.rows],
        latency=step.judged.latency,
        resolution_seconds=step.resolution_seconds,
        saturated=step.saturated,
        invalid=why_invalid(failed[0]) if failed else None,
    )


def _row(stressed: Stressed, step: int, pairs: Sequence[Pair]) -> dict[str, Any]:
    sound = [pair for pair in pairs if pair.invalid is None and len(pair.difference)]
    found = _difference(sound)
    status, words = _judged(pairs, sound, found)
    tails = {
        "p90_without": _p90([pair.without for pair in sound]),
        "p90_beside": _p90([pair.beside for pair in sound]),
        "error_ratio_without": _errors([pair.without for pair in sound]),
        "error_ratio_beside": _errors([pair.beside for pair in sound]),
    }
    numbers = {"difference_seconds": found.value, "ci_low": found.low, "ci_high": found.high}
    level = pairs[0].without.level.columns if pairs else {"target_qps": None}
    return {
        "deployment": stressed.deployment,
        "against": stressed.against,
        "stressor": stressed.words,
        "step": step,
        **level,
        **{name: finite(value) for name, value in {**numbers, **tails}.items()},
        "ci_method": found.method,
        "n": found.n,
        "repetitions": len(sound),
        "status": status,
        "words": words,
    }


def _difference(pairs: Sequence[Pair]) -> Estimate:
    """Estimate the mean difference: over requests in one or two runs, over runs from three on."""
    means = [float(pair.difference.mean()) for pair in pairs]
    if len(means) >= MIN_REPETITIONS:
        return mean(np.array(means))
    return mean(np.concatenate([pair.difference for pair in pairs])) if pairs else Estimate()


def _judged(pairs: Sequence[Pair], sound: Sequence[Pair], found: Estimate) -> tuple[Status, str]:
    if not sound:
        unanswered = "no request was answered on both sides"
        unmeasured = "the step was not measured on both sides"
        return "undecided", (pairs[0].invalid or unanswered) if pairs else unmeasured
    said = f"{1000 * found.value:+.3g} ms per request"
    said += f", 95 % [{1000 * found.low:+.3g}, {1000 * found.high:+.3g}]"
    said += f"; {_in_words(sound)}" if _in_words(sound) else ""
    few = len(sound) < MIN_REPETITIONS and found.n < LEAST_PAIRS
    if few or math.isnan(found.low):
        return "undecided", f"{said}; {LEAST_PAIRS} requests answered on both sides are needed"
    if found.low > 0:
        return "slower", said
    if found.high < 0:
        return "faster", said
    if math.isinf(found.low) or math.isinf(found.high):
        return "undecided", f"{said}; requests depend on each other: a longer step is needed"
    return "no change shown", said


def _in_words(sound: Sequence[Pair]) -> str:
    """Say what is to be known beside the difference."""
    remarks = []
    if any(pair.beside.saturated for pair in sound):
        remarks.append("over-saturated beside the stressor, where latency grows with time")
    without, beside = (
        _errors([pair.without for pair in sound]),
        _errors([pair.beside for pair in sound]),
    )
    if beside > without:
        remarks.append(f"errors {without:.2%} without and {beside:.2%} beside it")
    finest = max((_resolution(pair) for pair in sound), default=math.nan)
    if math.isfinite(finest) and abs(_difference(sound).value) < RESOLUTION_FACTOR * finest:
        remarks.append(f"under ten times the client's resolution of {1000 * finest:.2g} ms")
    if len(sound) < MIN_REPETITIONS:
        remarks.append(f"{len(sound)} run{'s' * (len(sound) != 1)} a side: {ONE_RUN}")
    return "; ".join(remarks)


def _resolution(pair: Pair) -> float:
    return max(pair.without.resolution_seconds, pair.beside.resolution_seconds)


def _p90(sides: Sequence[Side]) -> float:
    """Give the p90 of all runs of a side together, failed requests among them."""
    if not sides:
        return math.nan
    return quantile(np.sort(np.concatenate([side.latency for side in sides])), _TAIL)


def _errors(sides: Sequence[Side]) -> float:
    if not sides:
        return math.nan
    return float(np.mean(np.isinf(np.concatenate([side.latency for side in sides]))))
