"""Figures against the arrival rate: latency, throughput, tokens.

Each deployment has its own panel; panels of one metric share their scale, so
that two deployments can be compared by eye.
"""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.levels import CONCURRENCY
from escalade.report import words
from escalade.report.charts import drawing, hover
from escalade.report.charts.bound_lines import REQUESTS, TOKENS, draw_levels, levels_of, within
from escalade.report.charts.drawing import COLOURS, Chart
from escalade.report.charts.lines import (
    description,
    highest_of,
    judged_stat,
    limits_of,
    line_of,
    table_of,
    told,
)
from escalade.report.data import INVALID, SATURATED
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from escalade.report.charts.lines import Line, Point
    from escalade.report.data import ReportData

SIZE = (400.0, 285.0)
_LINEAR_SPAN = 12.0
"""Values further apart than this are drawn on a logarithmic axis."""
_OFF_SCALE = 3.0
"""A limit this many times above everything measured is named, not drawn."""
_LABEL_WIDTH = 0.3
"""Of the words "over-saturated", as a share of the panel's width."""
_SAME = words.Scale(1.0, "")


@dataclass(frozen=True)
class Scene:
    """What one panel shows: lines of a deployment, and what the verdicts say of it."""

    data: ReportData
    deployment: str
    lines: Sequence[Line]

    @property
    def points(self) -> list[Point]:
        """All points that have a place on the rate axis."""
        return [p for line in self.lines for p in line.points if math.isfinite(p.rate)]

    @property
    def right(self) -> float:
        """End of the rate axis, in requests/s."""
        return 1.08 * max((point.rate for point in self.points), default=1.0)

    def heading(self, text: str) -> str:
        """Give the panel's title, with the deployment where there are several."""
        return f"{text}, {self.deployment}" if len(self.data.deployments) > 1 else text


def latency_charts(data: ReportData) -> list[Chart]:
    """Draw latency, of queries too, and time to first token against the arrival rate, per deployment."""
    charts = []
    for metric in ("query_latency_seconds", "latency_seconds", "ttft_seconds"):
        judged = judged_stat(data, metric)
        scenes = [
            Scene(
                data,
                name,
                [
                    line_of(data, cells, metric, "p50", colour="sky", marker="s", strong=False),
                    line_of(data, cells, metric, judged, colour="blue"),
                ],
            )
            for name, cells in data.deployments.items()
        ]
        highest = highest_of([line for scene in scenes for line in scene.lines])
        if math.isfinite(highest):
            charts += [
                _latency_chart(scene, metric, highest, f"{metric.removesuffix('_seconds')}-{place}")
                for place, scene in enumerate(scenes, start=1)
            ]
    return charts


def throughput_charts(data: ReportData) -> list[Chart]:
    """Draw throughput, goodput and tokens against the arrival rate, per deployment."""
    charts = []
    for place, (name, cells) in enumerate(data.deployments.items(), start=1):
        done = line_of(data, cells, "throughput_qps", label="throughput", colour="blue")
        good = line_of(
            data,
            cells,
            "goodput_qps",
            label="goodput",
            colour="green",
            marker="D",
            strong=False,
        )
        if done.drawn or good.drawn:
            charts.append(_throughput_chart(Scene(data, name, [done, good]), place))
        tokens = line_of(data, cells, "output_tokens_per_second", label="", colour="purple")
        if tokens.drawn:
            charts.append(_tokens_chart(Scene(data, name, [tokens]), place))
    return charts


def _latency_chart(scene: Scene, metric: str, highest: float, key: str) -> Chart:
    heading = scene.heading(words.title(metric))
    limits = limits_of(scene.data, metric, scene.deployment)
    shown = [(stat, limit) for stat, limit in limits if limit <= _OFF_SCALE * highest]
    svg = drawing.picture(
        key,
        heading,
        description(scene.lines, "s", scene.data.axis),
        SIZE,
        lambda figure: _draw_latency(figure, scene, shown, highest),
    )
    lower, judged = scene.lines[0].label, scene.lines[-1].label
    caption = f"{judged} in bold, {lower} beside it; both with their intervals."
    above = [
        f"{stat} ≤ {words.single(limit, 's')}"
        for stat, limit in limits
        if (stat, limit) not in shown
    ]
    if above:
        caption += f" The limit {words.listed(above)} lies far above the figure."
    table = table_of(scene.lines, scene.data.axis)
    return Chart(key, heading, svg, caption, table, view=words.title(metric))


def _draw_latency(
    figure: Figure, scene: Scene, limits: Sequence[tuple[str, float]], highest: float
) -> None:
    axes = panel(figure)
    top = max(highest, *(limit for _, limit in limits), 0.0)
    scale = words.scale_for("s", (top,))
    values = [scale.apply(p.estimate.value) for line in scene.lines for p in line.steady]
    lowest, top = min(values, default=math.inf), scale.apply(top) * 1.12
    if 0 < lowest < top / _LINEAR_SPAN:
        axes.set_yscale("log")
        axes.set_ylim(lowest * 0.7, top * 1.2)
        drawing.log_axis(axes.yaxis)
    else:
        axes.set_ylim(0, top or 1)
        drawing.number_axis(axes.yaxis)
    since = "send" if scene.data.axis.name == CONCURRENCY else "planned send"
    axes.set_ylabel(f"{'seconds' if scale.label == 's' else scale.label} from {since}")
    against_rate(axes, scene)
    for stat, limit in limits:
        _limit_line(axes, scale.apply(limit), f"SLO: {stat} ≤ {words.single(limit, 's')}")
    draw_lines(axes, scene, scale)


def _throughput_chart(scene: Scene, place: int) -> Chart:
    key, heading = f"throughput-{place}", scene.heading("Throughput and goodput")
    opened = scene.data.axis.open
    ideal = max((point.rate for point in scene.points), default=1.0)
    grey = COLOURS["muted"]
    bounds = levels_of(scene.data, scene.deployment, REQUESTS)

    def draw(figure: Figure) -> None:
        axes = panel(figure, right=0.78)
        top = max(ideal if scene.data.axis.open else 0.0, highest_of(scene.lines), 0.1)
        axes.set_ylim(0, 1.12 * max(top, *(level.value for level in within(bounds, top)), 0.0))
        drawing.number_axis(axes.yaxis)
        axes.set_ylabel("requests/s")
        against_rate(axes, scene)
        also = []
        if scene.data.axis.open:  # else nothing says how much would be answered at once
            axes.plot([0, ideal], [0, ideal], color=grey, linestyle=(0, (4, 3)), lw=1.2)
            also = [(ideal, ideal, "ideal")]
        _capacity_height(axes, scene)
        draw_levels(axes, bounds, "requests/s")
        draw_lines(axes, scene, _SAME, also=also)

    svg = drawing.picture(
        key, heading, description(scene.lines, "requests/s", scene.data.axis), SIZE, draw
    )
    caption = (
        "Throughput counts completions inside the window, goodput those within the objective"
        + ("; on the dashed line everything sent would be answered at once." if opened else ".")
    )
    return Chart(key, heading, svg, caption, table_of(scene.lines, scene.data.axis))


def _tokens_chart(scene: Scene, place: int) -> Chart:
    key, heading = f"tokens-{place}", scene.heading("Output tokens per second")
    bounds = levels_of(scene.data, scene.deployment, TOKENS)

    def draw(figure: Figure) -> None:
        axes = panel(figure)
        top = max(highest_of(scene.lines), 0.1)
        axes.set_ylim(0, 1.15 * max(top, *(level.value for level in within(bounds, top)), 0.0))
        drawing.number_axis(axes.yaxis)
        axes.set_ylabel("tokens/s")
        against_rate(axes, scene)
        draw_levels(axes, bounds, "tokens/s")
        draw_lines(axes, scene, _SAME)

    svg = drawing.picture(
        key, heading, description(scene.lines, "tokens/s", scene.data.axis), SIZE, draw
    )
    caption = "Tokens of all answers, counted when they came."
    return Chart(key, heading, svg, caption, table_of(scene.lines, scene.data.axis))


def panel(figure: Figure, right: float = 0.9) -> Axes:
    """Give the axes of a figure against the arrival rate."""
    figure.subplots_adjust(left=0.15, right=right, bottom=0.155, top=0.91)
    return figure.add_subplot()


def against_rate(axes: Axes, scene: Scene) -> None:
    """Lay out what all figures against the arrival rate share."""
    right = scene.right
    axes.set_xlim(0, right)
    places = sorted({p.place for p in scene.points if math.isfinite(p.place)})
    narrowest = min((b - a for a, b in itertools.pairwise(places)), default=right)
    if places and narrowest / right > 0.05:
        drawing.fixed_axis(axes.xaxis, places, rate_labels(places, right))
    else:
        drawing.number_axis(axes.xaxis)
    axes.set_xlabel(scene.data.axis.label)
    _saturated(axes, scene)
    _capacity_band(axes, scene)


def rate_labels(places: Sequence[float], right: float) -> list[str]:
    """Label ascending rates on an axis from 0 to `right`, but none that would touch the one before."""
    labels: list[str] = []
    free = -right
    for place in places:
        text = words.rate(place)
        labels.append(text if place >= free else "")
        if labels[-1]:
            free = place + right * (0.045 + 0.02 * len(text))  # of the narrowest panel
    return labels


def saturated_regions(points: Sequence[Point], right: float) -> list[tuple[float, float]]:
    """Give the parts of the rate axis that belong to over-saturated steps.

    A step's part reaches half-way to its neighbours, the last one's to the end
    of the axis; parts that touch are one.
    """
    steps: dict[float, list[Point]] = {}
    for point in points:
        steps.setdefault(point.place, []).append(point)
    rates = [statistics.median(p.rate for p in steps[target]) for target in sorted(steps)]
    states = [any(p.state == SATURATED for p in steps[target]) for target in sorted(steps)]
    edges = [0.0, *((a + b) / 2 for a, b in itertools.pairwise(rates)), right]
    regions: list[tuple[float, float]] = []
    for start, end, saturated in zip(edges, edges[1:], states, strict=False):
        if saturated and regions and regions[-1][1] == start:
            regions[-1] = regions[-1][0], end
        elif saturated:
            regions.append((start, end))
    return regions


def _saturated(axes: Axes, scene: Scene) -> None:
    regions = saturated_regions(scene.points, scene.right)
    for start, end in regions:
        grey = COLOURS["muted"]
        axes.axvspan(start, end, facecolor="none", edgecolor=grey, hatch="///", lw=0, alpha=0.6)


def _name_saturated(axes: Axes, scene: Scene) -> None:
    """Write over the widest over-saturated part what it is, where no line runs."""
    regions = saturated_regions(scene.points, scene.right)
    if not regions:
        return
    start, end = max(regions, key=lambda region: region[1] - region[0])
    wide = (end - start) / scene.right > _LABEL_WIDTH
    middle, half = (start + end) / 2, _LABEL_WIDTH / 2 * scene.right
    axes.text(
        middle,
        drawing.free_height(axes, middle - half, middle + half) if wide else 0.5,
        "over-saturated",
        transform=axes.get_xaxis_transform(),
        rotation=0 if wide else 90,
        ha="center",
        va="center",
        fontsize=drawing.SMALL,
        zorder=1.5,
    )


def _capacity_band(axes: Axes, scene: Scene) -> None:
    """Mark the capacity on the rate axis: a line per repetition, a band for its interval."""
    rows = scene.data.capacity_of(scene.deployment)
    held = [value for row in rows if math.isfinite(value := known(row.get("capacity_qps")))]
    above: dict[str, Any] = {
        "transform": axes.get_xaxis_transform(),
        "fontsize": drawing.SMALL,
        "va": "bottom",
    }
    if not scene.data.axis.open:
        return
    if not held or not all(row.get("saturated") for row in rows):
        bounds = [value for row in rows if math.isfinite(value := known(row.get("ci_low")))]
        if bounds:
            text = f"capacity ≥ {words.plain(min(bounds))}"
            axes.text(scene.right, 1.025, text, ha="right", **above)
        return
    joint = scene.data.joint_capacity_of(scene.deployment)
    spans = [
        (low, high)
        for row in ([joint] if joint else rows)
        if math.isfinite(low := known(row.get("ci_low")))
        and math.isfinite(high := known(row.get("ci_high")))
    ]
    if spans:
        low, high = min(low for low, _ in spans), max(high for _, high in spans)
        axes.axvspan(low, high, facecolor=COLOURS["orange"], alpha=0.22, lw=0)
    for value in held:
        axes.axvline(value, color=COLOURS["orange"], lw=1.5 if len(held) == 1 else 1.0)
    middle = known((joint or {}).get("capacity_qps"))
    middle = middle if math.isfinite(middle) else statistics.median(held)
    side = "right" if middle / scene.right > 0.8 else "center"
    axes.text(middle, 1.025, f"capacity {words.plain(middle)}", ha=side, **above)


def _capacity_height(axes: Axes, scene: Scene) -> None:
    rows = [row for row in scene.data.capacity_of(scene.deployment) if row.get("saturated")]
    held = [value for row in rows if math.isfinite(value := known(row.get("capacity_qps")))]
    if held:
        height = statistics.median(held)
        axes.axhline(height, color=COLOURS["orange"], lw=1.2, linestyle=(0, (1, 2)))


def _limit_line(axes: Axes, height: float, label: str) -> None:
    axes.axhline(height, color=COLOURS["vermilion"], lw=1.5, linestyle=(0, (6, 3)))
    axes.annotate(
        label,
        (0, height),
        xycoords=("axes fraction", "data"),
        xytext=(5, 4),
        textcoords="offset points",
        fontsize=drawing.SMALL,
        zorder=6,
    )


def draw_lines(
    axes: Axes,
    scene: Scene,
    scale: words.Scale,
    also: Sequence[tuple[float, float, str]] = (),
) -> None:
    """Draw points, median lines and their labels; `also` are labels of other lines."""
    ends = list(also)
    for line in scene.lines:
        middle = [(rate, scale.apply(value)) for rate, value in line.middle()]
        if middle:
            width = 2.4 if line.strong else 1.4
            axes.plot(*zip(*middle, strict=True), color=COLOURS[line.colour], lw=width)
        for point in line.drawn:
            height = _draw_point(axes, line, point, scale)
            hover.point(
                axes, line.label or "value", point.rate, height, told(point, scene.data.axis)
            )
        if line.label and middle:
            ends.append((*middle[-1], line.label))
    drawing.label_lines(axes, ends)
    _name_saturated(axes, scene)


def _draw_point(axes: Axes, line: Line, point: Point, scale: words.Scale) -> float:
    """Draw a value: filled when valid, a cross when INVALID, a hollow triangle when it only grows.

    What grows with time is drawn at the top edge where it lies beyond; gives the height.
    """
    colour, estimate = COLOURS[line.colour], point.estimate
    value = scale.apply(estimate.value)
    bottom, top = axes.get_ylim()
    unsteady = line.is_unsteady(point)
    if estimate.has_interval and not unsteady:
        axes.plot(
            [point.rate, point.rate],
            [max(scale.apply(estimate.low), bottom), min(scale.apply(estimate.high), top)],
            color=colour,
            lw=5 if line.strong else 3,
            alpha=0.35,
            solid_capstyle="round",
        )
    invalid = point.state == INVALID
    marker = "^" if unsteady else "x" if invalid else line.marker
    height = min(value, top) if unsteady else value
    axes.plot(
        [point.rate],
        [height],
        marker=marker,
        markersize=7 if line.strong else 5.5,
        markerfacecolor=COLOURS["card"] if unsteady else colour,
        markeredgecolor=colour,
        markeredgewidth=2.2 if invalid else 1.4,
        linestyle="none",
        clip_on=False,
        zorder=4,
    )
    return height
