"""How many more requests, or repetitions, would decide an objective."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.catalogue import SHARES
from escalade.analysis.stats.distributions import normal_quantile, student_quantile
from escalade.analysis.stats.intervals import MIN_INDEPENDENT
from escalade.analysis.stats.sample_floors import TAIL, sample_floor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.measured.cell import Slo

HOPELESS_FACTOR = 1000.0
"""Beyond so many times the sample, the value is on the limit for all that can be measured."""
MAX_REPETITIONS = 1000


def more_requests(row: Mapping[str, Any], slo: Slo, error_ratio: float) -> str:
    """Say how many more requests would decide, if they go like those so far.

    Parameters
    ----------
    row
        KPI row of the judged statistic, with an interval around the limit or
        without a bound.
    slo
        The objective.
    error_ratio
        Of the same step; failures bound percentiles from above.
    """
    n = int(row["n"])
    total = _total(row, slo, error_ratio)
    if not total < HOPELESS_FACTOR * max(n, 1):
        return "the value is so close to the limit that no reasonable number of requests decides"
    more = max(1, math.ceil(total) - n)
    digits = max(0, len(str(more)) - 2)
    rounded = math.ceil(more / 10**digits) * 10**digits
    times = (n + rounded) / n if n else math.inf
    factor = f", a window {times:.3g} times as long" if math.isfinite(times) else ""
    return f"about {rounded} more requests would decide{factor}"


def _total(row: Mapping[str, Any], slo: Slo, error_ratio: float) -> float:
    """Give the number of requests that the interval needs to leave the limit."""
    n, n_eff, value = float(row["n"]), float(row["n_eff"]), float(row["value"])
    thinning = n / n_eff if n_eff > 0 else 1.0
    share = SHARES.get(slo.stat)
    if share is not None:
        dependent = 0 < n_eff < n
        floor = max(sample_floor(share), MIN_INDEPENDENT if dependent else 0)
        if (n_eff if dependent else n) < floor:
            return thinning * floor
        if not (math.isfinite(value) and math.isfinite(float(row["ci_high"]))):
            return thinning * _failures_apart(share, error_ratio)
    if slo.stat == "mean" and 0 < n_eff < MIN_INDEPENDENT:
        return thinning * MIN_INDEPENDENT
    good = slo.keeps(value)
    bound = float(row["ci_high"] if good != slo.at_least else row["ci_low"])
    if not math.isfinite(bound) or value == slo.limit:
        return math.inf
    return n * ((bound - value) / (slo.limit - value)) ** 2


def _failures_apart(share: float, error_ratio: float) -> float:
    """Give the independent requests that set the failed share apart from 1 − share."""
    distance = (1 - share) - error_ratio
    if not math.isfinite(distance) or distance == 0:
        return math.inf
    z = normal_quantile(1 - TAIL)
    return z * z * share * (1 - share) / distance**2


def more_repetitions(values: Sequence[float], limit: float) -> str:
    """Say how many repetitions would decide, if their spread stays as it is."""
    if min(values) <= 0:
        return "more repetitions are needed"
    logs = [math.log(value) for value in values]
    middle = sum(logs) / len(logs)
    spread = math.sqrt(sum((log - middle) ** 2 for log in logs) / (len(logs) - 1))
    distance = abs(math.log(limit) - middle)
    for count in range(len(values) + 1, MAX_REPETITIONS + 1):
        if student_quantile(1 - TAIL, count - 1) * spread / math.sqrt(count) < distance:
            return f"about {count - len(values)} more repetitions would decide"
    return "the value is so close to the limit that no reasonable number of repetitions decides"
