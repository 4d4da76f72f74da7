"""Latency against throughput, all deployments together: which steps no other beats in both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.axis import at, level
from escalade.report.charts import drawing, hover, overlay
from escalade.report.charts.drawing import COLOURS, SIZE, Chart
from escalade.report.tables import Table
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from escalade.report.data import ReportData

_LINEAR_SPAN = 12.0
_OTHERS = ("muted", ".", (0, (1, 1.2)))
_HEADING = "Throughput and latency, all deployments"

Row = dict[str, Any]


def front_charts(data: ReportData) -> list[Chart]:
    """Draw the steps of several deployments by latency and throughput; nothing without two to compare."""
    rows = [row for row in data.front if math.isfinite(_seconds(row)) and math.isfinite(_rate(row))]
    names = list(dict.fromkeys(words.clean(row.get("deployment")) for row in rows))
    if len(names) < 2:
        return []
    stat = words.clean(rows[0].get("stat"))
    best = [row for row in rows if row.get("on_front")]
    shown = _looked(names, best)
    strongest = words.listed([_told(row) for row in sorted(best, key=_seconds)])
    svg = drawing.picture(
        "front",
        _HEADING,
        f"Throughput against the {stat} of latency; better is up and to the left. "
        f"No other step is as good in both as {strongest}. The table below the figure has every value.",
        (SIZE[0], overlay.height_of(shown, strip=False)),
        lambda figure: _draw(figure, rows, shown, stat),
    )
    most = max(int(known(row.get("repetitions"))) for row in rows)
    caption = (
        "A point per step, labelled with its load where there is room; filled, and joined by the dark line: no other "
        "step has both more throughput and less latency (Pareto front). "
        + (f"Medians over {most} repetitions. " if most > 1 else "")
        + "Over-saturated and INVALID steps are left out. The front has no margin for chance."
    )
    if len(names) > len(shown):
        caption += " Deployments without a step on the front are grey."
    return [Chart("front", _HEADING, svg, caption, _table(rows))]


def _seconds(row: Row) -> float:
    return known(row.get("latency_seconds"))


def _rate(row: Row) -> float:
    return known(row.get("throughput_qps"))


def _told(row: Row) -> str:
    return f"{words.clean(row.get('deployment'))} {at(level(row))}"


def _looked(names: Sequence[str], best: Sequence[Row]) -> list[str]:
    """Choose the deployments that have a look of their own: all, or those on the front where they are many."""
    if len(names) <= overlay.MOST:
        return list(names)
    leading = dict.fromkeys(words.clean(row.get("deployment")) for row in best)
    return [name for name in names if name in leading][: overlay.MOST]


def _draw(figure: Figure, rows: Sequence[Row], shown: Sequence[str], stat: str) -> None:
    looks = {name: overlay.LOOKS[place] for place, name in enumerate(shown)}
    axes = overlay.main_panel(figure, [(name, *looks[name]) for name in shown], strip=False)
    scale = words.scale_for("s", [_seconds(row) for row in rows])
    seconds = [scale.apply(_seconds(row)) for row in rows]
    if 0 < min(seconds) < max(seconds) / _LINEAR_SPAN:
        axes.set_xscale("log")
        axes.set_xlim(min(seconds) * 0.7, max(seconds) * 1.5)
        drawing.log_axis(axes.xaxis)
    else:
        axes.set_xlim(0, max(seconds) * 1.15 or 1.0)
        drawing.number_axis(axes.xaxis)
    axes.set_ylim(0, max(_rate(row) for row in rows) * 1.15 or 1.0)
    drawing.number_axis(axes.yaxis)
    unit = "seconds" if scale.label == "s" else scale.label
    axes.set_xlabel(f"{stat} of end-to-end latency ({unit})")
    axes.set_ylabel("throughput (requests/s)")
    _staircase(axes, rows, scale)
    for name in dict.fromkeys(words.clean(row.get("deployment")) for row in rows):
        mine = [row for row in rows if words.clean(row.get("deployment")) == name]
        colour, marker, style = looks.get(name, _OTHERS)
        places = [(scale.apply(_seconds(row)), _rate(row)) for row in mine]
        axes.plot(*zip(*places, strict=True), color=COLOURS[colour], lw=1.2, linestyle=style)
        for row, (x, y) in zip(mine, places, strict=True):
            _point(axes, row, (x, y), (colour, marker))
            hover.point(axes, name, x, y, _said(row, stat))
    overlay.name_points(
        axes,
        [
            (scale.apply(_seconds(row)), _rate(row), words.rate(level(row).value))
            for row in sorted(rows, key=lambda row: not row.get("on_front"))
        ],
    )
    axes.annotate(
        "better",
        (0.88, 0.16),
        xytext=(0.985, 0.05),
        xycoords="axes fraction",
        textcoords="axes fraction",
        fontsize=drawing.SMALL,
        ha="right",
        va="center",
        arrowprops={"arrowstyle": "->", "color": COLOURS["ink"], "lw": 1.4},
    )


def _staircase(axes: Axes, rows: Sequence[Row], scale: words.Scale) -> None:
    """Join the points of the front: so much throughput is to be had within so much time."""
    best = sorted((row for row in rows if row.get("on_front")), key=_seconds)
    x = [scale.apply(_seconds(row)) for row in best]
    y = [_rate(row) for row in best]
    axes.plot(
        [x[0], *x, axes.get_xlim()[1]],
        [0.0, *y, y[-1]],
        color=COLOURS["ink"],
        lw=1.6,
        alpha=0.55,
        drawstyle="steps-post",
        zorder=1.5,
    )


def _point(axes: Axes, row: Row, place: tuple[float, float], look: tuple[str, str]) -> None:
    colour, marker = look
    leading = bool(row.get("on_front"))
    axes.plot(
        *([value] for value in place),
        marker=marker,
        markersize=7 if leading else 5.5,
        color=COLOURS[colour],
        markerfacecolor=COLOURS[colour] if leading else COLOURS["card"],
        markeredgewidth=1.4,
        linestyle="none",
        zorder=4,
    )


def _said(row: Row, stat: str) -> str:
    led = "on the front" if row.get("on_front") else "not on the front"
    return (
        f"{words.single(_rate(row), 'requests/s')}, {stat} {words.single(_seconds(row), 's')}, "
        f"{at(level(row))}; step {row.get('step')}, {led}"
    )


def _table(rows: Sequence[Row]) -> Table:
    stat = words.clean(rows[0].get("stat"))
    columns = ("Deployment", "Step", "Load", "Throughput (/s)", f"Latency, {stat}", "On the front")
    return Table(
        columns,
        tuple(
            (
                words.clean(row.get("deployment")),
                words.clean(row.get("step")),
                words.rate(level(row).value),
                words.plain(_rate(row)),
                words.single(_seconds(row), "s"),
                "yes" if row.get("on_front") else "no",
            )
            for row in rows
        ),
    )
