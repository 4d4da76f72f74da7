"""The highest rate at which the objectives hold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.gate import left_out
from escalade.analysis.intervals import MIN_REPETITIONS, over_repetitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.cell import Slo


@dataclass(frozen=True)
class SloCapacity:
    """Rate up to which objectives hold.

    Attributes
    ----------
    qps
        Requests per second; NaN when there is none.
    reason
        How it was found, or why there is none.
    """

    qps: float
    reason: str


@dataclass(frozen=True)
class Rung:
    """A step with the judged statistic: rate, value (NaN unknown), and whether it holds."""

    qps: float
    value: float
    holds: bool | None


def slo_capacity(
    kpis: pd.DataFrame, gates: Sequence[Mapping[str, Any]], slos: Sequence[Slo]
) -> SloCapacity:
    """Find the rate up to which all objectives hold: that of the objective that gives way first.

    Each one by the point estimates of the steps, from the bottom of the ladder
    up to the first step that misses it; between the last that holds and that
    one the statistic is interpolated, its logarithm linear in the rate.
    """
    if not slos:
        return SloCapacity(math.nan, "no SLO")
    invalid = set(left_out(gates))
    found = [_capacity_of(slo, _ladder(kpis, slo, invalid)) for slo in slos]
    return min(found, key=lambda each: -math.inf if math.isnan(each.qps) else each.qps)


def bounded(found: SloCapacity, capacity_qps: float) -> SloCapacity:
    """Keep the rate at or below the capacity: beyond it no latency is stationary.

    Interpolating towards an over-saturated step can lead above the capacity.
    """
    if math.isnan(found.qps) or math.isnan(capacity_qps) or found.qps <= capacity_qps:
        return found
    return SloCapacity(
        capacity_qps, f"{found.reason}; not above the capacity of {capacity_qps:.3g} requests/s"
    )


def _ladder(kpis: pd.DataFrame, slo: Slo, invalid: set[int]) -> list[Rung]:
    rows = kpis[(kpis["metric"] == slo.metric) & (kpis["stat"] == slo.stat) & (kpis["step"] > 0)]
    rungs = []
    for row in rows.to_dict("records"):
        if row["step"] in invalid:
            continue
        value, low = float(row["value"]), float(row["ci_low"])
        holds: bool | None = None
        if math.isfinite(value):
            holds = value <= slo.limit
        elif low > slo.limit or "requests failed" in str(row["quality"]):
            holds = False
        rungs.append(Rung(float(row["target_qps"]), value, holds))
    return sorted(rungs, key=lambda rung: rung.qps)


def _capacity_of(slo: Slo, ladder: Sequence[Rung]) -> SloCapacity:
    what = f"{slo.name} ({slo.metric} {slo.stat} ≤ {slo.limit:g})"
    known = [rung for rung in ladder if rung.holds is not None]
    if not known:
        return SloCapacity(math.nan, f"{what}: no valid step has this statistic")
    missed = next((place for place, rung in enumerate(known) if not rung.holds), None)
    if missed is None:
        top = known[-1].qps
        return SloCapacity(
            top, f"{what} holds up to {top:g} requests/s, the highest step: at least that"
        )
    if missed == 0:
        return SloCapacity(
            math.nan, f"{what} is missed at {known[0].qps:g} requests/s, the lowest step"
        )
    return _between(what, known[missed - 1], known[missed], slo.limit)


def _between(what: str, held: Rung, missed: Rung, limit: float) -> SloCapacity:
    if not (held.value > 0 and math.isfinite(missed.value)):
        why = (
            "at the upper one it lies among failed requests or has no value"
            if held.value > 0
            else "the lower one is 0"
        )
        return SloCapacity(
            held.qps,
            f"{what} holds at {held.qps:g} and is missed at {missed.qps:g} requests/s; not interpolated: {why}",
        )
    part = math.log(limit / held.value) / math.log(missed.value / held.value)
    rate = held.qps + part * (missed.qps - held.qps)
    return SloCapacity(
        rate,
        f"{what} holds at {held.qps:g} and is missed at {missed.qps:g} requests/s; interpolated, log-linear, from point estimates",
    )


def over_cells(rates: Sequence[float | None], slos: Sequence[Slo]) -> SloCapacity:
    """Join the SLO capacities of repetitions: their geometric mean, with its interval in the reason."""
    if not slos:
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
    )
