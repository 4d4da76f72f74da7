"""Whether a service stays as it is over hours: memory that leaks, latency that drifts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from escalade.analysis.gates.gate import why_invalid
from escalade.analysis.kpis.series_kpis import MEMORY_BYTES
from escalade.analysis.kpis.steps import measured_steps
from escalade.analysis.measured.json_numbers import finite
from escalade.analysis.stats.slope import METHOD, MIN_POINTS, Slope, theil_sen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.cell import CellData
    from escalade.analysis.measured.windows import FloatArray

Status = Literal["steady", "grows", "undecided"]
BLOCKS = 30
"""Parts of a window whose medians are the points of a trend: long ones depend less on each other."""
MIN_ANSWERS = 5
"""Good answers that a part needs to have a median."""
HOUR = 3600.0
_GROWTH_EXPONENT = 2 / 3
"""A slope's error falls with the window's length to the power 3/2, of points that are as dense as before."""
_LONGEST = 100.0


@dataclass(frozen=True)
class Stability:
    """What counts as steady.

    Attributes
    ----------
    least_seconds
        A shorter window is never called steady or growing.
    memory_per_hour, latency_per_hour
        Growth that is tolerated, as a share of the level in an hour.
    """

    least_seconds: float
    memory_per_hour: float
    latency_per_hour: float


@dataclass(frozen=True)
class Points:
    """One quantity over a window, in parts."""

    quantity: str
    unit: str
    times: FloatArray
    values: FloatArray
    limit: float
    why: str
    """Why there may be too few points."""


def stability_rows(
    wanted: Stability, cells: Sequence[CellData], gates: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Give the rows of the section `stability` of verdicts.json.

    Parameters
    ----------
    wanted
        What counts as steady.
    cells
        What was measured.
    gates
        Gate rows of all cells; a step that one of them makes INVALID is undecided.

    Returns
    -------
    list of dict
        A row per measured step and quantity (`service_memory_bytes`, `latency_seconds`): level, slope per
        hour with its 95 % interval, limit, status (steady, grows, undecided) and one sentence.
    """
    rows = []
    for cell in cells:
        for step in measured_steps(cell, ()):
            invalid = _invalid(gates, cell.name, step.number)
            both = (_memory(step, wanted), _latency(step, wanted))
            rows += [_row(cell, step, points, wanted, invalid) for points in both]
    return rows


def _invalid(gates: Sequence[Mapping[str, Any]], cell: str, step: int) -> str | None:
    mine = [gate for gate in gates if gate["cell"] == cell and gate["step"] == step]
    failed = [gate for gate in mine if gate["invalidates"] and gate["outcome"] == "fail"]
    return why_invalid(failed[0]) if failed else None


def _memory(step: MeasuredStep, wanted: Stability) -> Points:
    """Take the resident memory of the service's processes, added up."""
    total = step.samples.summed(step.samples.tracks(MEMORY_BYTES, role="service"))
    times = np.empty(0) if total is None else total.times
    levels = np.empty(0) if total is None else total.levels
    inside = step.window.holds(times)
    return _points(
        "service_memory_bytes",
        step,
        (times[inside], levels[inside]),
        limit=wanted.memory_per_hour,
        least=1,
    )


def _latency(step: MeasuredStep, wanted: Stability) -> Points:
    """Take the latency of good answers by their planned time."""
    good = step.judged.only(step.judged.success)
    return _points(
        "latency_seconds",
        step,
        (good.planned, good.latency),
        limit=wanted.latency_per_hour,
        least=MIN_ANSWERS,
    )


def _points(
    quantity: str,
    step: MeasuredStep,
    observed: tuple[FloatArray, FloatArray],
    *,
    limit: float,
    least: int,
) -> Points:
    """Give the medians of the parts of a window that hold enough observations."""
    times, values = observed
    edges = step.window.blocks(BLOCKS)
    place = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, BLOCKS - 1)
    parts = [values[place == part] for part in range(BLOCKS)]
    kept = [part for part in range(BLOCKS) if len(parts[part]) >= least]
    middles = (edges[1:] + edges[:-1]) / 2
    few = "good answers" if quantity == "latency_seconds" else "samples"
    return Points(
        quantity,
        "bytes" if quantity.endswith("_bytes") else "s",
        middles[kept],
        np.array([float(np.median(parts[part])) for part in kept]),
        limit,
        f"{len(kept)} of {BLOCKS} parts of the window have enough {few}, {MIN_POINTS} are needed",
    )


def _row(
    cell: CellData, step: MeasuredStep, points: Points, wanted: Stability, invalid: str | None
) -> dict[str, Any]:
    found = theil_sen(points.times, points.values)
    status, words = _judged(found, points, step.window.seconds, wanted, invalid)
    per_hour = (found.value * HOUR, found.low * HOUR, found.high * HOUR)
    numbers = dict(zip(("slope_per_hour", "ci_low", "ci_high"), per_hour, strict=True))
    numbers |= {"level": found.level, "inflation": found.inflation}
    return {
        "cell": cell.name,
        "deployment": cell.deployment,
        "step": step.number,
        **step.level.columns,
        "quantity": points.quantity,
        "unit": points.unit,
        **{name: finite(value) for name, value in numbers.items()},
        "ci_method": METHOD if found.known else "",
        "points": found.points,
        "window_seconds": float(step.window.seconds),
        "limit_per_hour": float(points.limit),
        "status": status,
        "words": words,
    }


def _judged(
    found: Slope, points: Points, seconds: float, wanted: Stability, invalid: str | None
) -> tuple[Status, str]:
    if not found.known:
        return "undecided", points.why
    if not found.level > 0:
        return "undecided", f"the level is {found.level:g}, so growth has no share of it"
    low, high = (bound * HOUR / found.level for bound in (found.low, found.high))
    said = (
        f"{found.value * HOUR / found.level:+.3%} of its level an hour, 95 % "
        f"[{low:+.3%}, {high:+.3%}], {points.limit:.3%} tolerated"
    )
    blocked = invalid
    if blocked is None and seconds < wanted.least_seconds:
        blocked = (
            f"a window of {seconds:.0f} s says nothing about hours: "
            f"{wanted.least_seconds:.0f} s are asked for"
        )
    if blocked is not None:
        return "undecided", f"{said}; {blocked}"
    if low > points.limit:
        return "grows", said
    if high <= points.limit:
        return "steady", said
    return "undecided", f"{said}; {_longer(found, points.limit)}"


def _longer(found: Slope, limit: float) -> str:
    """Say how much longer a window would decide, if it goes on like this."""
    bound = limit * found.level / HOUR
    side = found.high if found.value <= bound else found.low
    if not math.isfinite(side) or found.value == bound:
        return "no reasonable window decides"
    times = ((side - found.value) / (bound - found.value)) ** _GROWTH_EXPONENT
    if times > _LONGEST:
        return "the slope is so close to what is tolerated that no reasonable window decides"
    return f"a window about {times:.2g} times as long would decide"
