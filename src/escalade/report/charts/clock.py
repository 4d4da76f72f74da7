"""The time axis that all figures of a cell share: where its steps stood, and what does not count."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from escalade.report.axis import short
from escalade.report.charts import drawing
from escalade.report.charts.drawing import COLOURS
from escalade.report.facts import INVALID, SATURATED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from escalade.report.facts import CellFacts, StepFacts

WIDTH = 1080.0
LEFT, RIGHT = 64.0, 14.0
"""Of a figure over time, in CSS pixels: its width, and what its panels leave free at the sides."""
LABEL = "seconds since the first step began"


def end_of(cell: CellFacts) -> float:
    """Give the right end of the axis, in seconds since the cell's first step began."""
    times = [
        step.times[key] - cell.started_at
        for step in cell.steps
        for key in ("window_end", "drained_at")
    ]
    return max((time for time in times if math.isfinite(time) and time > 0), default=1.0)


def uncounted(cell: CellFacts) -> list[tuple[float, float]]:
    """Give the spans of warm-up and drain of every step, which count for nothing."""
    spans = []
    for step in cell.steps:
        at = {key: time - cell.started_at for key, time in step.times.items()}
        for start, end in (("started_at", "window_start"), ("window_end", "drained_at")):
            if math.isfinite(at[start]) and math.isfinite(at[end]):
                spans.append((at[start], at[end]))
    return spans


def starts(axes: Axes, cell: CellFacts) -> None:
    """Draw a line where each step begins."""
    begun = [step.times["started_at"] - cell.started_at for step in cell.steps]
    there = [at for at in begun if math.isfinite(at)]
    drawing.uprights(axes, there, color=COLOURS["muted"], lw=0.8, zorder=0)


def name_steps(axes: Axes, cell: CellFacts, right: float, above: float) -> None:
    """Write over a panel, `above` it in CSS pixels, which step begins where."""
    room = (WIDTH - LEFT - RIGHT) / right
    free = -math.inf
    for step in cell.steps:
        start, end = step.times["started_at"] - cell.started_at, _over(step) - cell.started_at
        if not math.isfinite(start):
            continue
        text = short(step.level)
        if (end - start) * room > 110:
            text = f"step {step.number} · {text}{_remark(step)}"
        if start * room < free:
            continue
        free = start * room + 7.0 * len(text)
        axes.annotate(
            text,
            (start, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, above),
            textcoords="offset points",
            fontsize=drawing.SMALL,
            fontweight="bold",
            annotation_clip=False,
        )


def _over(step: StepFacts) -> float:
    for key in ("drained_at", "window_end", "window_start"):
        if math.isfinite(step.times[key]):
            return step.times[key]
    return step.times["started_at"]


def _remark(step: StepFacts) -> str:
    return {SATURATED: " △", INVALID: " ✕"}.get(step.state, "")
