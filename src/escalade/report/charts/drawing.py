"""Figures as inline SVG: one style, text that stays text, colours that follow the page.

Matplotlib draws with the stand-in colours of `inline.py`, which become those of the page.

What a reader is told who points at a mark or a line is recorded while it is
drawn, by one call: `hover.point` or `hover.line`.
"""

from __future__ import annotations

import io
import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from escalade.report import words
from escalade.report.charts.inline import inlined

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from escalade.report.charts.hover import Drawn
    from escalade.report.tables import Table

COLOURS = {
    name: f"#0{number:02x}0b7"
    for number, name in enumerate(
        (
            "ink",
            "muted",
            "line",
            "card",
            "blue",
            "sky",
            "green",
            "orange",
            "vermilion",
            "purple",
            "band",
            *(f"step-{step}" for step in range(1, 9)),
        ),
        start=1,
    )
}
"""Stand-ins for the colours of the page (page.css), which are Okabe and Ito's."""
_VARIABLES = {colour: f"var(--{name})" for name, colour in COLOURS.items()}

SIZE = (400.0, 285.0)
"""Of a figure with one panel, in CSS pixels."""
FONT = 12.0
SMALL = 11.0
_TEXT_HEIGHT = 0.07
"""Of a line of text, as a share of a panel, with its space."""
_HEIGHTS = (0.06, 0.18, 0.3, 0.42, 0.54, 0.66, 0.78, 0.9)
"""Where text may stand in a panel, the best place first."""

_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": COLOURS["muted"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": COLOURS["ink"],
    "axes.labelsize": FONT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": COLOURS["ink"],
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.titlesize": FONT,
    "axes.titleweight": "bold",
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": FONT,
    "grid.color": COLOURS["line"],
    "grid.linewidth": 1.0,
    "hatch.color": COLOURS["muted"],
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "escalade",
    "text.color": COLOURS["ink"],
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.color": COLOURS["muted"],
    "xtick.labelcolor": COLOURS["ink"],
    "xtick.labelsize": SMALL,
    "ytick.color": COLOURS["muted"],
    "ytick.labelcolor": COLOURS["ink"],
    "ytick.labelsize": SMALL,
    "ytick.major.size": 0.0,
    "ytick.minor.size": 0.0,
}


@dataclass(frozen=True)
class Chart:
    """A figure of the page: picture, words, and the table behind it.

    Charts of a section with a `view` are shown one view at a time where the page
    may run its script: "End-to-end latency", "Time to first token".
    """

    key: str
    title: str
    svg: Drawn
    caption: str
    table: Table
    wide: bool = False
    view: str = ""


def picture(
    key: str,
    title: str,
    description: str,
    size: tuple[float, float],
    draw: Callable[[Figure], None],
    *,
    under: Markup = Markup(""),  # noqa: B008 - it can't be changed
) -> Drawn:
    """Draw a figure of `size` CSS pixels and give it as SVG to put into the page.

    Parameters
    ----------
    key
        Unique in the page; all identifiers of the figure begin with it.
    title, description
        What a screen reader reads instead of the picture.
    size
        Width and height in CSS pixels, at which text has its natural size.
    draw
        Puts axes into the empty figure, and records what a reader may point at.
    under
        SVG in CSS pixels from the upper left corner, on which all else is drawn.
    """
    with mpl.rc_context(), warnings.catch_warnings():
        # Text stays text: the reader's fonts, not matplotlib's, have to know the letters.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(size[0] / 72, size[1] / 72), dpi=72)
        FigureCanvasSVG(figure)
        draw(figure)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
        return inlined(
            written.getvalue(), key, (title, description), figure, colours=_VARIABLES, under=under
        )


def number_axis(axis: Axis, unit_label: str = "", *, count: int = 5) -> None:
    """Give a linear axis a few round ticks, written as everywhere in the report."""
    axis.set_major_locator(MaxNLocator(nbins=count, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: words.plain(value) + unit_label))


def log_axis(axis: Axis) -> None:
    """Give a logarithmic axis plain numbers at 1, 2 and 5."""
    axis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: words.plain(value)))
    axis.set_minor_locator(NullLocator())


def fixed_axis(axis: Axis, places: Sequence[float], labels: Sequence[str]) -> None:
    """Put ticks exactly at `places`."""
    axis.set_major_locator(FixedLocator(list(places)))
    axis.set_major_formatter(FuncFormatter(lambda _, place: labels[place or 0]))
    axis.set_minor_locator(NullLocator())


def shade(axes: Axes, spans: Sequence[tuple[float, float]], **look: Any) -> None:
    """Fill spans of the x axis over the whole height of a panel: all of them are one shape."""
    corners = [[(a, 0.0), (a, 1.0), (b, 1.0), (b, 0.0)] for a, b in spans]
    if corners:
        shape = Path.make_compound_path_from_polys(np.asarray(corners))
        axes.add_artist(PathPatch(shape, transform=axes.get_xaxis_transform(), **look))


def uprights(
    axes: Axes,
    places: Sequence[float],
    ends: Sequence[tuple[float, float]] | None = None,
    **look: Any,
) -> None:
    """Draw upright lines as one shape: between `ends` in data, or over the whole height of a panel."""
    if not places:
        return
    whole = ends is None
    levels = [(0.0, 1.0)] * len(places) if ends is None else ends
    x = [value for place in places for value in (place, place, math.nan)]
    y = [value for low, high in levels for value in (low, high, math.nan)]
    transform = axes.get_xaxis_transform() if whole else axes.transData
    axes.add_artist(Line2D(x, y, transform=transform, **look))


def free_height(axes: Axes, start: float, end: float) -> float:
    """Give the height, as a share of the panel's, at which a line of text between two x crosses no line.

    It is the lowest such height of a few, else the one that is furthest from the lines.
    """
    taken = _heights(axes, start, end)
    distance = {
        height: min((abs(height - other) for other in taken), default=1.0) for height in _HEIGHTS
    }
    return next(
        (height for height in _HEIGHTS if distance[height] > _TEXT_HEIGHT),
        max(_HEIGHTS, key=distance.__getitem__),
    )


def _heights(axes: Axes, start: float, end: float) -> list[float]:
    """Give the heights, as shares of the panel's, at which lines run between two x."""
    found: list[float] = []
    for line in axes.get_lines():
        x, y = (np.asarray(values, dtype=float) for values in line.get_data())
        by_x, by_y = line.get_transform().contains_branch_seperately(axes.transData)
        if not by_y or not len(x):
            continue  # a mark on the x axis, from the bottom to the top
        if not by_x:
            x = np.array([start, end])  # a level line across the panel
        if line.get_linestyle() == "None":
            levels = y[(start <= x) & (x <= end)]  # marks
        else:
            both = np.column_stack([x, y])
            broken = np.isnan(both).any(axis=1)
            pieces = np.split(both, np.flatnonzero(broken))
            whole = [piece[~np.isnan(piece).any(axis=1)] for piece in pieces]
            crossed = [_crossed(p[:, 0], p[:, 1], start, end) for p in whole if len(p)]
            levels = np.concatenate([y[:0], *crossed])
        points = np.column_stack([np.full(len(levels), start), levels])
        shares = axes.transAxes.inverted().transform(axes.transData.transform(points))
        found += shares[:, 1].tolist()
    return found


def _crossed(x: np.ndarray, y: np.ndarray, start: float, end: float) -> np.ndarray:
    """Give a few of the heights that an unbroken line has between two x."""
    if x.min() < x.max():
        inside = np.linspace(max(start, x.min()), min(end, x.max()), 9)
        return np.interp(inside, x, y) if inside[0] <= inside[-1] else y[:0]
    return np.linspace(y.min(), y.max(), 9) if start <= x[0] <= end else y[:0]


def label_lines(axes: Axes, ends: Sequence[tuple[float, float, str]]) -> None:
    """Write a label at the end of each line, moved apart where they would collide.

    Parameters
    ----------
    ends
        For each line x and y of its last point, and the label.
    """
    to_pixels = axes.transData.transform
    order = sorted(range(len(ends)), key=lambda place: ends[place][1])
    heights = spread_apart([float(to_pixels(ends[place][:2])[1]) for place in order], SMALL + 2)
    for place, height in zip(order, heights, strict=True):
        x, y, text = ends[place]
        axes.annotate(
            text,
            (x, y),
            xytext=(8, height - float(to_pixels((x, y))[1])),
            textcoords="offset points",
            fontsize=SMALL,
            fontweight="bold",
            va="center",
            zorder=5,
        )


def spread_apart(places: Sequence[float], gap: float) -> list[float]:
    """Move ascending places as little as is simple so that neighbours are `gap` apart."""
    groups: list[list[float]] = []
    for place in places:
        groups.append([place, 1])
        while len(groups) > 1 and _top(groups[-2], gap) + gap > _bottom(groups[-1], gap):
            centre, size = groups.pop()
            before = groups[-1]
            before[0] = (before[0] * before[1] + centre * size) / (before[1] + size)
            before[1] += size
    return [
        _bottom(group, gap) + gap * member for group in groups for member in range(int(group[1]))
    ]


def _bottom(group: list[float], gap: float) -> float:
    return group[0] - gap * (group[1] - 1) / 2


def _top(group: list[float], gap: float) -> float:
    return group[0] + gap * (group[1] - 1) / 2
