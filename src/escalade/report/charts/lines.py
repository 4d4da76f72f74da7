"""What is drawn against the arrival rate: points, lines, and the table behind them."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.analysis.kpis.catalogue import WAITING
from escalade.report import words
from escalade.report.facts import SATURATED, VALID
from escalade.report.tables import Table
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.report.axis import Axis
    from escalade.report.data import ReportData
    from escalade.report.estimates import Estimate
    from escalade.report.facts import CellFacts


@dataclass(frozen=True)
class Point:
    """One repetition of one step, as it is drawn."""

    step: int
    place: float
    rate: float
    repetition: int
    state: str
    estimate: Estimate


@dataclass(frozen=True)
class Line:
    """One statistic over the steps of a deployment."""

    label: str
    points: tuple[Point, ...]
    colour: str
    marker: str
    strong: bool = True
    waiting: bool = False
    """Whether the time in the queue is part of it: over-saturated steps then have no steady value."""
    style: str | tuple[float, tuple[float, ...]] = "-"
    over_runs: tuple[tuple[int, float, float], ...] = ()
    """Interval over repetitions: step, lower and upper end, where it exists."""

    @property
    def drawn(self) -> list[Point]:
        """The points that have a value."""
        return [point for point in self.points if point.estimate.known]

    @property
    def steady(self) -> list[Point]:
        """The points whose value means something beyond its window."""
        return [point for point in self.drawn if not self.is_unsteady(point)]

    def is_unsteady(self, point: Point) -> bool:
        """Tell whether a point's value is a function of time."""
        return self.waiting and point.state == SATURATED

    @property
    def repetitions(self) -> int:
        """How many repetitions it shows."""
        return len({point.repetition for point in self.points})

    def band(self) -> list[tuple[float, float, float]]:
        """Give (rate, lower, upper end) per step: over repetitions, or of the only run's own requests."""
        if self.repetitions == 1:
            own = [p for p in self.steady if p.estimate.has_interval]
            return sorted((p.rate, p.estimate.low, p.estimate.high) for p in own)
        rates = {
            step: statistics.median(p.rate for p in self.steady if p.step == step)
            for step in {point.step for point in self.steady}
        }
        return sorted((rates[s], low, high) for s, low, high in self.over_runs if s in rates)

    def middle(self) -> list[tuple[float, float]]:
        """Give (rate, value) per step: the median over repetitions, unsteady values left out."""
        places = sorted({point.place for point in self.steady})
        alike = [[p for p in self.steady if p.place == place] for place in places]
        return [
            (
                statistics.median(point.rate for point in points),
                statistics.median(point.estimate.value for point in points),
            )
            for points in alike
        ]


def judged_stat(data: ReportData, metric: str) -> str:
    """Give the statistic of `metric` that an SLO judges, counting ones first; p90 otherwise."""
    rows = [row for row in data.slos if row.get("metric") == metric and not row.get("workload")]
    rows.sort(key=lambda row: not row.get("counts"))
    named = [str(row.get("stat")) for row in rows if words.percentile(str(row.get("stat")))]
    return next((stat for stat in named if stat != "p50"), "p90")


def line_of(
    data: ReportData,
    cells: Sequence[CellFacts],
    metric: str,
    stat: str | None = None,
    *,
    label: str | None = None,
    colour: str,
    marker: str = "o",
    strong: bool = True,
    style: str | tuple[float, tuple[float, ...]] = "-",
) -> Line:
    """Collect one statistic over all steps of a deployment's cells; without `stat` the first."""
    points = tuple(
        Point(
            step.number,
            step.place,
            data.arrival_rate(cell.name, step),
            cell.repetition,
            step.state,
            data.estimate(cell.name, step.number, metric, stat),
        )
        for cell in cells
        for step in cell.steps
    )
    return Line(
        label=stat or "" if label is None else label,
        points=points,
        colour=colour,
        marker=marker,
        strong=strong,
        waiting=metric in WAITING,
        style=style,
        over_runs=_over_runs(data, cells[0].deployment, metric, stat) if cells else (),
    )


def _over_runs(
    data: ReportData, deployment: str, metric: str, stat: str | None
) -> tuple[tuple[int, float, float], ...]:
    """Look up the intervals over repetitions; of several rows of a metric the first, as of its values."""
    found: dict[int, tuple[int, float, float]] = {}
    for row in data.runs.get((deployment, metric), ()):
        ends = known(row.get("ci_low")), known(row.get("ci_high"))
        step = known(row.get("step"))
        if stat in (None, row.get("stat")) and all(map(math.isfinite, (step, *ends))):
            found.setdefault(int(step), (int(step), *ends))
    return tuple(found.values())


def limits_of(data: ReportData, metric: str, deployment: str) -> list[tuple[str, float]]:
    """Give the limits (statistic, value) that SLOs set for a metric."""
    found = {
        (words.clean(row.get("stat")), known(row.get("limit"))): None
        for row in data.slos
        if row.get("metric") == metric
        and words.clean(row.get("deployment")) == deployment
        and not row.get("workload")  # what is drawn is the step as a whole
    }
    return [(stat, limit) for stat, limit in found if math.isfinite(limit)]


def highest_of(lines: Sequence[Line]) -> float:
    """Give the largest value or bound that is drawn, NaN when there is none."""
    values = [
        bound
        for line in lines
        for point in line.steady or line.drawn
        for bound in (point.estimate.value, point.estimate.high)
        if math.isfinite(bound)
    ]
    return max(values, default=math.nan)


def told_band(lines: Sequence[Line], *, brief: bool = False) -> str:
    """Say what points, bars and bands are, `brief` without what they don't tell; no bars without an interval."""
    most = max(line.repetitions for line in lines)
    if any(line.over_runs for line in lines):
        return (
            f"A point per repetition ({most}), the line their median, the band the 95 % interval "
            "over repetitions."
        )
    barred = any(point.estimate.has_interval for line in lines for point in line.steady)
    if most == 1 and brief:
        return "Bars and band: 95 % interval of this run's own requests." * barred
    if most == 1:
        own = "Bars and band: 95 % interval of this run's own requests; "
        return f"{own if barred else 'One run: '}nothing is known between runs."
    points = f"A point per repetition ({most}), the line their median"
    if not barred:
        return f"{points}."
    bars = f"{points}; bars are 95 % intervals of one run's own requests"
    return f"{bars}." if brief else f"{bars}, since so few repetitions give none between runs."


def description(lines: Sequence[Line], unit: str, axis: Axis) -> str:
    """Say what the figure shows to somebody who can't see it."""
    parts = []
    for line in lines:
        middle = line.middle()
        if middle:
            first, last = middle[0], middle[-1]
            parts.append(
                f"{line.label or 'the value'} goes from {words.single(first[1], unit)} at "
                f"{words.plain(first[0])} {axis.unit} to {words.single(last[1], unit)} at "
                f"{words.plain(last[0])} {axis.unit}"
            )
    shown = words.sentence("; ".join(parts) or "no steady step has a value")
    return f"Against the {axis.by}: {shown} The table below the figure has every value."


def table_of(lines: Sequence[Line], axis: Axis) -> Table:
    """Give every point in words, with the reason where there is none."""
    rate = ("Arrival rate (/s)",) if axis.open else ()
    columns = ("Step", axis.column, *rate, "Repetition", "State")
    rows = []
    for place, point in enumerate(lines[0].points):
        cells = [line.points[place].estimate for line in lines]
        rows.append(
            (
                str(point.step),
                words.rate(point.place),
                *([words.plain(point.rate)] if axis.open else []),
                str(point.repetition),
                point.state,
                *(_told(estimate) for estimate in cells),
            )
        )
    names = tuple(line.label or "Value" for line in lines)
    return Table((*columns, *names), tuple(rows))


def table_by_deployment(lines: Sequence[Line], axis: Axis) -> Table:
    """Give every point of lines that are each a deployment's."""
    tables = [(line.label, table_of([line], axis)) for line in lines]
    columns = tables[0][1].columns[:-1]
    rows = [(name, *row) for name, table in tables for row in table.rows]
    return Table(("Deployment", *columns, "Value"), tuple(rows))


def told(point: Point, axis: Axis) -> str:
    """Say what one point stands for: "0.61 s [0.55, 0.70], n = 240, at 2.02 requests/s; step 3, repetition 1"."""
    state = "" if point.state == VALID else f", {point.state}"
    return (
        f"{_told(point.estimate)}, at {words.plain(point.rate)}{words.NO_BREAK}{axis.unit}; "
        f"step {point.step}, repetition {point.repetition}{state}"
    )


def _told(estimate: Estimate) -> str:
    if not estimate.known:
        return f"{NOTHING} ({estimate.reason})"
    text = words.amount(estimate.value, estimate.low, estimate.high, estimate.unit)
    return f"{text}, n = {words.plain(estimate.n, 0)}" if math.isfinite(estimate.n) else text
