"""Timelines of a cell: load, queue and hardware on one clock, with the steps behind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from escalade.report import words
from escalade.report.axis import short
from escalade.report.charts import clock, drawing, hover
from escalade.report.charts.clock import LEFT, RIGHT, WIDTH
from escalade.report.charts.drawing import COLOURS, Chart
from escalade.report.charts.panels import panels
from escalade.report.tables import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    from escalade.report.charts.traces import Panel, Trace
    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts

_PANEL_HEIGHT = 104.0
_ABOVE, _BELOW = 60.0, 40.0
_NAMED_GAPS = 4
"""Gaps that the caption names; more are counted."""


def timeline_charts(data: ReportData) -> list[Chart]:
    """Draw the timelines of every cell that ran at least one step."""
    return [_chart(cell) for cell in data.drawn if math.isfinite(cell.started_at)]


def _chart(cell: CellFacts) -> Chart:
    made = panels(cell)
    # without any figure of all, the empty panel of the load says why
    shown = [panel for panel in made if not panel.missing] or made[:1]
    caption = " ".join(
        [
            "Seconds since the first step began. Warm-up and drain are shaded; only what is between counts.",
            *_gaps(shown),
            *_shared_node(cell, shown),
            *_missing([panel for panel in made if panel.missing]),
        ]
    )
    return chart_of(
        cell,
        shown,
        key=f"timeline-{cell.number}",
        name="Timelines",
        title="Load, queue and resources",
        caption=caption,
    )


def chart_of(
    cell: CellFacts, shown: Sequence[Panel], *, key: str, name: str, title: str, caption: str
) -> Chart:
    """Draw panels over the steps of a cell, on one clock.

    Parameters
    ----------
    cell
        Whose steps.
    shown
        The panels, each with something to draw.
    key
        Of the figure.
    name
        What it is, as in "Timelines", for who does not see it.
    title, caption
        Of the figure.
    """
    height = _ABOVE + _BELOW + _PANEL_HEIGHT * len(shown)
    named = words.listed([panel.title.lower() for panel in shown])
    ladder = words.listed([short(step.level) for step in cell.steps])
    svg = drawing.picture(
        key,
        f"{name} of {cell.name}",
        f"Over the steps of {ladder}, on one clock: {named}. "
        "The table below the figure has a mean of each per step.",
        (WIDTH, height),
        lambda figure: _draw(figure, cell, shown, height),
    )
    return Chart(key, title, svg, caption, _table(cell, shown), wide=True)


def _gaps(shown: Sequence[Panel]) -> list[str]:
    """Name the times for which samples are missing, with what they are missing of."""
    found: dict[tuple[float, float], list[str]] = {}
    for panel in shown:
        for start, end in dict.fromkeys(gap for trace in panel.traces for gap in trace.gaps):
            # targets are scraped at moments of their own, within one second
            near = next((g for g in found if max(abs(g[0] - start), abs(g[1] - end)) < 1.5), None)
            found.setdefault(near or (start, end), []).append(panel.title.lower())
    if not found:
        return []
    times = [
        f"{words.listed(names)} from {words.plain(start)} to {words.single(end, 's')}"
        for (start, end), names in sorted(found.items())
    ]
    more = len(times) - _NAMED_GAPS
    if more > 0:
        times = [*times[:_NAMED_GAPS], f"{words.counted(more, 'time')} more"]
    return [f"Samples are missing where a line is open and the ground hatched: {'; '.join(times)}."]


def _shared_node(cell: CellFacts, shown: Sequence[Panel]) -> list[str]:
    """Say that a link of the node does not carry the requests, where it does not."""
    allocation = cell.environment.get("allocation") or {}
    nodes = allocation.get("service_nodes") or []
    here = allocation.get("launcher") == "local" or allocation.get("client_node") in nodes
    if not here or not any(panel.title.startswith("Network") for panel in shown):
        return []
    return ["Client and service are on one node: what the network moved is of others."]


def _missing(without: Sequence[Panel]) -> list[str]:
    """Say in one sentence what there is no panel of, and why."""
    by_reason: dict[str, list[str]] = {}
    for panel in without:
        title = panel.title if panel.title[1:2].isupper() else panel.title.lower()
        by_reason.setdefault(panel.missing, []).append(title)
    if not by_reason:
        return []
    told = [f"{words.listed(titles)} ({reason})" for reason, titles in by_reason.items()]
    return [f"Not available: {words.listed(told)}."]


def _draw(figure: Figure, cell: CellFacts, shown: Sequence[Panel], height: float) -> None:
    right = clock.end_of(cell)
    for place, panel in enumerate(shown):
        top = height - _ABOVE - place * _PANEL_HEIGHT
        axes = figure.add_axes(
            (
                LEFT / WIDTH,
                (top - _PANEL_HEIGHT + 30) / height,
                (WIDTH - LEFT - RIGHT) / WIDTH,
                (_PANEL_HEIGHT - 30) / height,
            )
        )
        axes.set_xlim(0, right)
        drawing.shade(axes, clock.uncounted(cell), facecolor=COLOURS["band"], lw=0, zorder=0)
        clock.starts(axes, cell)
        _draw_panel(axes, panel, cell.anchor)
        if place == 0:
            clock.name_steps(axes, cell, right, above=26)
        if place == len(shown) - 1:
            drawing.number_axis(axes.xaxis, count=12)
            axes.set_xlabel(clock.LABEL)
        else:
            axes.xaxis.set_visible(False)


def _draw_panel(axes: Axes, panel: Panel, name: str) -> None:
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
        hover.line(axes, drawn, trace.label, words.with_unit("", scale.label), name)
    gaps = list(dict.fromkeys(gap for trace in panel.traces for gap in trace.gaps))
    grey = COLOURS["muted"]
    drawing.shade(axes, gaps, facecolor="none", edgecolor=grey, hatch="///", lw=0, alpha=0.6)
    axes.set_ylim(0, scale.apply(max([*values, panel.ceiling])) * 1.1 or 1.0)
    drawing.number_axis(axes.yaxis, count=3)
    _legend(axes, panel)


def _draw_trace(axes: Axes, trace: Trace, scale: words.Scale) -> Line2D:
    times = [time for time, _ in trace.points]
    values = [scale.apply(value) for _, value in trace.points]
    (drawn,) = axes.plot(
        times,
        values,
        color=COLOURS[trace.colour],
        lw=trace.width,
        label=trace.label,
        drawstyle="steps-post" if trace.stepped else "default",
        linestyle=(0, (4, 2)) if trace.dashed else "-",
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
