"""Campaigns of one kind in the order of their measurement, and where their figures change.

The unit is the campaign: one value of a figure from each, over its repetitions. A history is one
deployment under one workload on one class of hardware.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.compare.comparison import MARGIN
from escalade.analysis.compare.derived import derive
from escalade.analysis.compare.primary import CAPACITIES, Primary
from escalade.analysis.compare.repeated import repeated
from escalade.analysis.compare.trends import (
    Member,
    Point,
    Series,
    find_changes,
    measured_at,
    told_series,
)
from escalade.analysis.stats.intervals import MIN_REPETITIONS, Estimate, over_repetitions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from escalade.analysis.compare.derived import Derived
    from escalade.analysis.compare.repeated import Figure, Place, Repeated, Values
    from escalade.analysis.compare.trends import Past
    from escalade.analysis.measured.cell import Slo
    from escalade.analysis.measured.levels import Level

SCHEMA = 1
USUAL = "p90"
"""Percentile of the latency where no objective names one."""
_BOUNDS = {
    "capacity_qps": ("ci_low", "ci_high"),
    "slo_capacity_qps": ("slo_ci_low", "slo_ci_high"),
}


def histories(
    campaigns: Sequence[Past],
    wanted: Sequence[Primary] = (),
    margin: float = MARGIN,
    told: Callable[[str], None] = lambda _: None,
) -> list[dict[str, Any]]:
    """Give every history of the campaigns, in order of deployment and workload.

    Parameters
    ----------
    campaigns
        In any order: they are put in that of their measurement.
    wanted
        Figures; without a level those of every step. By default capacity, SLO capacity, and the
        latency that the objectives judge at each step (without any its p90).
    margin
        Changes of less than that share are shown and called small.
    told
        Gets a line about what is done next.

    Returns
    -------
    list of dict
        As `escalade history --format json` prints them.

    Notes
    -----
    KPIs are derived again from the requests, with the objectives of the newest campaign of a
    history: yesterday's formula makes no change of today.
    """
    groups: dict[tuple[Any, ...], list[Member]] = {}
    for past in campaigns:
        for deployment in dict.fromkeys(cell.deployment for cell in past.cells):
            cells = [cell for cell in past.cells if cell.deployment == deployment]
            member = Member(past, deployment, cells, measured_at(cells))
            groups.setdefault(member.kind, []).append(member)
    return [
        _history(kind, sorted(groups[kind], key=_by_time), wanted, margin, told)
        for kind in sorted(groups)
    ]


def _by_time(member: Member) -> tuple[float, str]:
    return member.measured_at, member.past.path


def _history(
    kind: tuple[Any, ...],
    members: Sequence[Member],
    wanted: Sequence[Primary],
    margin: float,
    told: Callable[[str], None],
) -> dict[str, Any]:
    slos = members[-1].past.slos
    rows: list[_Row] = []
    for member in members:
        told(f"{member.past.path}: deriving the KPIs of {member.deployment}")
        rows.append(_Row.of(member, slos))
    series = _series(rows, wanted or _usual(slos), explicit=bool(wanted))
    find_changes(series, margin)
    deployment, workload, cpus, gpus = kind
    return {
        "deployment": deployment,
        "workload": workload,
        "hardware": {"cpu": list(cpus), "gpu": list(gpus)},
        "objectives": [f"{slo.metric} {slo.stat} {slo.sign} {slo.limit:g}" for slo in slos],
        "campaigns": [_campaign(member) for member in members],
        "series": [told_series(each) for each in series],
    }


def _usual(slos: Sequence[Slo]) -> tuple[Primary, ...]:
    judged = [Primary(slo.metric, slo.stat) for slo in slos if slo.workload is None]
    timed = [each for each in judged if each.metric.endswith("_seconds")]
    latencies = timed or [Primary("latency_seconds", USUAL)]
    return (*(Primary(name) for name in CAPACITIES), *dict.fromkeys(latencies))


@dataclass(frozen=True)
class _Row:
    """One deployment of one campaign with its figures; the request logs are let go."""

    member: Member
    values: Mapping[Figure, Values]
    levels: Mapping[Place, tuple[int, Level]]
    alone: Mapping[Figure, tuple[float, float]]
    """Intervals of the one run, where there is no other."""

    @classmethod
    def of(cls, member: Member, slos: Sequence[Slo]) -> _Row:
        """Derive the figures of a deployment."""
        derived = [derive(cell, slos) for cell in member.cells]
        found = repeated(derived)
        alone = dict(_intervals(derived[0], found)) if len(derived) == 1 else {}
        return cls(member, found.values, found.levels, alone)

    def point(self, figure: Figure) -> Point:
        """Give the value of a figure, or why there is none."""
        found = self.values.get(figure)
        if found is None:
            return Point(self.member, Estimate.missing("no such step or figure"))
        if not found.known:
            why = found.left_out[0] if found.left_out else "no repetition has a value"
            return Point(self.member, Estimate.missing(why), why=why)
        beyond = "above" if found.above else "below" if found.below else ""
        limit = min(found.above) if found.above else max(found.below, default=math.nan)
        said = [f"{len(found.left_out)} left out: {why}" for why in found.left_out[:1]]
        why = "; ".join([*said, *found.caveats[:1]])
        return Point(self.member, self._estimate(figure, found), beyond, limit, why)

    def _estimate(self, figure: Figure, found: Values) -> Estimate:
        n = len(found.known)
        joined = over_repetitions(found.known)
        if math.isfinite(joined.value):
            return joined
        value = float(np.median(found.known))
        positive = all(0 < each < math.inf for each in found.known)
        if positive and 1 < n < MIN_REPETITIONS:
            value = float(np.exp(np.mean(np.log(found.known))))
        low, high = self.alone.get(figure, (math.nan, math.nan)) if n == 1 else (math.nan, math.nan)
        method = "this run only" if math.isfinite(low) or math.isfinite(high) else ""
        return Estimate(value, low, high, method, n, float(n))


def _intervals(derived: Derived, found: Repeated) -> Iterator[tuple[Figure, tuple[float, float]]]:
    """Give the intervals that one run has by itself."""
    steps = {place: number for place, (number, _) in found.levels.items()}
    rows = {
        (int(row["step"]), str(row["metric"]), str(row["stat"])): row
        for row in derived.kpis.to_dict("records")
        if "{" not in str(row["source"])
    }
    for figure in found.values:
        if figure.metric in _BOUNDS:
            low, high = (derived.capacity.get(name) for name in _BOUNDS[figure.metric])
            yield figure, (_number(low), _number(high))
        elif not figure.label:
            row = rows.get((steps.get(figure.place, 0), figure.metric, figure.stat))
            if row is not None:
                yield figure, (float(row["ci_low"]), float(row["ci_high"]))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _series(rows: Sequence[_Row], wanted: Sequence[Primary], *, explicit: bool) -> list[Series]:
    """Give a series for each wanted figure that a campaign has; for each that was asked for by name."""
    figures: dict[Figure, Level | None] = {}
    for each in wanted:
        for row in rows:
            for figure in row.values:
                level = row.levels[figure.place][1] if figure.place in row.levels else None
                if _meant(each, figure, level):
                    figures.setdefault(figure, level)
    found = [
        Series(figure, level, [row.point(figure) for row in rows])
        for figure, level in figures.items()
    ]
    return [series for series in found if explicit or series.known]


def _meant(wanted: Primary, figure: Figure, level: Level | None) -> bool:
    if (wanted.metric, wanted.stat) != (figure.metric, figure.stat):
        return False
    if (wanted.name or figure.label) and f'="{wanted.name}"' not in figure.label:
        return False
    return math.isnan(wanted.level) or (level is not None and level.value == wanted.level)


def _campaign(member: Member) -> dict[str, Any]:
    software, source = (member.past.provenance.get(key) or {} for key in ("software", "source"))
    return {
        "campaign": member.past.name,
        "path": member.past.path,
        "measured_at": member.measured_at,
        "repetitions": len(member.cells),
        "escalade": software.get("escalade"),
        "commit": source.get("commit"),
        "dirty": source.get("dirty"),
    }
