"""What all figures against the arrival rate share: the axis, saturated steps, capacity, lines and points."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.charts import drawing, hover
from escalade.report.charts.drawing import COLOURS
from escalade.report.charts.lines import told
from escalade.report.charts.pieces import mark_line
from escalade.report.facts import INVALID, SATURATED
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from escalade.report.charts.lines import Line, Point
    from escalade.report.data import ReportData

_LABEL_WIDTH = 0.3
"""Of the words "over-saturated", as a share of the panel's width."""
SAME = words.Scale(1.0, "")
"""Of a quantity that is shown in its own unit."""


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


def panel(figure: Figure, right: float = 0.9) -> Axes:
    """Make the only panel of a figure of the usual size."""
    figure.subplots_adjust(left=0.15, right=right, bottom=0.155, top=0.91)
    return figure.add_subplot()


def against_rate(axes: Axes, scene: Scene) -> None:
    """Lay out the axis of the load, with what the verdicts say of the deployment."""
    load_axis(axes, scene)
    _saturated(axes, scene)
    _capacity_band(axes, scene)
    mark_line(axes, scene.data, scene.deployment)


def load_axis(axes: Axes, scene: Scene) -> None:
    """Lay out the axis of the load alone."""
    right = scene.right
    axes.set_xlim(0, right)
    places = sorted({p.place for p in scene.points if math.isfinite(p.place)})
    narrowest = min((b - a for a, b in itertools.pairwise(places)), default=right)
    if places and narrowest / right > 0.05:
        drawing.fixed_axis(axes.xaxis, places, rate_labels(places, right))
    else:
        drawing.number_axis(axes.xaxis)
    axes.set_xlabel(scene.data.axis.label)


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


def capacity_height(axes: Axes, scene: Scene) -> None:
    """Draw the capacity as a height, where throughput stops following."""
    rows = [row for row in scene.data.capacity_of(scene.deployment) if row.get("saturated")]
    held = [value for row in rows if math.isfinite(value := known(row.get("capacity_qps")))]
    if held:
        height = statistics.median(held)
        axes.axhline(height, color=COLOURS["orange"], lw=1.2, linestyle=(0, (1, 2)))


def limit_line(axes: Axes, height: float, label: str) -> None:
    """Draw the limit of an objective, with its label above the line."""
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
    *,
    named: bool = True,
) -> None:
    """Draw the lines of a scene with their points and intervals, and what is `also` to be named.

    Lines without `named` are in a legend, and have no label at their end.
    """
    ends = list(also)
    for line in scene.lines:
        _draw_band(axes, line, scale)
        middle = [(rate, scale.apply(value)) for rate, value in line.middle()]
        if middle:
            axes.plot(
                *zip(*middle, strict=True),
                color=COLOURS[line.colour],
                lw=2.4 if line.strong else 1.4,
                linestyle=line.style,
            )
        _draw_intervals(axes, line, scale)
        _draw_points(axes, scene, line, scale)
        if line.label and middle:
            ends.append((*middle[-1], line.label))
    if named:
        drawing.label_lines(axes, ends)
        _name_saturated(axes, scene)


def _draw_band(axes: Axes, line: Line, scale: words.Scale) -> None:
    """Shade the interval between the steps: over repetitions, or that of the only run."""
    bottom, top = axes.get_ylim()
    band = [
        (rate, max(scale.apply(low), bottom), min(scale.apply(high), top))
        for rate, low, high in line.band()
    ]
    if len(band) > 1:
        axes.fill_between(
            *zip(*band, strict=True),  # type: ignore[arg-type]
            color=COLOURS[line.colour],
            alpha=0.16,
            lw=0,
            zorder=1,
        )


def _draw_intervals(axes: Axes, line: Line, scale: words.Scale) -> None:
    """Draw the interval of every point, unless there is one over repetitions."""
    bottom, top = axes.get_ylim()
    known = [p for p in line.steady if p.estimate.has_interval and not line.over_runs]
    ends = [
        (max(scale.apply(p.estimate.low), bottom), min(scale.apply(p.estimate.high), top))
        for p in known
    ]
    drawing.uprights(
        axes,
        [point.rate for point in known],
        ends,
        color=COLOURS[line.colour],
        lw=5 if line.strong else 3,
        alpha=0.35,
        solid_capstyle="round",
    )


def _draw_points(axes: Axes, scene: Scene, line: Line, scale: words.Scale) -> None:
    """Draw the values, those of one look at once: filled when valid, a cross when INVALID, hollow when they grow.

    What grows with time is drawn at the top edge where it lies beyond.
    """
    top = axes.get_ylim()[1]
    alike: dict[tuple[bool, bool], list[tuple[float, float]]] = {}
    for point in line.drawn:
        unsteady = line.is_unsteady(point)
        value = scale.apply(point.estimate.value)
        height = min(value, top) if unsteady else value
        alike.setdefault((point.state == INVALID, unsteady), []).append((point.rate, height))
        series = line.label or "value"
        hover.point(axes, series, point.rate, height, told(point, scene.data.axis))
    colour = COLOURS[line.colour]
    for (invalid, unsteady), places in alike.items():
        axes.plot(
            *zip(*places, strict=True),
            marker="x" if invalid else line.marker,
            markersize=6.5 if line.strong and not line.over_runs else 5,
            markerfacecolor=COLOURS["card"] if unsteady else colour,
            markeredgecolor=colour,
            markeredgewidth=2.2 if invalid else 1.4,
            linestyle="none",
            clip_on=False,
            zorder=4,
        )
