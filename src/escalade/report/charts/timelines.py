"""Timelines of a cell: load, queue, processor and memory on one clock, with the steps behind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from escalade.report import words
from escalade.report.axis import short
from escalade.report.charts import drawing, hover
from escalade.report.charts.drawing import COLOURS, Chart
from escalade.report.charts.traces import Panel, panels
from escalade.report.data import INVALID, SATURATED
from escalade.report.tables import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from escalade.report.charts.traces import Trace
    from escalade.report.data import CellFacts, ReportData, StepFacts

WIDTH = 1080.0
_PANEL_HEIGHT = 104.0
_ABOVE, _BELOW = 60.0, 40.0
_LEFT, _RIGHT = 64.0, 14.0


def timeline_charts(data: ReportData) -> list[Chart]:
    """Draw the timelines of every cell that ran at least one step."""
    return [_chart(cell) for cell in data.drawn if math.isfinite(cell.started_at)]


def _chart(cell: CellFacts) -> Chart:
    shown = panels(cell)
    key = f"timeline-{cell.number}"
    height = _ABOVE + _BELOW + _PANEL_HEIGHT * len(shown)
    named = words.listed([panel.title.lower() for panel in shown])
    ladder = words.listed([short(step.level) for step in cell.steps])
    svg = drawing.picture(
        key,
        f"Timelines of {cell.name}",
        f"Over the steps of {ladder}, on one clock: {named}. "
        "The table below the figure has a mean of each per step.",
        (WIDTH, height),
        lambda figure: _draw(figure, cell, shown, height),
    )
    missing = [f"{panel.title.lower()} ({panel.missing})" for panel in shown if panel.missing]
    caption = (
        "Seconds since the first step began. Warm-up and drain are shaded; only what is between "
        "counts. A line is broken, and the gap hatched, where samples are missing."
    )
    if missing:
        caption += f" Not available: {words.listed(missing)}."
    return Chart(key, "Load, queue and resources", svg, caption, _table(cell, shown), wide=True)


def _draw(figure: Figure, cell: CellFacts, shown: Sequence[Panel], height: float) -> None:
    right = max(_ends(cell), default=1.0)
    for place, panel in enumerate(shown):
        top = height - _ABOVE - place * _PANEL_HEIGHT
        axes = figure.add_axes(
            (
                _LEFT / WIDTH,
                (top - _PANEL_HEIGHT + 30) / height,
                (WIDTH - _LEFT - _RIGHT) / WIDTH,
                (_PANEL_HEIGHT - 30) / height,
            )
        )
        axes.set_xlim(0, right)
        _bands(axes, cell)
        _draw_panel(axes, panel, cell.anchor)
        if place == 0:
            _step_labels(axes, cell, right)
        if place == len(shown) - 1:
            drawing.number_axis(axes.xaxis, count=12)
            axes.set_xlabel("seconds since the first step began")
        else:
            axes.tick_params(axis="x", labelbottom=False, length=0)


def _ends(cell: CellFacts) -> list[float]:
    times = [
        step.times[key] - cell.started_at
        for step in cell.steps
        for key in ("window_end", "drained_at")
    ]
    return [time for time in times if math.isfinite(time) and time > 0]


def _bands(axes: Axes, cell: CellFacts) -> None:
    """Shade what does not count: warm-up and drain of every step."""
    for step in cell.steps:
        at = {key: time - cell.started_at for key, time in step.times.items()}
        for start, end in (("started_at", "window_start"), ("window_end", "drained_at")):
            if math.isfinite(at[start]) and math.isfinite(at[end]):
                axes.axvspan(at[start], at[end], facecolor=COLOURS["band"], lw=0, zorder=0)
        if math.isfinite(at["started_at"]):
            axes.axvline(at["started_at"], color=COLOURS["muted"], lw=0.8, zorder=0)


def _step_labels(axes: Axes, cell: CellFacts, right: float) -> None:
    room = (WIDTH - _LEFT - _RIGHT) / right
    for step in cell.steps:
        start, end = step.times["started_at"] - cell.started_at, _end_of(step) - cell.started_at
        if not math.isfinite(start):
            continue
        text = short(step.level)
        if (end - start) * room > 110:
            text = f"step {step.number} · {text}{_remark(step)}"
        axes.annotate(
            text,
            (start, 1),
            xycoords=("data", "axes fraction"),
            xytext=(3, 26),
            textcoords="offset points",
            fontsize=drawing.SMALL,
            fontweight="bold",
            annotation_clip=False,
        )


def _end_of(step: StepFacts) -> float:
    for key in ("drained_at", "window_end", "window_start"):
        if math.isfinite(step.times[key]):
            return step.times[key]
    return step.times["started_at"]


def _remark(step: StepFacts) -> str:
    return {SATURATED: " △", INVALID: " ✕"}.get(step.state, "")


def _draw_panel(axes: Axes, panel: Panel, clock: str) -> None:
    values = [v for trace in panel.traces for _, v in trace.points if math.isfinite(v)]
    scale = words.scale_for(panel.unit, values)
    axes.annotate(
        f"{panel.title} ({scale.label})" if scale.label and values else panel.title,
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 5),
        textcoords="offset points",
        fontweight="bold",
    )
    if panel.missing:
        axes.set_yticks([])
        axes.text(
            0.5,
            0.5,
            f"no data: {panel.missing}",
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=COLOURS["muted"],
        )
        return
    for trace in panel.traces:
        drawn = _draw_trace(axes, trace, scale)
        hover.line(axes, drawn, trace.label, words.with_unit("", scale.label), clock)
    axes.set_ylim(0, scale.apply(max([*values, panel.ceiling])) * 1.1 or 1.0)
    drawing.number_axis(axes.yaxis, count=3)
    _legend(axes, panel)


def _draw_trace(axes: Axes, trace: Trace, scale: words.Scale) -> Line2D:
    times = [time for time, _ in trace.points]
    values = [scale.apply(value) for _, value in trace.points]
    colour = COLOURS[trace.colour]
    (drawn,) = axes.plot(
        times,
        values,
        color=colour,
        lw=trace.width,
        label=trace.label,
        drawstyle="steps-post" if trace.stepped else "default",
        linestyle=(0, (4, 2)) if trace.dashed else "-",
    )
    for start, end in trace.gaps:
        axes.axvspan(
            start, end, facecolor="none", edgecolor=COLOURS["muted"], hatch="xxxx", lw=0, alpha=0.55
        )
    return drawn


def _legend(axes: Axes, panel: Panel) -> None:
    """Name the lines of a panel that has several, at the right end of its title."""
    if len(panel.traces) > 1:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1.0),
            ncols=len(panel.traces),
            frameon=False,
            fontsize=drawing.SMALL,
            handlelength=1.8,
            handletextpad=0.5,
            columnspacing=1.4,
            borderpad=0.1,
            borderaxespad=0.0,
        )


def _table(cell: CellFacts, shown: Sequence[Panel]) -> Table:
    """Give the mean of every line over each step's window."""
    traces = [(panel, trace) for panel in shown for trace in panel.traces]
    names = tuple(
        panel.title if len(panel.traces) == 1 else f"{panel.title}: {trace.label}"
        for panel, trace in traces
    )
    rows = []
    for step in cell.steps:
        start, end = (step.times[k] - cell.started_at for k in ("window_start", "window_end"))
        means = [words.single(trace.mean(start, end), panel.unit) for panel, trace in traces]
        rows.append((str(step.number), short(step.level), *means))
    return Table(("Step", "Load", *names), tuple(rows))
