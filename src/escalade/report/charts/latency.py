"""Latency against the arrival rate: end to end, of queries, to the first token, between tokens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from escalade.analysis.measured.levels import CONCURRENCY
from escalade.report import words
from escalade.report.charts import drawing, overlay
from escalade.report.charts.drawing import SIZE, Chart
from escalade.report.charts.ladder import (
    Scene,
    against_rate,
    draw_lines,
    limit_line,
    load_axis,
    panel,
)
from escalade.report.charts.lines import (
    description,
    highest_of,
    judged_stat,
    limits_of,
    line_of,
    table_by_deployment,
    table_of,
    told_band,
)
from escalade.report.charts.pieces import mark_lines, told_pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from escalade.report.charts.lines import Line
    from escalade.report.data import ReportData

METRICS = ("query_latency_seconds", "latency_seconds", "ttft_seconds", "itl_seconds")
_LINEAR_SPAN = 12.0
"""Values further apart than this are drawn on a logarithmic axis."""
_OFF_SCALE = 3.0
"""A limit this many times above everything measured is named, not drawn."""
_BAND_SCALE = 1.5
"""An interval reaches at most so far above the values: what of it lies beyond is cut."""

Limits = list[tuple[str, float]]


def latency_charts(data: ReportData) -> list[Chart]:
    """Draw every time that has values against the load: all deployments of a metric in one figure.

    More than six are spread over several figures with one scale.
    """
    charts: list[Chart] = []
    names = list(data.deployments)
    for metric in METRICS:
        if len(names) == 1:
            charts += _of_one(data, names[0], metric)
        else:
            charts += _of_several(data, names, metric)
    return charts


def _of_one(data: ReportData, name: str, metric: str) -> list[Chart]:
    cells, judged = data.deployments[name], judged_stat(data, metric)
    lines = [
        line_of(data, cells, metric, "p50", colour="sky", marker="s", strong=False),
        line_of(data, cells, metric, judged, colour="blue"),
    ]
    if not math.isfinite(highest_of(lines)):
        return []
    scene = Scene(data, name, lines)
    heading = words.title(metric)
    limits = limits_of(data, metric, name)
    shown = _within(limits, highest_of(lines))
    key = f"{metric.removesuffix('_seconds')}-1"

    def draw(figure: Figure) -> None:
        axes = panel(figure)
        scale = _scaled(axes, scene, shown, highest_of(lines), metric)
        against_rate(axes, scene)
        _draw_limits(axes, shown, scale)
        draw_lines(axes, scene, scale)

    svg = drawing.picture(key, heading, description(lines, "s", data.axis), SIZE, draw)
    caption = f"{judged} in bold, p50 beside it. {told_band(lines)}{_beyond(limits, shown)}"
    caption += told_pieces(data, [name])
    table = table_of(lines, data.axis)
    return [Chart(key, heading, svg, caption, table, view=words.title(metric))]


def _of_several(data: ReportData, names: Sequence[str], metric: str) -> list[Chart]:
    judged = judged_stat(data, metric)
    lines = {
        name: line
        for place, name in enumerate(names)
        if (line := _line(data, name, metric, judged, place)).drawn
    }
    highest = highest_of(list(lines.values()))
    if not math.isfinite(highest):
        return []
    known = list(lines)
    groups = [known[start : start + overlay.MOST] for start in range(0, len(known), overlay.MOST)]
    charts = []
    for place, group in enumerate(groups, start=1):
        part = f", part {place} of {len(groups)}" if len(groups) > 1 else ""
        key = f"{metric.removesuffix('_seconds')}-{place}"
        scene = Scene(data, "", [lines[name] for name in group])
        charts.append(_overlaid(scene, group, metric, (key, part), highest))
    return charts


def _line(data: ReportData, name: str, metric: str, stat: str, place: int) -> Line:
    colour, marker, style = overlay.LOOKS[place % overlay.MOST]
    return line_of(
        data,
        data.deployments[name],
        metric,
        stat,
        label=name,
        colour=colour,
        marker=marker,
        style=style,
    )


def _overlaid(
    scene: Scene, names: Sequence[str], metric: str, named: tuple[str, str], highest: float
) -> Chart:
    data, (key, part) = scene.data, named
    judged = judged_stat(data, metric)
    heading = f"{words.title(metric)}, {judged}{part}"
    limits = list(
        dict.fromkeys(
            (stat, limit)
            for name in names
            for stat, limit in limits_of(data, metric, name)
            if stat == judged
        )
    )
    shown = _within(limits, highest)
    strip = data.axis.open
    size = (SIZE[0], overlay.height_of(names, strip=strip))

    def draw(figure: Figure) -> None:
        looks = [(line.label, line.colour, line.marker, line.style) for line in scene.lines]
        axes = overlay.main_panel(figure, looks, strip=strip)
        scale = _scaled(axes, scene, shown, highest, metric)
        load_axis(axes, scene)
        mark_lines(axes, data, {line.label: line.colour for line in scene.lines})
        _draw_limits(axes, shown, scale)
        draw_lines(axes, scene, scale, named=False)
        if strip:
            overlay.capacity_strip(figure, axes, scene, names)

    svg = drawing.picture(key, heading, description(scene.lines, "s", data.axis), size, draw)
    caption = f"A shape and a line for each deployment. {told_band(scene.lines)}"
    caption += _beyond(limits, shown)
    caption += told_pieces(data, names, "dotted line of its colour")
    table = table_by_deployment(scene.lines, data.axis)
    return Chart(key, heading, svg, caption, table, view=words.title(metric))


def _scaled(axes: Axes, scene: Scene, limits: Limits, highest: float, metric: str) -> words.Scale:
    """Choose unit and kind of the axis of latency."""
    points = [p.estimate.value for line in scene.lines for p in line.steady]
    bands = [high for line in scene.lines for _, _, high in line.band() if math.isfinite(high)]
    wanted = min(max(bands, default=0.0), _BAND_SCALE * max(points, default=highest))
    top = max(highest, wanted, *(limit for _, limit in limits))
    scale = words.scale_for("s", (top,))
    lowest, top = scale.apply(min(points, default=math.inf)), scale.apply(top) * 1.12
    if 0 < lowest < top / _LINEAR_SPAN:
        axes.set_yscale("log")
        axes.set_ylim(lowest * 0.7, top * 1.2)
        drawing.log_axis(axes.yaxis)
    else:
        axes.set_ylim(0, top or 1)
        drawing.number_axis(axes.yaxis)
    unit = "seconds" if scale.label == "s" else scale.label
    since = "send" if scene.data.axis.name == CONCURRENCY else "planned send"
    axes.set_ylabel(f"{unit} between tokens" if metric == "itl_seconds" else f"{unit} from {since}")
    return scale


def _within(limits: Limits, highest: float) -> Limits:
    return [(stat, limit) for stat, limit in limits if limit <= _OFF_SCALE * highest]


def _draw_limits(axes: Axes, limits: Limits, scale: words.Scale) -> None:
    for stat, limit in limits:
        limit_line(axes, scale.apply(limit), f"SLO: {stat} ≤ {words.single(limit, 's')}")


def _beyond(limits: Limits, shown: Limits) -> str:
    """Name the limits that lie too far above to be drawn."""
    above = [
        f"{stat} ≤ {words.single(limit, 's')}"
        for stat, limit in limits
        if (stat, limit) not in shown
    ]
    return f" The limit {words.listed(above)} lies far above the figure." if above else ""
