"""Several campaigns in one figure against the arrival rate: one line per campaign and deployment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.analysis.kpis.catalogue import WAITING
from escalade.analysis.measured.levels import RATE
from escalade.report import words
from escalade.report.axis import AXES
from escalade.report.charts import drawing, hover
from escalade.report.charts.drawing import COLOURS, Chart
from escalade.report.charts.latency import METRICS
from escalade.report.charts.lines import judged_stat, line_of, told
from escalade.report.several.told import labels
from escalade.report.tables import Table
from escalade.report.words import NOTHING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from escalade.report.charts.lines import Line
    from escalade.report.several.told import Member

_SIZE = (1080.0, 420.0)
_COLOURS = ("blue", "vermilion", "green", "purple", "orange", "sky")
_MARKERS = ("o", "s", "D", "^", "v", "P")
_MOST_LINES = 24
_LINEAR_SPAN = 12.0


@dataclass(frozen=True)
class Views:
    """Charts of which a reader looks at one at a time."""

    title: str
    charts: tuple[Chart, ...]


def views(members: Sequence[Member]) -> list[Views]:
    """Draw times, and rates, of all campaigns whose load has a rate; what none has is left out."""
    times = [_time(metric, members) for metric in METRICS]
    rates = [
        _Wanted("throughput", "throughput_qps", None, "Throughput", "requests/s", "Throughput"),
        _Wanted("goodput", "goodput_qps", None, "Goodput", "requests/s", "Goodput"),
        _Wanted(
            *("tokens", "output_tokens_per_second", None),
            *("Output tokens per second", "tokens/s", "Output tokens"),
        ),
    ]
    found = [
        Views(title, tuple(chart for each in wanted if (chart := _chart(each, members))))
        for title, wanted in (("Latency", times), ("Throughput", rates))
    ]
    return [each for each in found if each.charts]


def _time(metric: str, members: Sequence[Member]) -> _Wanted:
    title, stat = words.title(metric), _stat(members, metric)
    key = metric.removesuffix("_seconds")
    return _Wanted(key, metric, stat, f"{title}, {stat}", "s", title)


def _stat(members: Sequence[Member], metric: str) -> str:
    """Give the statistic that objectives judge, of the first campaign that has one."""
    judged = [
        member.data
        for member in members
        if any(row.get("metric") == metric for row in member.data.slos)
    ]
    return judged_stat(judged[0], metric) if judged else "p90"


def _lines(members: Sequence[Member], metric: str, stat: str | None) -> list[Line]:
    found: list[Line] = []
    for member, label in zip(members, labels(members), strict=True):
        if not member.data.axis.open:
            continue
        several = len(member.data.deployments) > 1
        for deployment, cells in member.data.deployments.items():
            place = len(found)
            found.append(
                line_of(
                    member.data,
                    cells,
                    metric,
                    stat,
                    label=f"{label}: {deployment}" if several else label,
                    colour=_COLOURS[place % len(_COLOURS)],
                    marker=_MARKERS[(place + place // len(_COLOURS)) % len(_MARKERS)],
                )
            )
    return [line for line in found if line.middle()]


@dataclass(frozen=True)
class _Wanted:
    """What a figure shows."""

    key: str
    metric: str
    stat: str | None
    heading: str
    unit: str
    view: str


def _chart(wanted: _Wanted, members: Sequence[Member]) -> Chart | None:
    lines, unit = _lines(members, wanted.metric, wanted.stat), wanted.unit
    if not lines:
        return None
    shown = lines[:_MOST_LINES]
    said = "; ".join(
        f"{line.label} goes from {words.single(line.middle()[0][1], unit)} at "
        f"{words.plain(line.middle()[0][0])} to {words.single(line.middle()[-1][1], unit)} at "
        f"{words.plain(line.middle()[-1][0])} requests/s"
        for line in shown
    )
    svg = drawing.picture(
        f"several-{wanted.key}",
        wanted.heading,
        f"Against the arrival rate: {words.sentence(said)} The table below the figure has every value.",
        _SIZE,
        lambda figure: _draw(figure, shown, unit),
    )
    caption = "One line per campaign and deployment, the median over its repetitions; points are repetitions."
    if wanted.metric in WAITING:
        caption += " Over-saturated steps have no steady latency and are left out."
    if len(lines) > len(shown):
        caption += f" {len(lines) - len(shown)} more lines are in the table alone."
    return Chart(
        f"several-{wanted.key}",
        wanted.heading,
        svg,
        caption,
        _table(lines, unit),
        wide=True,
        view=wanted.view,
    )


def _draw(figure: Figure, lines: Sequence[Line], unit: str) -> None:
    axes = figure.add_axes((0.07, 0.13, 0.69, 0.83))
    values = [value for line in lines for _, value in line.middle()]
    scale = words.scale_for(unit, values)
    lowest, top = scale.apply(min(values)), scale.apply(max(values))
    if unit == "s" and 0 < lowest < top / _LINEAR_SPAN:
        axes.set_yscale("log")
        axes.set_ylim(lowest * 0.7, top * 1.3)
        drawing.log_axis(axes.yaxis)
    else:
        axes.set_ylim(0, top * 1.12 or 1.0)
        drawing.number_axis(axes.yaxis)
    rates = [rate for line in lines for rate, _ in line.middle()]
    if 0 < min(rates) < max(rates) / _LINEAR_SPAN:
        axes.set_xscale("log")
        axes.set_xlim(min(rates) * 0.8, max(rates) * 1.1)
        drawing.log_axis(axes.xaxis)
    else:
        axes.set_xlim(0, 1.04 * max(rates))
        drawing.number_axis(axes.xaxis, count=8)
    axes.set_xlabel("arrival rate (requests/s)")
    axes.set_ylabel("seconds" if scale.label == "s" else scale.label)
    for line in lines:
        _draw_line(axes, line, scale)
    ends = [(line.middle()[-1][0], scale.apply(line.middle()[-1][1]), _cut(line)) for line in lines]
    drawing.label_lines(axes, ends)


def _draw_line(axes: Axes, line: Line, scale: words.Scale) -> None:
    rates, values = zip(*line.middle(), strict=True)
    axes.plot(
        rates,
        [scale.apply(value) for value in values],
        color=COLOURS[line.colour],
        lw=2.0,
        marker=line.marker,
        markersize=7,
        label=line.label,
    )
    shown = [point for point in line.steady if math.isfinite(point.rate)]
    points = [(point.rate, scale.apply(point.estimate.value)) for point in shown]
    if len(points) > len(rates):
        x, y = zip(*points, strict=True)
        axes.plot(x, y, linestyle="", marker=line.marker, markersize=4, color=COLOURS[line.colour])
    for point, place in zip(shown, points, strict=True):
        hover.point(axes, line.label, *place, told(point, AXES[RATE]))


def _cut(line: Line) -> str:
    return line.label if len(line.label) <= 34 else f"{line.label[:33]}…"


def _table(lines: Sequence[Line], unit: str) -> Table:
    rows = []
    for line in lines:
        for point in line.points:
            estimate = point.estimate
            told = words.amount(estimate.value, estimate.low, estimate.high, unit)
            rows.append(
                (
                    line.label,
                    str(point.repetition),
                    words.rate(point.place),
                    words.plain(point.rate),
                    point.state,
                    told if estimate.known else f"{NOTHING} ({estimate.reason})",
                )
            )
    columns = ("Campaign", "Repetition", "Target (/s)", "Arrival rate (/s)", "State", "Value")
    return Table(columns, tuple(rows))
