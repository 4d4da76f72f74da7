"""The primary KPIs of a comparison: at most three, declared before anything is seen."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.analysis.kpis.catalogue import BY_NAME
from escalade.analysis.measured.levels import CONCURRENCY, SAMPLES, level_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.measured.cell import CellData, Slo

MOST = 3
CAPACITIES = ("capacity_qps", "slo_capacity_qps")
"""Figures of a whole ladder, in 1/s; higher is better."""
FORM = "METRIC, METRIC:STATISTIC or METRIC:STATISTIC@LEVEL, as in latency_seconds:p90@4"
_WRITTEN = re.compile(
    r"(?P<metric>[a-z_]+)(?:\[(?P<name>[^\]]+)\])?(?::(?P<stat>[a-z0-9]+))?(?:@(?P<level>[0-9.]+))?"
)


@dataclass(frozen=True)
class Primary:
    """One primary KPI.

    Attributes
    ----------
    metric, stat
        As in the catalogue, or one of `CAPACITIES`.
    name
        Which of several rows: an objective of goodput, a workload of a mix, a kind of operation.
    level
        Rate, concurrency or number of samples of the step; NaN for figures of a whole cell, and
        where the ladder has one step only.
    """

    metric: str
    stat: str = "value"
    name: str = ""
    level: float = math.nan

    @property
    def per_cell(self) -> bool:
        """Whether it belongs to a whole cell instead of a step."""
        return self.metric in CAPACITIES or BY_NAME[self.metric].per_cell

    @property
    def words(self) -> str:
        """As it is written in a configuration and on the command line."""
        named = f"[{self.name}]" if self.name else ""
        stat = "" if self.stat == "value" else f":{self.stat}"
        level = "" if math.isnan(self.level) else f"@{self.level:g}"
        return f"{self.metric}{named}{stat}{level}"


def primary_of(text: str) -> Primary:
    """Read a primary KPI as a user writes it.

    Raises
    ------
    ValueError
        When it is not written so, or is no KPI of which one direction is better.
    """
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no primary KPI; expected {FORM}.")
    metric, stat = found["metric"], found["stat"]
    level = float(found["level"]) if _is_number(found["level"]) else math.nan
    if found["level"] is not None and math.isnan(level):
        raise ValueError(f"{text!r}: {found['level']} is no number; expected {FORM}.")
    if metric in CAPACITIES:
        if stat or found["level"] or found["name"]:
            raise ValueError(f"{text!r}: {metric} belongs to a whole ladder; write {metric} alone.")
        return Primary(metric)
    known = BY_NAME.get(metric)
    if known is None or known.direction == "none":
        why = "no KPI" if known is None else "no KPI of which one direction is better"
        raise ValueError(
            f"{text!r}: {metric} is {why}. docs/metrics.md lists those that are, and there are "
            f"{' and '.join(CAPACITIES)}."
        )
    if stat is None and len(known.stats) == 1:
        stat = known.stats[0]
    if stat not in known.stats:
        raise ValueError(
            f"{text!r}: {metric} has no statistic {stat or 'by default'}; expected one of "
            f"{', '.join(known.stats)}, as in {metric}:{known.stats[0]}."
        )
    if known.per_cell and found["level"]:
        raise ValueError(f"{text!r}: {metric} belongs to a whole cell; leave @{level:g} out.")
    return Primary(metric, str(stat), found["name"] or "", level)


def family_of(texts: Sequence[str]) -> tuple[Primary, ...]:
    """Read all primary KPIs.

    Raises
    ------
    ValueError
        When one can't be read, or there are more than three, or one is there twice.
    """
    family = tuple(primary_of(text) for text in texts)
    words = [each.words for each in family]
    if len(family) > MOST:
        raise ValueError(
            f"{len(family)} primary KPIs are declared ({', '.join(words)}); at most {MOST} may be: "
            "each one more makes all of them harder to show. The others are compared as exploratory."
        )
    if len(set(words)) < len(words):
        raise ValueError(f"A primary KPI is declared twice: {', '.join(words)}.")
    return family


def _is_number(text: str | None) -> bool:
    try:
        return text is not None and math.isfinite(float(text))
    except ValueError:
        return False


def usual_family(slos: Sequence[Slo], cells: Sequence[CellData]) -> tuple[Primary, ...]:
    """Choose the primary KPIs where nobody declared them, from the configuration alone.

    What objectives that name their step judge (the first three). Else, where there are objectives, the
    SLO capacity, and on a ladder what the first of them judges at the middle step. Without objectives
    the p90 latency at the middle step of a ladder of rates, the throughput at the highest
    concurrency of a closed loop, or the samples per second of the largest lot.
    """
    levels = [level_of(outcome) for outcome in (cells[0].steps if cells else ())]
    placed = [
        Primary(slo.metric, slo.stat, _named(slo), slo.at_qps)
        for slo in slos
        if slo.at_qps is not None
    ]
    if placed:
        return tuple(dict.fromkeys(placed))[:MOST]
    if any(level.name == CONCURRENCY for level in levels):
        return (Primary("throughput_qps", level=max(level.value for level in levels)),)
    if any(level.name == SAMPLES for level in levels):
        return (Primary("samples_per_second", level=max(level.value for level in levels)),)
    searched = bool(cells and cells[0].search)
    capacity = (Primary("slo_capacity_qps"),) if slos or searched else ()
    rates = sorted({level.value for level in levels if math.isfinite(level.value)})
    if searched or not rates:
        return capacity
    middle = rates[(len(rates) - 1) // 2]
    judged = slos[0] if slos else None
    if judged is None:
        return (Primary("latency_seconds", "p90", level=middle),)
    return (*capacity, Primary(judged.metric, judged.stat, _named(judged), middle))


def _named(slo: Slo) -> str:
    """Give what tells the rows that an objective judges from others of their metric."""
    return slo.of or slo.workload or ""
