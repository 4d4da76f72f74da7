"""Several deployments in one figure: looks that differ in shape and line, a legend, a strip of capacities."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING

from escalade.report import words
from escalade.report.charts import drawing
from escalade.report.charts.drawing import COLOURS
from escalade.report.charts.ladder import load_axis, saturated_regions
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from escalade.report.charts.ladder import Scene
    from escalade.report.charts.lines import Line

Style = str | tuple[float, tuple[float, ...]]
Look = tuple[str, str, Style]
"""Colour, shape, and style of the line."""

Box = tuple[float, float, float, float]
"""Left, bottom, right and top, in pixels."""

LOOKS: tuple[Look, ...] = (
    ("blue", "o", "-"),
    ("orange", "s", (0, (6, 2))),
    ("green", "D", (0, (1, 1.2))),
    ("purple", "^", (0, (5, 2, 1, 2))),
    ("sky", "v", (0, (3, 1.5))),
    ("ink", "P", "-"),
)
"""Of each deployment of a figure: none is told by its colour alone."""
MOST = len(LOOKS)
_ROW = 17.0
_LONGEST = {2: 16, 1: 42}
"""Letters of a name for which a legend of so many columns has room; the table below has all of a longer one."""
_MAIN = 214.0
_SIDE = (0.15, 0.95)
_BELOW, _STRIP_TITLE = 46.0, 26.0


def height_of(names: Sequence[str], *, strip: bool) -> float:
    """Give the height of a figure of these deployments, in CSS pixels."""
    rows = math.ceil(len(names) / _columns(names))
    below = _STRIP_TITLE + len(names) * _ROW if strip else 0.0
    return rows * _ROW + 10 + _MAIN + below + _BELOW


def _columns(names: Sequence[str]) -> int:
    return 2 if max(map(len, names)) <= _LONGEST[2] else 1


def main_panel(
    figure: Figure, named: Sequence[tuple[str, str, str, Style]], *, strip: bool
) -> Axes:
    """Make the panel that all share, with a legend of names and looks above it."""
    names = [name for name, *_ in named]
    height, columns = height_of(names, strip=strip), _columns(names)
    rows = math.ceil(len(named) / columns)
    top = height - rows * _ROW - 10
    left, right = _SIDE
    axes = figure.add_axes((left, (top - _MAIN) / height, right - left, _MAIN / height))
    for place, (name, colour, marker, style) in enumerate(named):
        row, column = divmod(place, columns)
        x, y = left + column * (right - left) / 2, (height - 10 - row * _ROW) / height
        axes.plot(
            [x, x + 0.05, x + 0.1],
            [y] * 3,
            color=COLOURS[colour],
            marker=marker,
            markevery=[1],
            markersize=6,
            linestyle=style,
            lw=2,
            transform=figure.transFigure,
            clip_on=False,
        )
        figure.text(
            x + 0.115, y, _short(name, _LONGEST[columns]), va="center", fontsize=drawing.SMALL
        )
    return axes


def _short(name: str, longest: int) -> str:
    """Cut a name so that it fits."""
    return name if len(name) <= longest else f"{name[: longest - 1]}…"


def name_points(axes: Axes, named: Sequence[tuple[float, float, str]]) -> None:
    """Write texts beside points, each where none of the points and no text before it stands.

    One for which there is no such place is left to the table.
    """
    taken = [axes.transData.transform((x, y)) for x, y, _ in named]
    boxes = [(x - 5, y - 5, x + 5, y + 5) for x, y in taken]
    for (x, y), (right, up, text) in zip(taken, named, strict=True):
        width = 6.2 * len(text)
        for across, rise in ((8, 6), (8, -16), (-8 - width, 6), (-8 - width, -16)):
            box = x + across, y + rise, x + across + width, y + rise + drawing.SMALL
            if not any(_touch(box, other) for other in boxes):
                boxes.append(box)
                axes.annotate(
                    text,
                    (right, up),
                    xytext=(across, rise),
                    textcoords="offset points",
                    fontsize=drawing.SMALL,
                    va="bottom",
                    zorder=5,
                )
                break


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def capacity_strip(figure: Figure, main: Axes, scene: Scene, names: Sequence[str]) -> None:
    """Draw a row for each deployment below the panel: capacity with interval, over-saturated steps hatched."""
    height = float(figure.bbox.height)
    main.tick_params(axis="x", labelbottom=False)
    main.set_xlabel("")
    left, right = _SIDE
    rows = len(names)
    axes = figure.add_axes((left, _BELOW / height, right - left, rows * _ROW / height))
    load_axis(axes, scene)
    axes.set_ylim(rows, 0)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    for row, (name, line) in enumerate(zip(names, scene.lines, strict=True)):
        _row(axes, scene, row, name, line)
    figure.text(
        left,
        (_BELOW + rows * _ROW + 5) / height,
        "capacity, and over-saturated steps hatched",
        fontsize=drawing.SMALL,
        va="bottom",
    )


def _row(axes: Axes, scene: Scene, row: int, name: str, line: Line) -> None:
    middle, colour = row + 0.5, COLOURS[line.colour]
    axes.plot(
        [-0.045],
        [middle],
        marker=line.marker,
        markersize=6,
        color=colour,
        transform=axes.get_yaxis_transform(),
        clip_on=False,
    )
    mine = [point for point in line.points if math.isfinite(point.rate)]
    for start, end in saturated_regions(mine, scene.right):
        axes.fill_between(
            [start, end],
            row + 0.1,
            row + 0.9,
            facecolor="none",
            edgecolor=COLOURS["muted"],
            hatch="///",
            lw=0,
            alpha=0.6,
        )
    rows = scene.data.capacity_of(name)
    joint = scene.data.joint_capacity_of(name)
    held = [value for each in rows if math.isfinite(value := known(each.get("capacity_qps")))]
    if not held or not all(each.get("saturated") for each in rows):
        bounds = [value for each in rows if math.isfinite(value := known(each.get("ci_low")))]
        if bounds:
            _arrow(axes, min(bounds), middle, colour)
        return
    spans = [
        (low, high)
        for each in ([joint] if joint else rows)
        if math.isfinite(low := known(each.get("ci_low")))
        and math.isfinite(high := known(each.get("ci_high")))
    ]
    low = min(held)
    if spans:
        ends = [min(low for low, _ in spans), max(high for _, high in spans)]
        low = min(low, ends[0])
        axes.plot(ends, [middle] * 2, color=colour, lw=6, alpha=0.45, solid_capstyle="butt")
    for value in held:
        axes.plot([value] * 2, [row + 0.15, row + 0.85], color=colour, lw=2)
    whole = known((joint or {}).get("capacity_qps"))
    whole = whole if math.isfinite(whole) else statistics.median(held)
    _name(axes, words.plain(whole), low, middle)


def _arrow(axes: Axes, bound: float, middle: float, colour: str) -> None:
    """Show that the capacity lies above a rate."""
    _name(axes, f"≥ {words.plain(bound)}", bound, middle)
    axes.annotate(
        "",
        (bound, middle),
        xytext=(14, 0),
        textcoords="offset points",
        arrowprops={"arrowstyle": "<-", "color": colour, "lw": 1.6},
        annotation_clip=False,
    )


def _name(axes: Axes, text: str, right: float, middle: float) -> None:
    """Write a capacity to the left of where it is drawn."""
    axes.annotate(
        text,
        (right, middle),
        xytext=(-6, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=drawing.SMALL,
    )
