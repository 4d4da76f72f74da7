"""What a figure tells where somebody points at it: recorded while it is drawn, shown by page.js.

A figure's drawing calls `point` for every mark that stands for a value of its
own, and `line` for every line that can be read at any place. That is all: the
figure carries what was recorded (`Drawn.hover`), and the page embeds it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D


class Drawn(Markup):
    """SVG of a figure, with what it tells where somebody points at it."""

    hover: Mapping[str, Any] = MappingProxyType({})


@dataclass
class _Recorded:
    points: list[tuple[Axes, str, float, float, str]] = field(default_factory=list)
    lines: list[tuple[Axes, Line2D, str]] = field(default_factory=list)
    panels: dict[Axes, tuple[str, str]] = field(default_factory=dict)


_RECORDED: WeakKeyDictionary[Figure, _Recorded] = WeakKeyDictionary()


def point(axes: Axes, series: str, x: float, y: float, text: str) -> None:
    """Record a mark that a reader may ask for its value.

    Parameters
    ----------
    axes
        Where it is drawn.
    series
        Name of what it belongs to, as in the legend; arrow keys go along a series.
    x, y
        Where it is drawn, in the units of the axes.
    text
        All that it stands for: value with unit, interval, n, and where; see `lines.told`.
    """
    if math.isfinite(x) and math.isfinite(y):
        _of(axes).points.append((axes, series, float(x), float(y), text))


def line(axes: Axes, drawn: Line2D, label: str, unit: str, clock: str) -> None:
    """Record a line that is read at the page's cursor, out of the drawing itself.

    Parameters
    ----------
    axes
        Its panel, with seconds on a linear x axis; y may be linear or logarithmic.
    drawn
        What `axes.plot` gave.
    label
        Name of the line, as in the legend; of a panel of one line the panel's.
    unit
        Behind a value as the axis has it, "ms" or " %".
    clock
        Name of the time that all panels with this name share, in all figures:
        one cursor runs over them.
    """
    recorded = _of(axes)
    recorded.panels[axes] = unit, clock
    recorded.lines.append((axes, drawn, label))
    drawn.set_gid(f"hover-{len(recorded.lines)}")


def panel(axes: Axes, clock: str) -> None:
    """Record a panel without lines over which the cursor of `clock` runs, too."""
    _of(axes).panels.setdefault(axes, ("", clock))


def recorded_lines(figure: Figure) -> list[str]:
    """Give the identifiers of the recorded lines, which the drawing has to keep."""
    return [str(drawn.get_gid()) for _, drawn, _ in _RECORDED.get(figure, _Recorded()).lines]


def recorded(figure: Figure, names: Mapping[str, str]) -> dict[str, Any]:
    """Give what was recorded, in the coordinates of the SVG; nothing where nothing was.

    Parameters
    ----------
    figure
        After it was drawn, so that its axes have their final limits.
    names
        Identifier in the page for each of `recorded_lines`.

    Returns
    -------
    dict
        `points`: series by series [x, y, text]. `panels`: box [left, top, width,
        height], limits of x and y, whether y is logarithmic, unit, clock, and
        [identifier, label] of each line.
    """
    found = _RECORDED.get(figure, _Recorded())
    height = float(figure.bbox.height)
    points: dict[str, list[list[Any]]] = {}
    for axes, series, x, y, text in found.points:
        right, up = axes.transData.transform((x, y))
        place = [round(float(right), 1), round(height - float(up), 1), text]
        points.setdefault(series, []).append(place)
    panels = [
        {
            "box": [
                round(length, 1)
                for length in (
                    axes.bbox.x0,
                    height - axes.bbox.y1,
                    axes.bbox.width,
                    axes.bbox.height,
                )
            ],
            "x": [float(limit) for limit in axes.get_xlim()],
            "y": [float(limit) for limit in axes.get_ylim()],
            "log": axes.get_yscale() == "log",
            "unit": unit,
            "clock": clock,
            "lines": [
                [names[str(drawn.get_gid())], label]
                for its_axes, drawn, label in found.lines
                if its_axes is axes
            ],
        }
        for axes, (unit, clock) in found.panels.items()
    ]
    content = {"points": [[series, places] for series, places in points.items()], "panels": panels}
    return {name: value for name, value in content.items() if value}


def _of(axes: Axes) -> _Recorded:
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("the axes belong to no figure: record while it is drawn")
    return _RECORDED.setdefault(figure, _Recorded())
