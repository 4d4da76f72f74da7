"""The picture of a session: what its GPUs showed over time."""

from __future__ import annotations

import itertools
import math
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import HOURLY, MINUTELY, SECONDLY, AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from escalade.errors import InputError, NoDataError
from escalade.files import replacing
from escalade.profiler.stat.rows import node_of, order_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from escalade.profiler.stat.buckets import Buckets
    from escalade.profiler.stat.rows import Facts

Kind = Literal["pdf", "png", "svg"]
PANELS = {
    "gpu_util": "GPU utilisation",
    "gpu_memory": "GPU memory in use",
    "power": "Power",
    "temperature": "Temperature",
    "dram_bandwidth": "PCIe, both ways",
    "gpu_bandwidth": "NVLink, both ways",
}
"""What is drawn, by column."""
_UNITS = {"percent": "%", "degrees Celsius": "°C"}
_FULL = {"percent": 100.0, "ratio": 1.0}
_COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#aa4499", "#b87700", "#56b4e9", "#15202b", "#8a939c"),
)
_LINES = len(_COLOURS)
"""More lines than this nobody tells apart: of more GPUs nodes are drawn, of more nodes the whole."""
_MAPPED = 4
"""Of more GPUs the use of each is also drawn as a row of colours."""
_PARTED = 16
"""Of more nodes the rows are not parted: lines would hide them."""
_SIXTIETHS = (1, 2, 5, 10, 15, 30)
_ROUND = {HOURLY: (1, 2, 3, 6, 12), MINUTELY: _SIXTIETHS, SECONDLY: _SIXTIETHS}
_DAY = 86400.0
_WIDTH, _LEFT, _RIGHT = 11.0, 0.85, 0.25
_PANEL, _SPACE, _ABOVE, _BELOW = 1.25, 0.42, 1.25, 0.95
"""In inches."""
_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#55626f",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": "#15202b",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "grid.color": "#dce2e8",
    "hatch.color": "#b3bcc5",
    "hatch.linewidth": 0.6,
    "pdf.fonttype": 42,
    "savefig.dpi": 150,
    "svg.fonttype": "none",
    "svg.hashsalt": "escalade",
    "text.color": "#15202b",
    "text.parse_math": False,
    "text.usetex": False,
    "xtick.color": "#55626f",
    "xtick.labelcolor": "#15202b",
    "ytick.color": "#55626f",
    "ytick.labelcolor": "#15202b",
    "ytick.major.size": 0.0,
}


def kind_of(path: Path) -> Kind:
    """Give the kind of picture that a file's name asks for.

    Raises
    ------
    InputError
        When it is none that can be drawn.
    """
    for kind in get_args(Kind):
        if path.suffix.lower() == f".{kind}":
            found: Kind = kind
            return found
    raise InputError(f"--plot {path}: expected a name that ends in .pdf, .png or .svg.")


def plot(facts: Facts, devices: Sequence[str], buckets: Buckets, path: Path) -> None:
    """Draw a session into a file, whole or not at all.

    Parameters
    ----------
    facts
        Of the session.
    devices
        Names of its GPUs, in the order of their places.
    buckets
        Its readings.
    path
        Of the picture: .pdf, .png or .svg.

    Raises
    ------
    NoDataError
        When the GPUs offer nothing that could be drawn.
    InfrastructureError
        When it can't be written.
    """
    kind = kind_of(path)
    if not buckets.columns:
        raise NoDataError(f"--plot {path}: no GPU offers any of what is drawn.")
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = _figure(facts, devices, buckets)
        date = {"pdf": {"CreationDate": None}, "svg": {"Date": None}, "png": {}}[kind]
        with replacing(path) as temporary:
            figure.savefig(temporary, format=kind, metadata=date)


@dataclass(frozen=True)
class _Group:
    """GPUs that are one line."""

    label: str
    places: list[int]


@dataclass(frozen=True)
class _Shown:
    """What is drawn; times are days since 1970, as matplotlib has them."""

    facts: Facts
    devices: Sequence[str]
    buckets: Buckets
    groups: list[_Group]
    times: np.ndarray

    @property
    def step(self) -> float:
        """Of a span, in days."""
        spans = max(1, len(self.times) - 1)
        return float(self.times[-1] - self.times[0]) / spans or 1 / _DAY


def _groups(devices: Sequence[str]) -> list[_Group]:
    """Give the lines: GPUs, nodes or the whole, as many as can be told apart."""
    order = sorted(range(len(devices)), key=lambda place: order_of(devices[place]))
    if len(devices) <= _LINES:
        return [_Group(_short(devices[place]), [place]) for place in order]
    nodes: dict[str, list[int]] = {}
    for place in order:
        nodes.setdefault(node_of(devices[place]), []).append(place)
    if len(nodes) <= _LINES:
        return [_Group(f"{node} ({len(its)} GPUs)", its) for node, its in nodes.items()]
    return [_Group(f"all {len(devices)} GPUs of {len(nodes)} nodes", order)]


def _figure(facts: Facts, devices: Sequence[str], buckets: Buckets) -> Figure:
    shown = _Shown(facts, devices, buckets, _groups(devices), buckets.times / _DAY)
    columns = buckets.columns
    many = len(devices) > _MAPPED and "gpu_util" in columns
    map_height = float(np.clip(0.09 * len(devices), 1.25, 5.0)) + _SPACE if many else 0.0
    height = _ABOVE + _BELOW + len(columns) * (_PANEL + _SPACE) - _SPACE + map_height
    figure = Figure(figsize=(_WIDTH, height))
    FigureCanvasAgg(figure)
    top = height - _ABOVE
    every: list[Axes] = []
    for column in columns:
        axes = _panel(figure, height, top, _PANEL)
        _draw(axes, column, shown)
        every.append(axes)
        top -= _PANEL + _SPACE
    if many:
        axes = _panel(figure, height, top, map_height - _SPACE)
        _map(figure, axes, shown)
        every.append(axes)
    _clock(every, shown)
    _words(figure, height, shown)
    return figure


def _panel(figure: Figure, height: float, top: float, panel: float) -> Axes:
    width = _WIDTH - _LEFT - _RIGHT
    return figure.add_axes((_LEFT / _WIDTH, (top - panel) / height, width / _WIDTH, panel / height))


def _draw(axes: Axes, column: str, shown: _Shown) -> None:
    buckets, groups, times = shown.buckets, shown.groups, shown.times
    unit = shown.facts.units[column]
    axes.set_title(f"{PANELS[column]} ({_UNITS.get(unit, unit)})")
    banded = buckets.ticks > 1 or any(len(group.places) > 1 for group in groups)
    for group, colour in zip(groups, _COLOURS, strict=False):
        mean, least, most = buckets.of(column, group.places)
        if banded:
            axes.fill_between(times, least, most, color=colour, alpha=0.16, lw=0)
        axes.plot(times, mean, color=colour, lw=1.1, alpha=0.9, solid_joinstyle="round")
        alone = ~np.isnan(mean) & _open(mean, 1) & _open(mean, -1)
        axes.plot(times[alone], mean[alone], ".", color=colour, ms=3)
    _shade(axes, times, buckets.empty)
    if unit in _FULL:
        axes.set_ylim(-0.02 * _FULL[unit], 1.05 * _FULL[unit])
        axes.set_yticks([0, _FULL[unit] / 2, _FULL[unit]])
        return
    axes.locator_params(axis="y", nbins=4)
    if column != "temperature":
        axes.set_ylim(bottom=0)


def _open(values: np.ndarray, step: int) -> np.ndarray:
    """Say of each value whether its neighbour on that side is missing."""
    other = np.full(len(values), np.nan)
    if step > 0:
        other[:-1] = values[1:]
    else:
        other[1:] = values[:-1]
    missing: np.ndarray = np.isnan(other)
    return missing


def _shade(axes: Axes, times: np.ndarray, empty: np.ndarray) -> None:
    """Hatch the times without any reading, which lie between others."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], empty.astype(int), [0]])))
    for start, end in edges.reshape(-1, 2):
        axes.axvspan(
            times[start - 1], times[end], facecolor="none", edgecolor="#b3bcc5", hatch="////", lw=0
        )


def _map(figure: Figure, axes: Axes, shown: _Shown) -> None:
    """Draw the use of each GPU as a row of colours, nodes parted by lines."""
    devices, times, step = shown.devices, shown.times, shown.step
    order = sorted(range(len(devices)), key=lambda place: order_of(devices[place]))
    values = np.vstack([shown.buckets.of("gpu_util", [place])[0] for place in order])
    extent = (times[0] - step / 2, times[-1] + step / 2, len(order) - 0.5, -0.5)
    axes.set_facecolor("white")
    drawn = axes.imshow(
        values, aspect="auto", interpolation="nearest", cmap="cividis", extent=extent
    )
    full = 100 if np.nanmax(values) > 1 else 1
    drawn.set_clim(0, full)
    nodes = [node_of(devices[place]) for place in order]
    begins = [row for row, node in enumerate(nodes) if row == 0 or node != nodes[row - 1]]
    for row in begins[1:] if len(begins) <= _PARTED else []:
        axes.axhline(row - 0.5, color="white", lw=0.8)
    middles = [(a + b - 1) / 2 for a, b in itertools.pairwise([*begins, len(nodes)])]
    points = axes.get_position().height * figure.get_figheight() * 72
    every = max(1, math.ceil(11 * len(begins) / points))
    axes.set_yticks(middles[::every], [nodes[row] for row in begins[::every]])
    axes.grid(visible=False)
    axes.set_title("GPU utilisation of each GPU (%), white: no reading")
    place = axes.get_position()
    bar = figure.add_axes((place.x1 - 0.2, place.y1 + 0.08 / figure.get_figheight(), 0.2, 0.006))
    figure.colorbar(drawn, cax=bar, orientation="horizontal", ticks=[0, full / 2, full])
    bar.xaxis.set_ticks_position("top")
    bar.tick_params(labelsize=8, length=0, pad=1)


def _clock(panels: Sequence[Axes], shown: _Shown) -> None:
    times, step = shown.times, shown.step
    for axes in panels:
        axes.set_xlim(times[0] - step / 2, times[-1] + step / 2)
        locator = AutoDateLocator(tz=UTC, minticks=4, maxticks=11)  # type: ignore[no-untyped-call]
        locator.intervald |= _ROUND
        dates = ConciseDateFormatter(locator, tz=UTC)  # type: ignore[no-untyped-call]
        dates.formats = ["%Y", "%m", "%m-%d", "%H:%M", "%H:%M", "%H:%M:%S.%f"]
        dates.zero_formats = ["", "%Y", "%m-%d", "%m-%d", "%H:%M", "%H:%M"]
        dates.offset_formats = ["", "%Y", "%Y", *["%Y-%m-%d"] * 3]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates)
        if axes is not panels[-1]:
            axes.tick_params(labelbottom=False)
            axes.xaxis.get_offset_text().set_visible(False)
    panels[-1].set_xlabel(f"time ({shown.facts.zone})")


def _words(figure: Figure, height: float, shown: _Shown) -> None:
    facts, devices, groups = shown.facts, shown.devices, shown.groups
    left = _LEFT / _WIDTH
    figure.text(left, 1 - 0.32 / height, facts.name, fontsize=14, fontweight="bold", va="center")
    begin = datetime.fromtimestamp(shown.times[0] * _DAY, UTC)
    nodes = len({node_of(device) for device in devices})
    told = [
        f"from {begin:%Y-%m-%d %H:%M:%S} ({facts.zone})",
        f"{_counted(nodes, 'node')}, {_counted(len(devices), 'GPU')}",
    ]
    if facts.every:
        told.append(facts.every)
    figure.text(left, 1 - 0.58 / height, " · ".join(told), color="#55626f", va="center")
    handles = [
        mpl.lines.Line2D([], [], color=colour, lw=2, label=group.label)
        for group, colour in zip(groups, _COLOURS, strict=False)
    ]
    figure.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(left, 1 - 0.83 / height),
        ncols=len(handles),
        frameon=False,
        borderaxespad=0,
        borderpad=0,
        handlelength=1.4,
        columnspacing=1.4,
    )
    figure.text(left, 0.22 / height, _caption(shown.buckets, groups), color="#55626f", fontsize=8)


def _caption(buckets: Buckets, groups: Sequence[_Group]) -> str:
    several = any(len(group.places) > 1 for group in groups)
    words = []
    if several or buckets.ticks > 1:
        over = [f"{buckets.ticks} frames"] if buckets.ticks > 1 else []
        over += ["the GPUs"] if several else []
        words.append(f"Line: mean over {' and '.join(over)}; band: from the least to the most.")
    words.append("A line is open where readings are missing.")
    if buckets.empty.any():
        words.append("Hatched: no GPU has any.")
    return " ".join(words)


def _short(device: str) -> str:
    parts = device.split(":", 2)
    return f"{parts[0]}:{parts[1]}" if len(parts) > 1 else device


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
