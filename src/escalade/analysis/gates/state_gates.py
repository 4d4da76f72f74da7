"""Gates on the state of service and node: where one fails, the step is flagged."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.gates.gate import Gate, at_most, not_applicable, passed, two_digits
from escalade.analysis.kpis.catalogue import SHARES
from escalade.analysis.measured.levels import RATE
from escalade.analysis.stats.sample_floors import sample_floor
from escalade.analysis.stats.steadiness import (
    DRIFT_LIMIT,
    LITTLE_USEFUL,
    MAX_BACKLOG_GROWTH,
    MIN_COMPLETED_SHARE,
    drift,
    littles_law,
)
from escalade.analysis.stats.truncation import BIAS_LIMIT, MIN_ANSWERS, truncation

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.analysis.gates.gate import Found, Outcome

MAX_STEAL = 0.05
CHANGING = ("bursts", "ramp", "trace")
"""Arrivals whose rate is not one rate."""
DEFAULT_STAT = "p90"
NO_REQUEST = "no request was planned in the window"
NO_STATE = "a pile that is worked off has no steady state"


def drained(found: Found) -> Gate:
    """Check that every request ended before the drain timeout."""
    said = found.step.outcome.get("drained")
    if said is None:
        return Gate("drained", "unknown", "the outcome does not say whether the step drained")
    log = found.step.log
    left = int((np.isnan(log.ended) & ~np.isnan(log.sent)).sum())
    detail = "every request had ended before the drain timeout"
    if not said:
        detail = f"{left} requests had not ended at the drain timeout; they count as errors"
    return Gate("drained", passed(bool(said)), detail)


def steal(found: Found) -> Gate:
    """Check that the hypervisor took at most 5 % of the CPU time."""
    value = found.value("steal_ratio")
    detail = "CPU steal is not known"
    if value is not None:
        detail = f"the hypervisor took {two_digits(100 * value)} % of the CPU time; 5 % are allowed"
    return Gate("steal", at_most(value, MAX_STEAL), detail, value, MAX_STEAL, "ratio")


def constant_rate(found: Found) -> Gate:
    """Check that the schedule offers one rate, so that the step is a point of the ladder."""
    kind, level = found.step.outcome.get("arrivals"), found.step.level
    if level.name != RATE:
        why = (
            "the service itself sets the rate, which falls when it stalls; latency counts from "
            "the send and hides queueing"
            if level.closed
            else "there is no rate; a latency is the time in the pile"
        )
        return Gate("constant_rate", "fail", f"{level.words}: {why}, and no capacity follows")
    if kind is None:
        return Gate("constant_rate", "unknown", "the outcome does not say how requests arrive")
    detail = f"arrivals: {kind}; the rate does not change within the window"
    if kind in CHANGING:
        detail = (
            f"the rate changes within the window (arrivals: {kind}): the percentiles are of that "
            "sequence of rates, and no capacity follows"
        )
    return Gate("constant_rate", passed(kind not in CHANGING), detail)


def over_saturation(found: Found) -> Gate:
    """Check that the backlog does not grow while answers fall behind arrivals."""
    if found.step.level.name != RATE:
        words = f"{found.step.level.words}: there is no rate that answers could fall behind"
        return not_applicable("over_saturation", words)
    state = found.step.saturation
    if math.isnan(state.completed_share):
        return Gate("over_saturation", "unknown", NO_REQUEST, None, MIN_COMPLETED_SHARE, "ratio")
    detail = (
        f"{100 * state.completed_share:.3g} % of the arrivals were finished in the window and the "
        f"backlog grew by {state.slope:.3g} [{state.low:.3g}, {state.high:.3g}] requests/s; "
        "over-saturated means less than 97 % and an interval above 0"
    )
    share = state.completed_share
    outcome = passed(not state.over)
    return Gate("over_saturation", outcome, detail, share, MIN_COMPLETED_SHARE, "ratio")


def backlog_slope(found: Found) -> Gate:
    """Check that the backlog grows by at most 3 % of the offered rate, or not beyond chance."""
    step = found.step
    if step.level.name != RATE:
        words = f"{step.level.words}: there is no rate that answers could fall behind"
        return not_applicable("backlog_slope", words)
    state = step.saturation
    growth = None if math.isnan(state.growth) else state.growth
    detail = NO_REQUEST
    if growth is not None:
        detail = (
            f"the backlog grew by {state.slope:.3g} [{state.low:.3g}, {state.high:.3g}] requests/s, "
            f"{100 * growth:.3g} % of the offered rate; it grows when the interval lies above 0 "
            "and that exceeds 3 %"
        )
    outcome: Outcome = "unknown" if growth is None else passed(not state.grows)
    return Gate("backlog_slope", outcome, detail, growth, MAX_BACKLOG_GROWTH, "ratio")


def warm_up(found: Found) -> Gate:
    """Check by MSER-5 that the window does not begin in a state of its own."""
    step = found.step
    if step.level.at_once:
        return not_applicable("warm_up", f"{step.level.words}: {NO_STATE}")
    log = step.judged
    cut = truncation(log.latency[log.success])
    if not cut.known:
        few = f"MSER-5 needs {MIN_ANSWERS} good answers, there are {int(log.success.sum())}"
        return Gate("warm_up", "unknown", few, None, BIAS_LIMIT, "ratio")
    detail = "MSER-5 would cut off nothing"
    if cut.share:
        detail = (
            f"MSER-5 would cut off the first {100 * cut.share:.3g} % of the answers, whose latency is "
            f"{cut.ratio:.3g} times [{cut.low:.3g}, {cut.high:.3g}] (99.9 %) that of the rest and moves "
            f"the mean by {100 * (cut.bias - 1):.2g} %; the warm-up is too short when 1 lies outside and "
            "the mean moves by more than 5 %"
        )
    bias = abs(cut.bias - 1)
    return Gate("warm_up", passed(not cut.too_short), detail, bias, BIAS_LIMIT, "ratio")


def sample_floor_gate(found: Found) -> Gate:
    """Check that there are enough requests for the strictest percentile that is judged."""
    judged = [(slo.stat, slo.workload) for slo in found.step.slos if slo.stat in SHARES]
    sizes: dict[str | None, int] = {None: len(found.step.judged)}
    sizes |= {name: len(found.step.part(name).judged) for _, name in judged if name}
    floors = [(sizes[of] / sample_floor(SHARES[each]), each, of) for each, of in judged]
    _, stat, of = min(floors, default=(0.0, DEFAULT_STAT, None), key=lambda each: each[0])
    limit, n = sample_floor(SHARES[stat]), sizes[of]
    enough = [name for name, share in SHARES.items() if sample_floor(share) <= n]
    detail = f"{n} requests{f' of {of}' if of else ''} suffice for {', '.join(enough) or 'no percentile'}; {stat} needs {limit}"
    return Gate("sample_floor", passed(n >= limit), detail, float(n), float(limit), "requests")


def steadiness(found: Found) -> Gate:
    """Check that latency did not move from the first half of the window to the second."""
    if found.step.level.at_once:
        return not_applicable("steadiness", f"{found.step.level.words}: {NO_STATE}")
    moved = drift(found.step.judged, found.step.window)
    limit = 1 + DRIFT_LIMIT
    if not moved.known:
        detail = "too few answers to compare the halves of the window"
        return Gate("steadiness", "unknown", detail, None, limit, "ratio")
    detail = (
        f"mean latency of the second half over the first is {moved.ratio:.3g} "
        f"[{moved.low:.3g}, {moved.high:.3g}] (99 %); it drifts when 1 lies outside and the "
        "change exceeds 10 %"
    )
    outcome = passed(not (moved.rises or moved.falls))
    return Gate("steadiness", outcome, detail, moved.ratio, limit, "ratio")


def littles_law_gate(found: Found) -> Gate:
    """Check that requests in the system = arrival rate × mean time in it."""
    step = found.step
    if step.level.at_once:
        return not_applicable("littles_law", f"{step.level.words}: {NO_STATE}")
    law = littles_law(step.stays, step.window, step.in_system)
    value = None if math.isnan(law.deviation) else law.deviation
    detail = NO_REQUEST
    if value is not None:
        detail = (
            f"requests in the system differ by {100 * value:.3g} % from arrival rate × mean time "
            f"in it; {100 * law.tolerance:.3g} % are tolerated"
        )
    outcome = at_most(value, law.tolerance)
    if value is not None and law.tolerance > LITTLE_USEFUL:
        outcome, detail = "unknown", f"{detail}: the window is too short to tell"
    return Gate("littles_law", outcome, detail, value, law.tolerance, "ratio")


STATE: tuple[Callable[[Found], Gate], ...] = (
    drained,
    steal,
    constant_rate,
    over_saturation,
    backlog_slope,
    sample_floor_gate,
    warm_up,
    steadiness,
    littles_law_gate,
)
