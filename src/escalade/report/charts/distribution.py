"""How latency is spread: one line per step, on an axis that opens up the tail."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from escalade.analysis.measured.levels import RATE
from escalade.analysis.stats.intervals import quantile
from escalade.analysis.stats.sample_floors import highest_share
from escalade.report import words
from escalade.report.axis import AXES, at, short
from escalade.report.charts import drawing, hover
from escalade.report.charts.drawing import COLOURS, Chart
from escalade.report.facts import SATURATED, VALID
from escalade.report.tables import Table, step_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts, StepFacts

_SHARES = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)
_MOST_POINTS = 160
_LINEAR_SPAN = 12.0
_ENDS = {"latency_seconds": "ended_at", "ttft_seconds": "first_chunk_at"}
_READ = {"step", "phase", "planned_at", "sent_at", "error"}
_AT_TIMES = ("leaving", "workload")
"""Columns that some loads have."""
_SUPPORTED, _WAITING, _BEYOND = "-", (0, (5, 2)), (0, (1, 1.6))
"""Styles of a line: what its requests bear, what grows with time, and what rests on too few of them."""


@dataclass(frozen=True)
class Spread:
    """The sorted times of one step's successful requests, and how many gave none.

    One that failed never came, so it stands behind the slowest answer: shares are of all requests.
    """

    step: StepFacts
    seconds: np.ndarray
    failed: int

    @property
    def total(self) -> int:
        """Number of requests, those without an answer included."""
        return len(self.seconds) + self.failed

    @property
    def supported(self) -> float:
        """Highest share that so many requests bound on both sides, were they independent."""
        return highest_share(self.total)

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Give shares in (0, 1) and the times that they end within, thinned evenly along the tail."""
        n = len(self.seconds)
        shares = (np.arange(n) + 0.5) / self.total
        if n > _MOST_POINTS:
            wanted = np.linspace(tail(shares[0]), tail(shares[-1]), _MOST_POINTS)
            places = np.unique(np.searchsorted(tail(shares), wanted).clip(0, n - 1))
            return shares[places], self.seconds[places]
        return shares, self.seconds

    def within(self, share: float) -> float:
        """Give the time that a share of all requests ended within; infinite where it did not."""
        everything = np.concatenate([self.seconds, np.full(self.failed, np.inf)])
        return quantile(everything, share)

    def told(self) -> list[tuple[float, float, str]]:
        """Give shares that a reader asks for, the times that they end within, and both in words."""
        where, n = at(self.step.level), words.plain(self.total, 0)
        shares = [share for share in _SHARES[1:] if share <= self.supported]
        times = [self.within(share) for share in shares]
        said = [
            f"{words.plain(100 * share, _decimals(share))} % within {words.single(time, 's')} {where}, n = {n}"
            for share, time in zip(shares, times, strict=True)
        ]
        known = [each for each in zip(shares, times, said, strict=True) if math.isfinite(each[1])]
        last = float(self.seconds[-1])
        end = (len(self.seconds) - 0.5) / self.total
        return [*known, (end, last, f"slowest: {words.single(last, 's')} {where}, n = {n}")]


_COLLECTED: WeakKeyDictionary[CellFacts, dict[tuple[int, str], Spread]] = WeakKeyDictionary()
_WINDOWS: WeakKeyDictionary[CellFacts, dict[int, pd.DataFrame]] = WeakKeyDictionary()


def tail(share: np.ndarray | float) -> np.ndarray:
    """Place a share on the tail axis: 90, 99 and 99.9 % are equally far apart."""
    return -np.log10(1.0 - np.asarray(share, dtype=float))


def distribution_charts(data: ReportData) -> list[Chart]:
    """Draw, for every cell, how long its requests took at each step."""
    charts = []
    for cell in data.drawn:
        for metric in _ENDS:
            spreads = [s for step in cell.steps if len((s := spread(cell, step, metric)).seconds)]
            if spreads:
                charts.append(_chart(cell, metric, spreads))
    return charts


def spread(cell: CellFacts, step: StepFacts, metric: str) -> Spread:
    """Give the times of the requests planned inside a step's window: figure and twin have the same."""
    known = _COLLECTED.setdefault(cell, {})
    place = step.number, metric
    if place not in known:
        known[place] = _spread(cell, step, metric)
    return known[place]


def _spread(cell: CellFacts, step: StepFacts, metric: str) -> Spread:
    end = _ENDS[metric]
    inside = _windows(cell).get(step.number)
    if inside is None or end not in inside:
        return Spread(step, np.empty(0), 0)
    if "leaving" in inside:  # what clients were to leave is no answer and no failure
        left = inside["error"].isna() | (inside["error"] == "abandoned")
        inside = inside[~((inside["leaving"] == True) & left)]  # noqa: E712 - of objects
    if "workload" in inside and inside["workload"].notna().any():
        good = inside[
            inside["error"].isna()
        ]  # what of a mix never comes in chunks has no first one
        ends = good.groupby("workload")[end].count()
        inside = inside[~inside["workload"].isin(ends[ends == 0].index)]
    good = inside[inside["error"].isna()]
    begun = good["sent_at" if step.level.closed else "planned_at"]
    seconds = (good[end] - begun).to_numpy(dtype=float)
    finite = np.sort(seconds[np.isfinite(seconds)])
    return Spread(step, finite, len(inside) - len(finite))


def _windows(cell: CellFacts) -> dict[int, pd.DataFrame]:
    """Give the requests planned inside the window of each step, without those that were not due."""
    if cell not in _WINDOWS:
        requests = cell.requests
        if requests.empty or not set(requests.columns) >= _READ:
            return {}
        read = [name for name in (*sorted(_READ), *_ENDS.values(), *_AT_TIMES) if name in requests]
        requests = requests[read]
        inside = requests[(requests["phase"] == "window") & (requests["error"] != "not_due")]
        _WINDOWS[cell] = {step: inside[inside["step"] == step] for step in set(inside["step"])}
    return _WINDOWS[cell]


def _chart(cell: CellFacts, metric: str, spreads: list[Spread]) -> Chart:
    key = f"spread-{metric.removesuffix('_seconds')}-{cell.number}"
    heading = words.title(metric)
    table = _table(spreads)
    described = "; ".join(
        f"{at(s.step.level)} from {words.single(s.seconds[0], 's')} "
        f"to {words.single(s.seconds[-1], 's')}"
        for s in spreads
    )
    svg = drawing.picture(
        key,
        f"{heading} of {cell.name}: distribution per step",
        f"Times of single requests: {described}. The table below the figure has quantiles.",
        drawing.SIZE,
        lambda figure: _draw(figure, spreads),
    )
    return Chart(key, heading, svg, _caption(spreads), table)


def _caption(spreads: list[Spread]) -> str:
    axis = AXES[spreads[0].step.level.name]
    parts = [f"One line per step, labelled with its {'rate' if axis.open else axis.by}."]
    if any(s.step.state == SATURATED for s in spreads):
        parts.append("Dashed: over-saturated, so that times depend on how long one waits.")
    parts.append("Dotted: a tail that rests on too few requests to be bounded.")
    lost = [
        f"{words.counted(s.failed, 'request')} of {words.plain(s.total, 0)} {at(s.step.level)}"
        for s in spreads
        if s.failed
    ]
    if lost:
        parts.append(f"Lines end where requests have no answer: {words.listed(lost)}.")
    return " ".join(parts)


def _draw(figure: Figure, spreads: list[Spread]) -> None:
    axes = figure.add_subplot()
    figure.subplots_adjust(left=0.15, right=0.86, bottom=0.155, top=0.95)
    largest = max(float(s.seconds[-1]) for s in spreads)
    smallest = min(float(s.seconds[0]) for s in spreads)
    scale = words.scale_for("s", (largest,))
    if smallest > 0 and largest / smallest > _LINEAR_SPAN:
        axes.set_yscale("log")
        axes.set_ylim(scale.apply(smallest) * 0.8, scale.apply(largest) * 1.3)
        drawing.log_axis(axes.yaxis)
    else:
        axes.set_ylim(0, scale.apply(largest) * 1.1 or 1.0)
        drawing.number_axis(axes.yaxis)
    axes.set_ylabel("seconds" if scale.label == "s" else scale.label)
    _tail_axis(axes, max(s.total for s in spreads))
    ends = []
    for place, one in enumerate(spreads):
        label = short(one.step.level) if one.step.level.name == RATE else words.rate(one.step.place)
        colour = COLOURS[f"step-{_shade(place, len(spreads))}"]
        ends.append((*_line(axes, one, colour, scale), label))
        for share, time, told in one.told():
            hover.point(axes, label, float(tail(share)), scale.apply(time), told)
    drawing.label_lines(axes, ends)


def _line(axes: Axes, one: Spread, colour: str, scale: words.Scale) -> tuple[float, float]:
    """Draw one step's line, dotted where it rests on too few requests; gives its right end."""
    shares, seconds = one.curve()
    places, heights = tail(shares), scale.apply(1.0) * seconds
    border = float(tail(one.supported))
    bears = _SUPPORTED if one.step.state != SATURATED else _WAITING
    middle = float(np.interp(border, places, heights))
    before, after = places < border, places >= border
    if before.any():
        kept = [*places[before], *([border] if after.any() else [])]
        levels = [*heights[before], *([middle] if after.any() else [])]
        axes.plot(kept, levels, color=colour, lw=2, linestyle=bears)
    if after.any():
        start = [border] if before.any() else []
        axes.plot(
            [*start, *places[after]],
            [*([middle] if start else []), *heights[after]],
            color=colour,
            lw=2,
            linestyle=_BEYOND,
            marker="o" if len(seconds) == 1 else None,
        )
    if one.step.state not in (VALID, SATURATED):
        axes.plot(places[-1:], heights[-1:], marker="X", color=colour)
    return float(places[-1]), float(heights[-1])


def _tail_axis(axes: Axes, largest: int) -> None:
    """Mark the shares that the largest step reaches; its slowest request stands at 1 − 0.5/n."""
    end = float(tail(1 - 0.5 / largest))
    shares = [share for share in _SHARES if float(tail(share)) <= end * 1.02]
    axes.set_xlim(0, max(end * 1.02, 0.35))
    labels = [f"{words.plain(100 * share, _decimals(share))} %" for share in shares]
    drawing.fixed_axis(axes.xaxis, [float(tail(share)) for share in shares], labels)
    axes.set_xlabel("share of requests (tail opened up)")
    axes.grid(visible=True, axis="x")


def _decimals(share: float) -> int:
    return max(0, math.ceil(float(tail(share)) - 2.001)) if share else 0


def _shade(place: int, count: int) -> int:
    """Spread the steps over the eight shades from light load to heavy."""
    return 1 + round(place * 7 / (count - 1)) if count > 1 else 5


def _table(spreads: list[Spread]) -> Table:
    shares = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999)
    columns = ("Step", "Requests", "Without answer", "Fastest")
    rows = []
    for one in spreads:
        told = [
            words.single(one.within(share), "s") if share <= one.supported else words.NOTHING
            for share in shares
        ]
        first, last = (words.single(float(one.seconds[k]), "s") for k in (0, -1))
        rows.append((step_label(one.step), str(one.total), str(one.failed), first, *told, last))
    names = tuple(f"{words.plain(100 * share)} %" for share in shares)
    return Table((*columns, *names, "Slowest answer"), tuple(rows))
