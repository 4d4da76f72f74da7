"""The highest rate at which the objectives hold."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from escalade.analysis.gates.gate import left_out
from escalade.analysis.kpis.catalogue import RATES
from escalade.analysis.kpis.readings import rows_of
from escalade.analysis.stats.intervals import MIN_REPETITIONS, over_repetitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import Slo

CROSSINGS = "where the statistic's interval crosses the limit"


@dataclass(frozen=True)
class SloCapacity:
    """Rate up to which objectives hold.

    Attributes
    ----------
    qps
        Requests per second; NaN when there is none.
    reason
        How it was found, or why there is none.
    low, high
        Bounds of its 95 % interval; NaN where nothing bounds that side.
    method
        Of the interval; empty without one.
    """

    qps: float
    reason: str
    low: float = math.nan
    high: float = math.nan
    method: str = ""
    beyond: Literal["", "above", "below"] = ""
    """Whether the true rate lies beyond the ladder: above its highest step, or below its lowest one."""


@dataclass(frozen=True)
class Rung:
    """A step with the judged statistic: rate, value (NaN unknown), its interval, and whether it holds."""

    qps: float
    value: float
    holds: bool | None
    low: float
    high: float


def slo_capacity(
    kpis: pd.DataFrame, gates: Sequence[Mapping[str, Any]], slos: Sequence[Slo]
) -> SloCapacity:
    """Find the rate up to which all objectives hold: that of the objective that gives way first.

    Each one by the point estimates of the steps, from the bottom of the ladder
    up to the first step that misses it; between the last that holds and that
    one the statistic is interpolated, its logarithm linear in the rate. The
    interval is where the ends of the statistic's own intervals cross the limit,
    in the same way. Of several steps at one rate, as a search has them, that with
    the most requests counts. Rates of answers are left out: they say how much comes back, not
    up to which rate all is well. Of a lower limit the reciprocals are held to that of the limit.
    """
    slos = [slo for slo in slos if slo.metric not in RATES]
    if not slos:
        return SloCapacity(math.nan, "no SLO")
    invalid = set(left_out(gates))
    found = [_capacity_of(slo, _ladder(kpis, slo, invalid)) for slo in slos]
    least = min(found, key=_order)
    if math.isnan(least.qps):
        return least
    lows, highs = [each.low for each in found], [each.high for each in found]
    known = [high for high in highs if not math.isnan(high)]
    low = math.nan if any(math.isnan(low) for low in lows) else min(lows)
    return replace(least, low=low, high=min(known, default=math.nan))


def _order(found: SloCapacity) -> tuple[float, bool]:
    """Order by rate; one below the ladder comes first, then what is not known."""
    return -math.inf if math.isnan(found.qps) else found.qps, found.beyond != "below"


def bounded(found: SloCapacity, capacity_qps: float, highest: float = math.nan) -> SloCapacity:
    """Keep the rate at or below the capacity: beyond it no latency is stationary.

    Interpolating towards an over-saturated step can lead above the capacity.

    Parameters
    ----------
    found
        As interpolated.
    capacity_qps, highest
        Capacity and the upper bound of its interval; NaN where they are not known.
    """
    if math.isnan(found.qps):
        return found
    if not found.high <= highest and not math.isnan(highest):
        found = replace(found, high=highest)
    if math.isnan(capacity_qps) or found.qps <= capacity_qps:
        return found
    return replace(
        found,
        qps=capacity_qps,
        beyond="",
        low=min(found.low, capacity_qps),
        high=max(found.high, capacity_qps),
        reason=f"{found.reason}; not above the capacity of {capacity_qps:.3g} requests/s",
    )


def _ladder(kpis: pd.DataFrame, slo: Slo, invalid: set[int]) -> list[Rung]:
    going_on = rates_of_conversations(kpis)
    kpis = rows_of(kpis, slo.workload)
    rows = kpis[(kpis["metric"] == slo.metric) & (kpis["stat"] == slo.stat) & (kpis["step"] > 0)]
    valid = rows[~rows["step"].isin(invalid)]
    longest = valid.sort_values(["n", "step"]).drop_duplicates("target_qps", keep="last")
    rungs = []
    for row in longest.to_dict("records"):
        value, low, high = (float(row[name]) for name in ("value", "ci_low", "ci_high"))
        holds: bool | None = None
        if math.isfinite(value):
            holds = slo.keeps(value)
        elif slo.fails(low, high) or "requests failed" in str(row["quality"]):
            holds = False
        if slo.at_least:
            value, low, high = _reciprocal(value), _reciprocal(high), _reciprocal(low)
        qps = going_on.get(int(row["step"]), float(row["target_qps"]))
        rungs.append(Rung(qps, value, holds, low, high))
    return sorted(rungs, key=lambda rung: rung.qps)


def _reciprocal(value: float) -> float:
    return 1 / value if value > 0 else math.inf if value == 0 else math.nan


def rates_of_conversations(kpis: pd.DataFrame) -> dict[int, float]:
    """Give what steps of conversations were offered, later turns included: more than they ask for."""
    whole = rows_of(kpis)
    talks = set(whole.loc[whole["metric"] == "turns_not_due", "step"])
    offered = whole[(whole["metric"] == "offered_qps") & whole["step"].isin(talks)]
    pairs = zip(offered["step"], offered["value"], strict=True)
    return {int(step): float(value) for step, value in pairs if math.isfinite(value)}


def _capacity_of(slo: Slo, ladder: Sequence[Rung]) -> SloCapacity:
    what = f"{slo.name} ({slo.metric} {slo.stat} {slo.sign} {slo.limit:g})"
    limit = 1 / slo.limit if slo.at_least else slo.limit
    known = [rung for rung in ladder if rung.holds is not None]
    if not known:
        return SloCapacity(math.nan, f"{what}: no valid step has this statistic")
    missed = next((place for place, rung in enumerate(known) if not rung.holds), None)
    low = _crossing([(rung.qps, rung.high) for rung in known], limit)
    if missed is None:
        top = known[-1].qps
        held = (
            f"{what}: by point estimates kept up to {top:g} requests/s, the highest step"
            f"{_doubt(known[-1], limit)}: at least that"
        )
        return SloCapacity(top, held, low, method=CROSSINGS, beyond="above")
    if missed == 0:
        lowest = f"{known[0].qps:g} requests/s, the lowest step"
        return SloCapacity(math.nan, f"{what}: missed at {lowest}", beyond="below")
    found = _between(what, known[missed - 1], known[missed], limit)
    high = _crossing([(rung.qps, rung.low) for rung in known], limit, upwards=True)
    low, high = min(low, found.qps), max(high, found.qps)  # NaN stays: it comes first
    return replace(found, low=low, high=high, method=CROSSINGS)


def _crossing(
    ladder: Sequence[tuple[float, float]], limit: float, *, upwards: bool = False
) -> float:
    """Give the rate at which the end of an interval first exceeds the limit.

    Between two steps it is interpolated, log-linear. Where it can't be (an end
    that is unknown, infinite or 0), the step below counts, `upwards` the one above.
    """
    over = [end > limit if upwards else not end <= limit for _, end in ladder]
    beyond = over.index(True) if any(over) else None
    if beyond is None:
        return math.nan if upwards else ladder[-1][0]
    if beyond == 0:
        return ladder[0][0] if upwards else math.nan
    (below, held), (above, missed) = ladder[beyond - 1 : beyond + 1]
    if held > 0 and math.isfinite(missed):
        return below + _part(limit, held, missed) * (above - below)
    return above if upwards else below


def _part(limit: float, held: float, missed: float) -> float:
    """Say how far from one value to the other, on the logarithm, the limit lies."""
    return math.log(limit / held) / math.log(missed / held)


def _doubt(kept: Rung, limit: float) -> str:
    """Say where the interval does not confirm what the point estimate says."""
    return "" if kept.high <= limit else " (its interval leaves that open)"


def _between(what: str, held: Rung, missed: Rung, limit: float) -> SloCapacity:
    told = (
        f"{what}: by point estimates kept at {held.qps:g}{_doubt(held, limit)} and missed at "
        f"{missed.qps:g} requests/s"
    )
    if not (held.value > 0 and math.isfinite(missed.value)):
        why = (
            "at the upper one it lies among failed requests or has no value"
            if held.value > 0
            else "the lower one is 0"
        )
        return SloCapacity(held.qps, f"{told}; not interpolated: {why}")
    rate = held.qps + _part(limit, held.value, missed.value) * (missed.qps - held.qps)
    return SloCapacity(rate, f"{told}; interpolated, log-linear")


def over_cells(rates: Sequence[float | None], slos: Sequence[Slo]) -> SloCapacity:
    """Join the SLO capacities of repetitions: their geometric mean, with its interval."""
    if all(slo.metric in RATES for slo in slos):
        return SloCapacity(math.nan, "no SLO")
    known = [rate for rate in rates if rate is not None]
    if len(known) < len(rates) or len(known) < MIN_REPETITIONS:
        return SloCapacity(
            math.nan,
            f"{len(known)} of {len(rates)} repetitions have an SLO capacity; all are needed, and {MIN_REPETITIONS} at least",
        )
    found = over_repetitions(known)
    return SloCapacity(
        found.value,
        f"geometric mean over {len(known)} repetitions, 95 % [{found.low:.3g}, {found.high:.3g}]",
        found.low,
        found.high,
        found.method,
    )
