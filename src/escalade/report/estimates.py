"""Numbers of the KPI table, found by cell, step, metric and statistic."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.catalogue import SCOPED
from escalade.analysis.stats.intervals import NOT_ESTIMABLE
from escalade.report.facts import SATURATED
from escalade.report.words import bound, clean, known

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

Name = tuple[str, str, str]
"""Metric, statistic, label."""


@dataclass(frozen=True)
class Estimate:
    """One number of the KPI table with what makes it readable; NaN when there is none."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    n: float = math.nan
    quality: str = "missing: not in the KPI table"
    method: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a number."""
        return math.isfinite(self.value)

    @property
    def printable(self) -> bool:
        """Whether the number is one: that of an over-saturated step is a function of time."""
        return self.known and SATURATED not in self.quality

    @property
    def has_interval(self) -> bool:
        """Whether there is an interval; a bound may be infinite."""
        return not (math.isnan(self.low) or math.isnan(self.high))

    @property
    def no_interval(self) -> str:
        """Why a number has no interval; empty where it has one, or where the table does not say."""
        if not self.known or self.has_interval or not self.method.startswith(NOT_ESTIMABLE):
            return ""
        return f"no interval: {self.method.removeprefix(NOT_ESTIMABLE).lstrip(': ')}"

    @property
    def reason(self) -> str:
        """Why there is no number, or what is wrong with it; empty when all is well."""
        return "" if self.quality == "ok" else self.quality.removeprefix("missing: ")


class Estimates:
    """The KPI table by cell, step and name.

    Parameters
    ----------
    kpis
        The tidy table: one row per cell, step, metric and statistic.
    """

    def __init__(self, kpis: pd.DataFrame) -> None:
        self.by_step = _by_step(kpis)

    def of(
        self, cell: str, step: int, metric: str, stat: str | None = None, label: str | None = None
    ) -> Estimate:
        """Look up one number; without `stat` or `label`, the first that the metric has.

        Never raises: what is absent comes back as an estimate without a value.
        A step that has no labels, since it did not run, answers for all of them.
        """
        there = self._by_metric.get((cell, step), {}).get(metric, ())
        wanted = [None] if label is None else [label, ""]
        for which in wanted:
            for its_stat, its_label, found in there:
                if stat in (None, its_stat) and which in (None, its_label):
                    return found
        return Estimate()

    def scoped(self, cell: str, step: int, metric: str, stat: str, scope: str) -> Estimate:
        """Look up an energy figure of one scope; an estimate without a value when it is absent."""
        there = self._by_metric.get((cell, step), {}).get(metric, ())
        mine = (
            found
            for its_stat, label, found in there
            if its_stat == stat and label.startswith(f"{scope}, ")
        )
        return next(mine, Estimate())

    @cached_property
    def _by_metric(self) -> dict[tuple[str, int], dict[str, list[tuple[str, str, Estimate]]]]:
        """The same by metric, for many figures are looked up in every step."""
        table: dict[tuple[str, int], dict[str, list[tuple[str, str, Estimate]]]] = {}
        for place, names in self.by_step.items():
            mine = table.setdefault(place, {})
            for (metric, stat, label), found in names.items():
                mine.setdefault(metric, []).append((stat, label, found))
        return table


def _by_step(kpis: pd.DataFrame) -> dict[tuple[str, int], dict[Name, Estimate]]:
    """Give the estimates by (cell, step), then by (metric, statistic, label).

    The label (a target, a GPU, a model, an SLO) is empty for a metric that
    has only one row per step.
    """
    rows = kpis.to_dict("records")
    places = [(*_place(row), str(row.get("metric", "")), str(row.get("stat", ""))) for row in rows]
    counts = Counter(places)
    labelled = {(place[0], place[2]) for place in places if counts[place] > 1}
    table: dict[tuple[str, int], dict[Name, Estimate]] = defaultdict(dict)
    for row, (cell, step, metric, stat) in zip(rows, places, strict=True):
        told = (cell, metric) in labelled or metric in SCOPED
        label = _label(row) if told else ""
        table[cell, step][metric, stat, label] = Estimate(
            value=known(row.get("value")),
            low=bound(row.get("ci_low")),
            high=bound(row.get("ci_high")),
            unit=clean(row.get("unit") or ""),
            n=known(row.get("n")),
            quality=clean(row.get("quality") or "ok"),
            method=clean(row.get("ci_method") or ""),
        )
    return dict(table)


def _place(row: Mapping[Any, Any]) -> tuple[str, int]:
    step = known(row.get("step"))
    return clean(row.get("cell", "")), int(step) if math.isfinite(step) else 0


def _label(row: Mapping[Any, Any]) -> str:
    """Give what tells rows of a metric apart, from its source: "node, 127.0.0.1:9100"."""
    inner = str(row.get("source", "")).partition("{")[2].removesuffix("}")
    values = re.findall(r'="((?:[^"\\]|\\.)*)"', inner)
    return clean(", ".join(reversed(values)) or inner)
