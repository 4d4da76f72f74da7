"""Latency over time: how many requests took how long, as a map of counts, and when answers failed."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from escalade.analysis.stats.intervals import quantile
from escalade.report import words
from escalade.report.charts import clock, drawing, hover
from escalade.report.charts.clock import LEFT, RIGHT, WIDTH
from escalade.report.charts.drawing import COLOURS, Chart
from escalade.report.tables import Table, step_label

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from matplotlib.figure import Figure

    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts

_HEIGHT = 330.0
_TOP, _BOTTOM = 44.0, 84.0
_ERRORS = 16.0
"""Height of the row of requests without an answer, with which the map begins at its top."""
_SPACE = 6.0
_COLUMNS, _ROWS = 180, 36
"""Most columns, and rows, of the map."""
_LEVELS = 8
"""Colours of the page for counts: --heat-1 to --heat-8, of equal steps in lightness."""
_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
_NARROW = 4.0
"""Times that differ by less are shown on an axis that spans so much."""
_ITEM = 66.0
"""Width of an entry of the legend."""


@dataclass(frozen=True)
class Map:
    """Counts of requests by time of their plan (columns) and by latency (rows, from below).

    Attributes
    ----------
    seconds
        Width of a column.
    edges
        Of the rows, in seconds of latency, evenly spaced on a logarithm.
    counts
        Answered requests, [row, column].
    failed
        Requests without an answer, by column.
    by_step
        Latencies, and number of requests without an answer, of each step.
    """

    seconds: float
    edges: np.ndarray
    counts: np.ndarray
    failed: np.ndarray
    by_step: Mapping[int, tuple[np.ndarray, int]]

    @property
    def levels(self) -> list[tuple[int, int]]:
        """Counts that share a colour, from the lightest on: first and last."""
        return levels_of(int(max(self.counts.max(), self.failed.max())))


def heat_charts(data: ReportData) -> list[Chart]:
    """Draw, for every cell with an answered request, when requests took how long."""
    return [
        _chart(cell, found)
        for cell in data.drawn
        if math.isfinite(cell.started_at) and (found := map_of(cell)) is not None
    ]


def map_of(cell: CellFacts) -> Map | None:
    """Count a cell's requests; None where none was answered.

    Requests of warm-up count in the map, which marks what does not count for a figure.
    """
    requests = cell.requests
    wanted = ["step", "planned_at", "sent_at", "ended_at", "error"]
    if requests.empty or not {*wanted} <= {*requests}:
        return None
    requests = requests[[*wanted, *(["leaving"] if "leaving" in requests else [])]]
    there = requests[requests["error"] != "not_due"]
    if "leaving" in there:  # what clients were to leave is no answer and no failure
        there = there[~(there["leaving"] == True)]  # noqa: E712 - of objects
    closed = {step.number for step in cell.steps if step.level.closed}
    begun = there["planned_at"].where(~there["step"].isin(closed), there["sent_at"])
    good = there["error"].isna().to_numpy() & (there["ended_at"] > begun).to_numpy()
    times = begun.to_numpy(dtype=float) - cell.started_at
    taken = (there["ended_at"] - begun).to_numpy(dtype=float)[good]
    if not len(taken):
        return None
    right = clock.end_of(cell)
    width = next((each for each in _SECONDS if right / each <= _COLUMNS), right / _COLUMNS)
    columns = width * np.arange(math.ceil(right / width) + 1)
    rows = _edges(float(taken.min()), float(taken.max()))
    counts, _, _ = np.histogram2d(taken, times[good], bins=(rows, columns))
    lost = there["error"].notna().to_numpy() | there["ended_at"].isna().to_numpy()
    failed, _ = np.histogram(times[lost], bins=columns)
    steps = there["step"].to_numpy()
    by_step = {
        int(step): (taken[steps[good] == step], int((lost & (steps == step)).sum()))
        for step in np.unique(steps)
    }
    return Map(width, rows, counts.astype(int), failed.astype(int), by_step)


def levels_of(most: int) -> list[tuple[int, int]]:
    """Share counts up to `most` among the colours, evenly on a logarithm, each a whole number of its own."""
    if most <= _LEVELS:
        return [(count, count) for count in range(1, most + 1)]
    ideal = [math.floor(x) for x in np.geomspace(1, most + 1, _LEVELS + 1)]
    first = [1]
    for place in ideal[1:-1]:
        first.append(max(first[-1] + 1, place))
    return [(a, b - 1) for a, b in itertools.pairwise([*first, most + 1])]


def _edges(least: float, most: float) -> np.ndarray:
    """Give the edges of the rows, so that all times lie inside."""
    middle = math.sqrt(least * most)
    low, high = min(least, middle / math.sqrt(_NARROW)), max(most, middle * math.sqrt(_NARROW))
    return np.geomspace(low * 0.97, high * 1.03, _ROWS + 1)


def _chart(cell: CellFacts, found: Map) -> Chart:
    key = f"heat-{cell.number}"
    title = "End-to-end latency over time"
    answered, lost = int(found.counts.sum()), int(found.failed.sum())
    svg = drawing.picture(
        key,
        f"{title}, {cell.name}",
        f"{words.counted(answered, 'request')} by the time at which they were to be sent and by "
        f"their latency, from {words.single(float(found.edges[0]), 's')} to "
        f"{words.single(float(found.edges[-1]), 's')}; {words.plain(lost, 0)} have no answer. "
        "The table below the figure has the median of each step.",
        (WIDTH, _HEIGHT),
        lambda figure: _draw(figure, cell, found),
        under=_layer(cell, found),
    )
    caption = (
        f"Each field: requests that were to be sent within {words.single(found.seconds, 's')}, and "
        "took about so long; the darker (on a dark page the lighter), the more. Bars above the map "
        "mark the windows, which alone count. "
        + (
            f"{words.counted(lost, 'request')} without an answer in the row at the top."
            if lost
            else "Every request had an answer: the row at the top is empty."
        )
    )
    return Chart(key, title, svg, caption, _table(cell, found), wide=True)


def _draw(figure: Figure, cell: CellFacts, found: Map) -> None:
    right = clock.end_of(cell)
    bottom, height = _BOTTOM / _HEIGHT, (_HEIGHT - _TOP - _BOTTOM - _ERRORS - _SPACE) / _HEIGHT
    axes = figure.add_axes((LEFT / WIDTH, bottom, (WIDTH - LEFT - RIGHT) / WIDTH, height))
    scale = words.scale_for("s", (float(found.edges[-1]),))
    axes.set_xlim(0, right)
    axes.set_yscale("log")
    axes.set_ylim(scale.apply(float(found.edges[0])), scale.apply(float(found.edges[-1])))
    drawing.log_axis(axes.yaxis)
    drawing.number_axis(axes.xaxis, count=12)
    axes.grid(visible=False)
    axes.set_ylabel("seconds" if scale.label == "s" else scale.label)
    axes.set_xlabel(clock.LABEL)
    clock.starts(axes, cell)
    rise = (_SPACE + _ERRORS) / (_HEIGHT - _TOP - _BOTTOM - _ERRORS - _SPACE)
    top = 1 + rise
    axes.text(
        0, top, "no answer ", transform=axes.transAxes, ha="right", va="top", fontsize=drawing.SMALL
    )
    windows = [
        [step.times[key] - cell.started_at for key in ("window_start", "window_end")]
        for step in cell.steps
    ]
    known = [window for window in windows if all(map(math.isfinite, window))]
    axes.plot(
        [at for window in known for at in (*window, math.nan)],
        [top + 0.035] * (3 * len(known)),
        transform=axes.get_xaxis_transform(),
        color=COLOURS["ink"],
        lw=3,
        clip_on=False,
        solid_capstyle="butt",
    )
    clock.name_steps(axes, cell, right, above=_SPACE + _ERRORS + 14)
    for place, (first, last) in enumerate(found.levels):
        text = f"{first}" if first == last else f"{first}–{last}"
        x = (LEFT + _ITEM * place + 18) / WIDTH
        figure.text(x, 14 / _HEIGHT, text, fontsize=drawing.SMALL, va="center")
    end = (LEFT + _ITEM * len(found.levels) + 6) / WIDTH
    figure.text(end, 14 / _HEIGHT, "requests in a field", fontsize=drawing.SMALL, va="center")
    hover.panel(axes, cell.anchor)


def _layer(cell: CellFacts, found: Map) -> Markup:
    """Draw the map, the row of failures and the swatches of the legend: one path for each colour."""
    paths: list[list[str]] = [[] for _ in found.levels]
    top = _TOP + _ERRORS + _SPACE
    height = (_HEIGHT - _BOTTOM - top) / _ROWS
    scale = (WIDTH - LEFT - RIGHT) / clock.end_of(cell) * found.seconds
    for row, counts in enumerate(found.counts):
        y = _HEIGHT - _BOTTOM - (row + 1) * height
        for level, start, length in _runs(counts, found.levels):
            paths[level].append(_field(start, length, scale, y, height))
    for level, start, length in _runs(found.failed, found.levels):
        paths[level].append(_field(start, length, scale, _TOP, _ERRORS))
    for place in range(len(found.levels)):
        x = LEFT + _ITEM * place
        paths[place].append(f"M{x:g} {_HEIGHT - 20:g}h12v12h-12z")
    colours = colours_of(len(found.levels))
    frame = f"M{LEFT:g} {_TOP:g}H{WIDTH - RIGHT:g}v{_ERRORS:g}H{LEFT:g}z"
    drawn = "".join(
        f'<path d="{"".join(parts)}" style="fill: var(--heat-{colour})"/>'
        for colour, parts in zip(colours, paths, strict=True)
        if parts
    )
    border = f'<path d="{frame}" style="fill: none; stroke: var(--line)"/>'
    return Markup(f'<g shape-rendering="crispEdges">{drawn}{border}</g>')  # noqa: S704 - numbers


def colours_of(count: int) -> list[int]:
    """Spread so many levels over the colours, from the one for few requests to the one for many."""
    if count == 1:
        return [_LEVELS // 2]
    return [1 + round(place * (_LEVELS - 1) / (count - 1)) for place in range(count)]


def _runs(counts: np.ndarray, levels: list[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Give (level, first column, columns) of neighbours with the same colour; nothing where none is."""
    firsts = [first for first, _ in levels]
    place = 0
    for level, run in itertools.groupby(np.searchsorted(firsts, counts, side="right").tolist()):
        length = len(list(run))
        if level:
            yield level - 1, place, length
        place += length


def _field(start: int, length: int, scale: float, y: float, height: float) -> str:
    left = LEFT + start * scale
    right = min(LEFT + (start + length) * scale, WIDTH - RIGHT)
    return f"M{left:.1f} {y:.1f}H{right:.1f}v{height:.2f}H{left:.1f}z"


def _table(cell: CellFacts, found: Map) -> Table:
    """Give for each step what the map has of it, warm-up included."""
    columns = ("Step", "Answered", "Without answer", "Fastest", "Median", "Slowest")
    rows = []
    for step in cell.steps:
        taken, lost = found.by_step.get(step.number, (np.empty(0), 0))
        told = [words.NOTHING] * 3
        if len(taken):
            told = [words.single(quantile(np.sort(taken), share), "s") for share in (0.0, 0.5, 1.0)]
        rows.append((step_label(step), str(len(taken)), str(lost), *told))
    return Table(columns, tuple(rows))
