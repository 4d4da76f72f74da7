"""Component benchmarks as rows: percentiles with intervals, per repetition and over them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.kpis.component_statistics import STATISTICS
from escalade.analysis.stats.intervals import MIN_REPETITIONS, over_repetitions, percentiles

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from escalade.analysis.measured.windows import FloatArray
    from escalade.analysis.stats.intervals import Estimate

COLUMNS = (
    "component",
    "status",
    "repetition",
    "metric",
    "stat",
    "value",
    "unit",
    "better",
    "ci_low",
    "ci_high",
    "ci_method",
    "n",
    "n_eff",
    "quality",
)


def component_rows(
    component: str,
    metric: Mapping[str, str],
    repetitions: Sequence[FloatArray],
    remarks: Sequence[Sequence[str]] = (),
) -> list[dict[str, Any]]:
    """Reduce what one component measured to rows.

    Parameters
    ----------
    component
        Its name.
    metric
        `name`, `unit`, and `better`: "lower" or "higher".
    repetitions
        The values of each repetition, warm-up left out, in their order.
    remarks
        What is wrong with each repetition, such as too few iterations.

    Returns
    -------
    list of dict
        A row per repetition and percentile, with the interval of its order statistics (on n_eff
        where iterations depend on each other), then one per percentile over all repetitions,
        with `repetition` None, where there are three or more: t on the logarithm.
    """
    stats = STATISTICS[metric["better"]]
    shares = [share for _, share in stats]
    told = [*remarks, *([()] * (len(repetitions) - len(remarks)))]
    found = [
        [estimate.flagged(*why) for estimate in percentiles(values, shares)]
        for values, why in zip(repetitions, told, strict=True)
    ]
    rows = [
        _row(component, metric, number, stat, estimate)
        for number, estimates in enumerate(found, start=1)
        for (stat, _), estimate in zip(stats, estimates, strict=True)
    ]
    if len(found) >= MIN_REPETITIONS:
        rows += list(_over(component, metric, found))
    return rows


def missing_row(component: str, status: str, why: str) -> dict[str, Any]:
    """Give the row of a component without numbers."""
    return {
        **dict.fromkeys(COLUMNS, ""),
        "component": component,
        "status": status,
        "repetition": None,
        "value": math.nan,
        "ci_low": math.nan,
        "ci_high": math.nan,
        "n": 0,
        "n_eff": math.nan,
        "quality": f"missing: {why}",
    }


def _over(
    component: str, metric: Mapping[str, str], found: Sequence[Sequence[Estimate]]
) -> Iterator[dict[str, Any]]:
    for place, (stat, _) in enumerate(STATISTICS[metric["better"]]):
        values = [estimates[place].value for estimates in found]
        known = [value for value in values if math.isfinite(value)]
        estimate = over_repetitions(known)
        if lost := len(values) - len(known):
            estimate = estimate.flagged(f"{lost} of {len(values)} repetitions have no {stat}")
        yield _row(component, metric, None, stat, estimate)


def _row(
    component: str,
    metric: Mapping[str, str],
    repetition: int | None,
    stat: str,
    estimate: Estimate,
) -> dict[str, Any]:
    return {
        "component": component,
        "status": "measured",
        "repetition": repetition,
        "metric": metric["name"],
        "stat": stat,
        "value": estimate.value,
        "unit": metric["unit"],
        "better": metric["better"],
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        "ci_method": estimate.method,
        "n": estimate.n,
        "n_eff": estimate.n_eff,
        "quality": estimate.quality.replace("requests depend", "iterations depend"),
    }


def values_of(samples: Mapping[str, Any], metric: str) -> list[FloatArray]:
    """Split the counted values of a metric by repetition.

    Parameters
    ----------
    samples
        Columns of the stored samples: `repetition`, `warmup` and one of each metric.
    metric
        Name of its column.
    """
    repetition = np.asarray(samples["repetition"])
    counted = ~np.asarray(samples["warmup"], dtype=bool)
    values = np.asarray(samples[metric], dtype=np.float64)
    return [values[counted & (repetition == number)] for number in np.unique(repetition)]
