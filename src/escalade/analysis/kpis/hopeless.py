"""Steps that are given up before their end: when they may be, and what their figures still say.

A step is hopeless when twice as many requests are beyond the limit as may be, of all that its
window plans. Then the objective is missed whatever the rest does: the rest is not sent. Such a
step has no percentile, for it would be that of a queue that was still growing; it has a lower
bound, in which every request that was not sent counts as answered at once.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.kpis.catalogue import SHARES, TIMES, WAITING
from escalade.analysis.kpis.readings import Reading
from escalade.analysis.stats.intervals import Estimate, rank_bounds, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.cell import Slo
    from escalade.analysis.measured.windows import FloatArray

HOPELESS_FACTOR = 2.0
"""So many times the requests that may be beyond a limit make a step hopeless."""
_ROUNDING = 1e-6
BEST_CASE = "order statistics, the rest answered at once"
_PARTIAL = (
    "throughput_qps",
    "output_tokens_per_second",
    "requests_in_flight",
    "requests_in_system",
)
"""Figures of the part that was measured: they stand, and say so."""
_UNFINISHED = (*TIMES, "goodput_qps", "error_ratio")
"""Figures that would flatter a step that was given up."""


def most_beyond(slo: Slo, planned: int) -> int | None:
    """Say how many requests of a window may be beyond an objective's limit before it is hopeless.

    Parameters
    ----------
    slo
        The objective.
    planned
        Requests that the window plans.

    Returns
    -------
    int or None
        With one more than that, the objective is missed by the lower bound of its interval,
        even if all others are answered at once, and at least twice as many are beyond the limit as
        may be (for a p50 three in four). None for means, and for times between tokens.
    """
    if slo.metric == "error_ratio":
        share = _hopeless(slo.limit)
        counts = range(math.floor(share * planned), planned + 1)
        return next(
            (count for count in counts if wilson(count + 1, planned)[0] > slo.limit), planned
        )
    if slo.metric not in WAITING or slo.stat not in SHARES:
        return None
    share = SHARES[slo.stat]
    low, _ = rank_bounds(planned, planned, share)
    return max(planned - low, math.floor(_hopeless(1 - share) * planned + _ROUNDING))


def _hopeless(allowed: float) -> float:
    """Double the share of requests that may be beyond; half-way to all of them is enough."""
    return min(HOPELESS_FACTOR * allowed, (1 + allowed) / 2)


def of_hopeless(step: MeasuredStep, readings: Sequence[Reading]) -> list[Reading]:
    """Take from the readings of a step that was given up what would make it look better than it is."""
    return [_honest(step, reading) for reading in readings]


def _honest(step: MeasuredStep, reading: Reading) -> Reading:
    found, why = reading.estimate, _why(step)
    if reading.metric in _PARTIAL:
        return Reading(reading.metric, reading.stat, found.flagged(why), reading.label)
    if reading.metric not in _UNFINISHED or found.quality.startswith("missing"):
        return reading
    low, method = _lower_bound(step, reading)
    kept = Estimate(
        low=low,
        high=math.nan if math.isnan(low) else math.inf,
        method=method,
        n=found.n,
        quality=f"not estimable: {why}",
    )
    return Reading(reading.metric, reading.stat, kept, reading.label)


def _why(step: MeasuredStep) -> str:
    told = step.given_up or {}
    planned = float(told["planned_end"]) - step.window.start
    return f"abandoned after {step.window.seconds:.1f} of {planned:.1f} s"


def _lower_bound(step: MeasuredStep, reading: Reading) -> tuple[float, str]:
    """Bound a statistic of the whole window from below; NaN where nothing does."""
    planned = int((step.given_up or {})["planned"])
    if reading.metric == "error_ratio":
        return wilson(step.judged.failures, planned)[0], "Wilson, the rest answered well"
    if reading.metric not in WAITING or reading.stat not in SHARES:
        return math.nan, ""
    values: FloatArray = (
        step.judged.latency if reading.metric == "latency_seconds" else step.judged.ttft
    )
    rank, _ = rank_bounds(planned, planned, SHARES[reading.stat])
    answered_at_once = np.zeros(max(0, planned - len(values)))
    ordered = np.sort(np.concatenate([answered_at_once, values]))
    return (float(ordered[rank - 1]) if rank else -math.inf), BEST_CASE
