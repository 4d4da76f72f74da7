"""Figures as inline SVG: one style, text that stays text, colours that follow the page.

Matplotlib draws with stand-in colours; afterwards each becomes a CSS variable
of the page, so that a figure follows light and dark mode. Identifiers are
numbered anew per figure: they are unique in the page and the same every time.

What a reader is told who points at a mark or a line is recorded while it is
drawn, by one call: `hover.point` or `hover.line`.
"""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from escalade.report import words
from escalade.report.charts import hover
from escalade.report.charts.hover import Drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

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
_VARIABLES = {colour: f"var(--{name})" for name, colour in COLOURS.items()}
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_DROPPED = {f"{_SVG}metadata", f"{_SVG}style"}


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
        return _inline(written.getvalue(), key, (title, description), figure, under)


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
        if x.min() < x.max():
            inside = np.linspace(max(start, x.min()), min(end, x.max()), 9)
            y = np.interp(inside, x, y) if inside[0] <= inside[-1] else y[:0]
        else:
            y = np.linspace(y.min(), y.max(), 9) if start <= x[0] <= end else y[:0]
        points = np.column_stack([np.full(len(y), start), y])
        shares = axes.transAxes.inverted().transform(axes.transData.transform(points))
        found += shares[:, 1].tolist()
    return found


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


def _inline(text: str, key: str, named: tuple[str, str], figure: Figure, under: Markup) -> Drawn:
    title, description = named
    root = ET.fromstring(text)  # noqa: S314 - written by matplotlib a moment before
    kept = [*_referenced(root), *hover.recorded_lines(figure)]
    names = {name: f"{key}-{number}" for number, name in enumerate(kept, start=1)}
    body = "".join("".join(_written(child, names)) for child in root)
    width, height = (f"{float(length):g}" for length in figure.bbox.size)
    head = (
        f'<svg role="img" aria-labelledby="{key}-title {key}-description" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<title id="{key}-title">{escape(title)}</title>'
        f'<desc id="{key}-description">{escape(description)}</desc>'
    )
    drawn = Drawn(f"{head}{under}{body}</svg>")  # all text in it was escaped
    drawn.hover = hover.recorded(figure, names)
    return drawn


def _referenced(root: ET.Element) -> list[str]:
    """List the identifiers that are used somewhere, in the order of their use."""
    used: dict[str, None] = {}
    for element in root.iter():
        for name, value in element.attrib.items():
            found = [value[1:]] if name == _HREF else _REFERENCE.findall(value)
            used.update(dict.fromkeys(found))
    return list(used)


def _written(element: ET.Element, names: dict[str, str]) -> Iterator[str]:
    if element.tag in _DROPPED:
        return
    inside = "".join("".join(_written(child, names)) for child in element)
    text = escape(element.text) if element.text and element.text.strip() else ""
    tag = element.tag.removeprefix(_SVG)
    if tag in ("g", "defs") and not inside:
        return
    attributes = _attributes(element, names)
    if tag == "g" and not attributes:
        yield inside
        return
    yield f"<{tag}{attributes}>{text}{inside}</{tag}>"


def _attributes(element: ET.Element, names: dict[str, str]) -> str:
    kept: list[tuple[str, str]] = []
    for name, given in element.attrib.items():
        value = given
        if name == "id":
            if value not in names:
                continue
            value = names[value]
        elif name == _HREF:
            name, value = "href", "#" + names[value[1:]]  # noqa: PLW2901
        elif name == "style":
            value = _style(value)
        elif name == "transform" and value.startswith("rotate(-0 "):
            continue
        value = _REFERENCE.sub(lambda found: f"url(#{names[found[1]]})", value)
        value = _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.2f}", value)
        kept.append((name, " ".join(value.split())))
    return "".join(f' {name}="{escape(value)}"' for name, value in kept if value)


def _style(style: str) -> str:
    rules = [rule.strip() for rule in style.split(";")]
    kept = [rule for rule in rules if rule and not rule.startswith("font-family")]
    return _COLOUR.sub(lambda found: _VARIABLES.get(found[0], found[0]), "; ".join(kept))
