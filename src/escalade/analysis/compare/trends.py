"""One figure over campaigns, and where it changes.

All series of a history are one family: change points are those that Holm's correction leaves, so
that a history in which nothing changes shows one in less than one of twenty.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.compare.comparability import changes, hardware_of, workload_hash
from escalade.analysis.compare.comparison import change
from escalade.analysis.measured.json_numbers import finite
from escalade.analysis.stats.change_points import ALARMS, best_split, change_points, least_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from escalade.analysis.compare.repeated import Figure
    from escalade.analysis.measured.cell import CellData, Slo
    from escalade.analysis.measured.levels import Level
    from escalade.analysis.stats.change_points import ChangePoint
    from escalade.analysis.stats.intervals import Estimate


@dataclass(frozen=True)
class Past:
    """A measured campaign.

    Attributes
    ----------
    name, path
        Of the campaign and of its folder.
    provenance
        Content of provenance.json.
    slos
        Its objectives.
    cells
        As measured.
    """

    name: str
    path: str
    provenance: Mapping[str, Any]
    slos: Sequence[Slo]
    cells: Sequence[CellData]


@dataclass(frozen=True)
class Member:
    """One deployment of one campaign."""

    past: Past
    deployment: str
    cells: Sequence[CellData]
    measured_at: float

    @property
    def kind(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        """Deployment, workload and hardware class: what makes a history."""
        hardware = hardware_of(self.cells)
        return (
            self.deployment,
            workload_hash(self.cells),
            tuple(sorted(hardware.cpus)),
            tuple(sorted(hardware.gpus)),
        )


def measured_at(cells: Iterable[CellData]) -> float:
    """Give the begin of the first cell in Unix s, else of its first step; NaN when nothing says it."""
    times = [float(at) for cell in cells for at in _begins(cell)]
    return min(times, default=math.nan)


def _begins(cell: CellData) -> list[float]:
    own = cell.cell.get("started_at")
    steps = [step["started_at"] for step in cell.steps if step.get("started_at") is not None]
    return steps if own is None else [own]


@dataclass(frozen=True)
class Point:
    """One value of a series.

    Attributes
    ----------
    member
        Where it is from.
    estimate
        Value and interval: t on the logarithm over three repetitions or more, that of the one run
        where there is no other.
    beyond
        "above" ("below") where the value of a repetition lies beyond the end (begin) of its ladder.
    limit
        That end.
    why
        Why there is no value, or what is to be said of it.
    """

    member: Member
    estimate: Estimate
    beyond: str = ""
    limit: float = math.nan
    why: str = ""


@dataclass
class Series:
    """One figure in the order of time."""

    figure: Figure
    level: Level | None
    points: list[Point]
    splits: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""

    @property
    def known(self) -> list[Point]:
        """The points that have a value; infinite where the service died."""
        return [point for point in self.points if not math.isnan(point.estimate.value)]

    @property
    def values(self) -> list[float]:
        """The known values, cut where a ladder of one of them ends: beyond that nothing is known."""
        lowest, highest = _limits(self.known)
        return [max(lowest, min(highest, point.estimate.value)) for point in self.known]


def _limits(points: Sequence[Point]) -> tuple[float, float]:
    above = [point.limit for point in points if point.beyond == "above"]
    below = [point.limit for point in points if point.beyond == "below"]
    return max(below, default=-math.inf), min(above, default=math.inf)


def find_changes(series: Sequence[Series], margin: float) -> None:
    """Find the change points of all series, which are one family (Holm)."""
    firsts = [best_split(each.values) for each in series]
    tested = [(found.p, place) for place, found in enumerate(firsts) if found is not None]
    rejected = True
    for rank, (p, place) in enumerate(sorted(tested)):
        level = ALARMS / (len(tested) - rank)
        rejected = rejected and p <= level
        if rejected:
            each = series[place]
            each.splits = _splits(each, level, margin)
    for each in series:
        each.note = _note(each, max(1, sum(1 for other in series if other.known)))


def _splits(series: Series, level: float, margin: float) -> list[dict[str, Any]]:
    """Describe the change points of a series: how much, and what else changed there."""
    found = change_points(series.values, level)
    edges = [0, *(each.index for each in found), len(series.values)]
    return [
        _split(series, each, (edges[place], edges[place + 2]), margin)
        for place, each in enumerate(found)
    ]


def _split(
    series: Series, found: ChangePoint, edges: tuple[int, int], margin: float
) -> dict[str, Any]:
    before = series.values[edges[0] : found.index]
    behind = series.values[found.index : edges[1]]
    moved = change(before, behind, series.figure.direction)
    last, first = (series.known[place].member for place in (found.index - 1, found.index))
    return {
        "campaign": first.past.name,
        "path": first.past.path,
        "measured_at": first.measured_at,
        "index": series.points.index(series.known[found.index]),
        "p": found.p,
        "word": _word(moved.relative, series.figure.direction, margin),
        "before": finite(float(np.median(before))),
        "after": finite(float(np.median(behind))),
        "scale": moved.scale,
        **moved.columns,
        "changes": changes(
            (last.cells, last.past.provenance), (first.cells, first.past.provenance)
        ),
    }


def _word(relative: float, direction: str, margin: float) -> str:
    if abs(relative) <= margin:
        return "small"
    if direction == "none":
        return "changed"
    return "better" if (relative > 0) == (direction == "higher") else "worse"


def _note(series: Series, family: int) -> str:
    """Say what keeps a series from being tested, or its values from being compared."""
    needed, there = least_values(ALARMS / family), len(series.known)
    parts = []
    if there < needed:
        campaigns = f"{there} campaign{'s' * (there != 1)}"
        parts.append(
            f"with a value from {campaigns} nothing is tested well: a change in their middle is "
            f"sure to show from {needed} on"
        )
    lowest, highest = _limits(series.known)
    if math.isfinite(highest):
        parts.append(f"a ladder ends at {highest:.3g}: what is above does not show")
    if math.isfinite(lowest):
        parts.append(f"a ladder begins at {lowest:.3g}: what is below does not show")
    return "; ".join(parts)


def told_series(series: Series) -> dict[str, Any]:
    """Give a series as JSON has it."""
    figure, level = series.figure, series.level
    return {
        "metric": figure.metric,
        "stat": figure.stat,
        "label": figure.label,
        **({"at": level.words, **level.columns} if level is not None else {"at": ""}),
        "unit": figure.unit,
        "better": figure.direction,
        "points": [_told_point(point) for point in series.points],
        "change_points": series.splits,
        "note": series.note,
    }


def _told_point(point: Point) -> dict[str, Any]:
    found = point.estimate
    return {
        "value": finite(found.value),
        "infinite": math.isinf(found.value),
        "ci_low": finite(found.low),
        "ci_high": finite(found.high),
        "ci_method": found.method,
        "n": found.n,
        "beyond": point.beyond,
        "why": point.why,
    }
