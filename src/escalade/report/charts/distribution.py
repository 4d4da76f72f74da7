"""How latency is spread: one line per step, on an axis that opens up the tail."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.levels import RATE
from escalade.report import words
from escalade.report.axis import AXES, at, short
from escalade.report.charts import drawing, hover
from escalade.report.charts.drawing import COLOURS, Chart
from escalade.report.charts.ladder import SIZE
from escalade.report.data import SATURATED, VALID
from escalade.report.tables import Table, step_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from escalade.report.data import CellFacts, ReportData, StepFacts

_SHARES = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)
_MOST_POINTS = 160
_LINEAR_SPAN = 12.0
_ENDS = {"latency_seconds": "ended_at", "ttft_seconds": "first_chunk_at"}


@dataclass(frozen=True)
class Spread:
    """The sorted times of one step's successful requests, and how many gave none."""

    step: StepFacts
    seconds: np.ndarray
    failed: int

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """Give shares in (0, 1) and the times that they end within, thinned evenly along the tail."""
        n = len(self.seconds)
        shares = (np.arange(n) + 0.5) / n
        if n > _MOST_POINTS:
            wanted = np.linspace(tail(shares[0]), tail(shares[-1]), _MOST_POINTS)
            places = np.unique(np.searchsorted(tail(shares), wanted).clip(0, n - 1))
            shares, seconds = shares[places], self.seconds[places]
            return shares, seconds
        return shares, self.seconds

    def told(self) -> list[tuple[float, float, str]]:
        """Give shares that a reader asks for, the times that they end within, and both in words."""
        n, where = len(self.seconds), at(self.step.level)
        shares = [share for share in _SHARES[1:] if share <= 1 - 0.5 / n]
        times = [float(np.quantile(self.seconds, share)) for share in shares]
        said = [
            f"{words.plain(100 * share, _decimals(share))} % within {words.single(time, 's')} {where}, n = {n}"
            for share, time in zip(shares, times, strict=True)
        ]
        last = float(self.seconds[-1])
        slowest = 1 - 0.5 / n, last, f"slowest: {words.single(last, 's')} {where}, n = {n}"
        return [*zip(shares, times, said, strict=True), slowest]


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
    """Collect the times of the requests planned inside a step's window."""
    requests, end = cell.requests, _ENDS[metric]
    wanted = {"step", "phase", "planned_at", "sent_at", "error", end}
    if requests.empty or not wanted <= set(requests.columns):
        return Spread(step, np.empty(0), 0)
    inside = requests[(requests["step"] == step.number) & (requests["phase"] == "window")]
    inside = inside[inside["error"] != "not_due"]
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
        SIZE,
        lambda figure: _draw(figure, spreads),
    )
    lost = sum(s.failed for s in spreads)
    axis = AXES[spreads[0].step.level.name]
    caption = (
        "One line per step, labelled with its rate; over-saturated steps dashed."
        if axis.open
        else f"One line per step, labelled with its {axis.by}."
    )
    if lost:
        caption += f" {words.counted(lost, 'request')} without an answer can't be drawn."
    return Chart(key, heading, svg, caption, table)


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
    _tail_axis(axes, max(len(s.seconds) for s in spreads))
    ends = []
    for place, one in enumerate(spreads):
        colour = COLOURS[f"step-{_shade(place, len(spreads))}"]
        shares, seconds = one.curve()
        axes.plot(
            tail(shares),
            scale.apply(1.0) * seconds,
            color=colour,
            lw=2,
            linestyle="-" if one.step.state != SATURATED else (0, (4, 2)),
            marker="o" if len(seconds) == 1 else None,
        )
        if one.step.state not in (VALID, SATURATED):
            axes.plot(tail(shares[-1:]), scale.apply(1.0) * seconds[-1:], marker="X", color=colour)
        label = short(one.step.level) if one.step.level.name == RATE else words.rate(one.step.place)
        ends.append((float(tail(shares[-1])), scale.apply(float(seconds[-1])), label))
        for share, time, told in one.told():
            hover.point(axes, label, float(tail(share)), scale.apply(time), told)
    drawing.label_lines(axes, ends)


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
        n = len(one.seconds)
        told = [
            words.single(float(np.quantile(one.seconds, share)), "s")
            if share <= 1 - 0.5 / n
            else words.NOTHING
            for share in shares
        ]
        first, last = (words.single(float(one.seconds[k]), "s") for k in (0, -1))
        rows.append((step_label(one.step), str(n), str(one.failed), first, *told, last))
    names = tuple(f"{words.plain(100 * share)} %" for share in shares)
    return Table((*columns, *names, "Slowest"), tuple(rows))
