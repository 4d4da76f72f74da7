"""Intervals of what Prometheus sampled: means of gauges, rates of counters, ratios of two counters.

A sample tells of its own instant, and samples lean on their neighbours: a queue is as long now
as a second ago. So an interval is t on the number of independent samples that they are worth. Where these are few, only
one end is known; where they are fewer, none: a window that is short beside the memory of what is
sampled knows nothing of what it did not meet, and no method can make up for that.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.stats.dependence import (
    BATCHES,
    are_dependent,
    autocorrelation,
    batches_of,
    effective_size_by_correlation,
    effective_size_by_ranks,
    neighbours_correlation,
)
from escalade.analysis.stats.distributions import student_quantile
from escalade.analysis.stats.intervals import (
    NOT_ESTIMABLE,
    TAIL_IF_DEPENDENT,
    Estimate,
)
from escalade.analysis.stats.sample_floors import TAIL

if TYPE_CHECKING:
    from escalade.analysis.measured.windows import FloatArray

METHOD = "t on n_eff samples"
NOT_ABOVE, NOT_BELOW = f"{METHOD}, not bounded from above", f"{METHOD}, not bounded from below"
LARGEST = "largest sample: nothing bounds it from above"
MIN_SAMPLES, MIN_INDEPENDENT = 20, 10
"""Samples, and independent ones that they are worth, below which there is no interval."""
MIN_BOTH, MIN_BOTH_IF_DEPENDENT = 30, 60
"""Independent samples below which the end on the side of the long tail is not known."""
ERROR_OF_WHOLE = 0.2
"""Relative standard error of the whole beyond which the delta method does not hold."""


def over_samples(
    point: float,
    samples: FloatArray,
    interval: float = math.nan,
    highest: float = math.inf,
) -> Estimate:
    """Put an interval around a mean of samples in time order.

    Parameters
    ----------
    point
        The mean, as it is reported: weighted by time, or the difference of a counter per second.
    samples
        What it is a mean of; only their spread and dependence are taken. The mean is not negative.
    interval
        Time between two samples in seconds, to say how long a window would do; NaN where it varies.
    highest
        Largest value that the mean can have: 1 for a share.

    Returns
    -------
    Estimate
        Without an interval where samples are too few, worth too few independent ones, or all alike, and
        with one end where they are worth some; `method` then says so.

    Notes
    -----
    n_eff is the smallest of n / (1 + 2 Σ ρ) of the values, of their ranks (Geyer's initial monotone
    sequence), of ten batches, and of n (1 − r) / (1 + r), with r one standard error above the correlation
    of neighbours: see `_independent`. Samples lie further on one side of their mean (the sign of
    their skewness), and there the next crowd would lie. So with few independent samples the end on that
    side is open, and where samples lean on each other it is that of a 99 % interval. The upper
    end is on the logarithm; of shares with their tail below, the lower one on that of the
    distance to `highest`. The spread of samples that lean on each other is too small by 1 − 1/n_eff, which
    is put right. How well all that covers, and how often it is refused: docs/statistics.md, "Simulations".
    """
    n = len(samples)
    if n < MIN_SAMPLES:
        return _without(point, n, float(n), f"{n} samples, needs {MIN_SAMPLES}")
    deviations = samples - samples.mean()
    variance = float((deviations**2).mean())
    if variance <= (1e-12 * max(1.0, abs(point))) ** 2:
        return _without(point, n, float(n), f"all {n} samples are alike")
    n_eff = _independent(samples)
    if n_eff < MIN_INDEPENDENT:
        return _without(point, n, n_eff, _too_short(n_eff, n * interval))
    dependent = are_dependent(samples)
    tail_above = float((deviations**3).mean()) >= 0
    error = math.sqrt(variance / (n_eff - 1))
    plain = student_quantile(1 - TAIL, n_eff - 1) * error
    to_tail = student_quantile(1 - TAIL_IF_DEPENDENT, n_eff - 1) * error if dependent else plain
    low = point - (plain if tail_above else to_tail)
    if not tail_above and point < highest < math.inf:
        low = highest - _stretched(highest - point, to_tail)
    high = min(highest, _stretched(point, to_tail if tail_above else plain))
    found = Estimate(point, min(point, max(0.0, low)), max(point, high), METHOD, n, n_eff)
    if n_eff >= (MIN_BOTH_IF_DEPENDENT if dependent else MIN_BOTH):
        return found
    if tail_above:
        return replace(found, high=math.inf, method=NOT_ABOVE)
    return replace(found, low=-math.inf, method=NOT_BELOW)


def ratio_over_samples(
    point: float,
    parts: FloatArray,
    wholes: FloatArray,
    interval: float = math.nan,
    highest: float = math.inf,
) -> Estimate:
    """Put an interval around Σ parts / Σ wholes of one scrape interval each, by the delta method.

    `point`, `interval` and `highest` are those of `over_samples`.
    """
    n = len(wholes)
    if not n or not wholes.mean() > 0:
        return _without(point, n, float(n), "no sample of the whole")
    whole = float(wholes.mean())
    if float(wholes.std()) > ERROR_OF_WHOLE * whole * math.sqrt(n):
        return _without(point, n, float(n), "too little in the window to divide by")
    return over_samples(point, point + (parts - point * wholes) / whole, interval, highest)


def largest(value: float, n: int) -> Estimate:
    """Give the largest of n samples: what lay between two of them may have been larger."""
    return Estimate(value, value, math.inf, LARGEST, n, float(n))


def _without(point: float, n: int, n_eff: float, why: str) -> Estimate:
    return replace(Estimate(point), method=f"{NOT_ESTIMABLE}: {why}", n=n, n_eff=n_eff)


def _stretched(distance: float, half: float) -> float:
    """Lengthen a distance that can't be negative by t on its logarithm."""
    return distance * math.exp(half / distance) if distance > 0 else half


def _too_short(n_eff: float, seconds: float) -> str:
    """Say that the window is too short, and how long one might do; with one digit, for it is a guess."""
    wanted = (1.0 if math.isnan(seconds) else seconds) * MIN_INDEPENDENT / n_eff
    digit = 10.0 ** math.floor(math.log10(wanted))
    about = f"{digit * math.ceil(wanted / digit):g}"
    longer = f"{about} times as long" if math.isnan(seconds) else f"of {about} s or more"
    return (
        f"samples that lean on each other, worth fewer than {MIN_INDEPENDENT} independent ones; "
        f"a window {longer} might do"
    )


def _independent(samples: FloatArray) -> float:
    """Say how many independent samples they are worth, with care: it errs to the low side.

    A window that is short beside the memory of what it samples sees little of this memory, and every
    estimate of it comes out too short. So the correlation of neighbours is taken at the upper end of
    what n samples leave open (Kendall's correction of its bias, and one standard error).
    """
    n = len(samples)
    batch = batches_of(n)
    means = np.bincount(batch, weights=samples) / np.bincount(batch)
    between = float(means.var(ddof=1)) / BATCHES
    by_batches = float(samples.var(ddof=1)) / between if between > 0 else float(n)
    by_values, by_ranks = effective_size_by_correlation(samples), effective_size_by_ranks(samples)
    lean = highest_correlation(max(neighbours_correlation(samples), autocorrelation(samples)), n)
    return min(float(n), by_batches, by_values, by_ranks, n * (1 - lean) / (1 + lean))


def highest_correlation(found: float, n: int) -> float:
    """Give the largest correlation of neighbours that lies one standard error above what n samples show.

    The r of (found − r)² = (1 − r²) / n after Kendall's correction found + (1 + 3 found) / n; at least 0.
    """
    middle = min(0.999, found + (1 + 3 * found) / n)
    spread = math.sqrt(max(0.0, (1 - middle**2) / n + 1 / n**2))
    return min(0.9999, max(0.0, (middle + spread) / (1 + 1 / n)))
