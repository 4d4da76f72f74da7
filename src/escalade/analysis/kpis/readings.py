"""One KPI of one step, before it becomes a row of the table."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.kpis.catalogue import BY_NAME
from escalade.analysis.stats.intervals import EXACT, NOT_ESTIMABLE, Estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from escalade.analysis.measured.windows import FloatArray

COLUMNS = (
    "cell",
    "deployment",
    "repetition",
    "step",
    "target_qps",
    "metric",
    "stat",
    "value",
    "unit",
    "ci_low",
    "ci_high",
    "ci_method",
    "n",
    "n_eff",
    "source",
    "quality",
)

NO_REQUEST = "no request was planned inside the window"
LARGEST_OF_ALL = f"{EXACT}, the largest of all"

_OF_A_PART = r'[{,](?:workload|turn)="'
"""In the source of rows that tell of a part of a step's requests; within a value quotes are escaped."""
_WRITTEN = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*")')
"""A label and its value, in the words of JSON."""


@dataclass(frozen=True)
class Reading:
    """A statistic of a metric.

    Attributes
    ----------
    metric, stat
        As in the catalogue.
    estimate
        The number, or why there is none.
    label
        What tells rows of the same metric apart, as in `{instance="…"}`.
    """

    metric: str
    stat: str
    estimate: Estimate
    label: str = ""

    def row(self, where: Mapping[str, Any]) -> dict[str, Any]:
        """Make a row of the KPI table; `where` gives cell, step and rate."""
        metric = BY_NAME[self.metric]
        found = with_method(self.estimate, metric.interval)
        return {
            **where,
            "metric": self.metric,
            "stat": self.stat,
            "value": found.value,
            "unit": metric.unit,
            "ci_low": found.low,
            "ci_high": found.high,
            "ci_method": found.method,
            "n": found.n,
            "n_eff": found.n_eff,
            "source": f"{metric.source}{self.label}",
            "quality": found.quality,
        }


def with_method(found: Estimate, interval: str) -> Estimate:
    """Say of an estimate that names no method why it has no interval, or that it needs none.

    Parameters
    ----------
    found
        The estimate; one that names its method stays as it is.
    interval
        What the catalogue says of the metric: "exact, …" and "not estimable: …" hold for each of
        its rows that have a value.
    """
    n = found.n if math.isnan(found.value) else max(1, found.n)
    n_eff = float(n) if math.isnan(found.n_eff) else found.n_eff
    if found.method:
        return replace(found, n=n, n_eff=n_eff)
    if math.isnan(found.value):
        return replace(found, method=f"{NOT_ESTIMABLE}: no value", n_eff=n_eff)
    if interval.startswith(EXACT):
        ends = found.value, found.value
        return replace(found, low=ends[0], high=ends[1], method=interval, n=n, n_eff=n_eff)
    why = interval if interval.startswith(NOT_ESTIMABLE) else f"{NOT_ESTIMABLE}: too few, n = {n}"
    return replace(found, method=why, n=n, n_eff=n_eff)


def with_label(reading: Reading, **label: str) -> Reading:
    """Give a reading with one more label, which tells a part of the step's requests."""
    more = label_of(label)
    return replace(reading, label=f"{reading.label[:-1]},{more[1:]}" if reading.label else more)


def rows_of(kpis: pd.DataFrame, workload: str | None = None) -> pd.DataFrame:
    """Give the rows of one workload of a mix; by default those of the steps as a whole."""
    if workload is None:
        return kpis[~kpis["source"].str.contains(_OF_A_PART)]
    written = label_of({"workload": workload})[1:]
    return kpis[kpis["source"].str.endswith(written)]


def of_slo(kpis: pd.DataFrame, slo: str) -> pd.DataFrame:
    """Give the rows that belong to one objective, as those of goodput do."""
    written = label_of({"slo": slo})[1:-1]
    return kpis[kpis["source"].str.contains(written, regex=False)]


def missing(metrics: Iterable[str], why: str) -> list[Reading]:
    """Give every statistic of `metrics` as missing, with the reason."""
    absent = Estimate.missing(why)
    return [Reading(name, stat, absent) for name in metrics for stat in BY_NAME[name].stats]


def plain(metric: str, value: float | None, why: str, stat: str = "value", n: int = 0) -> Reading:
    """Give a number without interval; None becomes missing for the reason `why`."""
    if value is None:
        return Reading(metric, stat, Estimate.missing(why))
    return Reading(metric, stat, Estimate(value=float(value), n=n))


def largest(values: FloatArray, failures: str) -> Estimate:
    """Give the largest of all values; those without an answer are infinite, as `failures` says."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Estimate(n=len(values), quality=f"not estimable: {failures}")
    n, most = len(values), float(finite.max())
    found = Estimate(most, most, most, LARGEST_OF_ALL, n, float(n))
    if len(finite) == n:
        return found
    return replace(found, high=math.inf).flagged(f"largest good answer, {failures}")


def label_of(labels: Mapping[str, str]) -> str:
    """Write labels as Prometheus does: `{instance="127.0.0.1:9100",job="node"}`."""
    inner = ",".join(
        f"{key}={json.dumps(labels[key], ensure_ascii=False)}" for key in sorted(labels)
    )
    return f"{{{inner}}}"


def labels_in(source: str) -> dict[str, str]:
    """Give the labels in the source of a row, as `label_of` wrote them; {} of one without."""
    inner = source.partition("{")[2]
    return {key: json.loads(value) for key, value in _WRITTEN.findall(inner)}
