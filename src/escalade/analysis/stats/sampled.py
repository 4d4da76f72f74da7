"""Intervals of what Prometheus sampled: means of gauges, rates of counters, ratios of two counters.

A sample tells of its own instant, and samples lean on their neighbours: a queue is as long now
as a second ago. So an interval is t on the number of independent samples that they are worth.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.stats.dependence import (
    BATCHES,
    batches_of,
    effective_size_by_correlation,
    effective_size_by_ranks,
)
from escalade.analysis.stats.distributions import student_quantile
from escalade.analysis.stats.intervals import NOT_ESTIMABLE, TAIL, Estimate

if TYPE_CHECKING:
    from escalade.analysis.measured.windows import FloatArray

METHOD = "t on n_eff samples"
LARGEST = "largest sample: nothing bounds it from above"
MIN_SAMPLES, MIN_INDEPENDENT = 20, 10
"""Samples, and independent ones that they are worth, below which there is no interval."""


def over_samples(point: float, samples: FloatArray, highest: float = math.inf) -> Estimate:
    """Put an interval around a mean of samples in time order.

    Parameters
    ----------
    point
        The mean, as it is reported: weighted by time, or the difference of a counter per second.
    samples
        What it is a mean of; only their spread and dependence are taken. The mean is not negative.
    highest
        Largest value that the mean can have: 1 for a share.

    Returns
    -------
    Estimate
        Without an interval where samples are too few, worth too few independent ones, or all alike;
        `method` then says so.

    Notes
    -----
    n_eff is the smallest of n / (1 + 2 Σ ρ) of the values, of their ranks (Geyer's initial monotone
    sequence), and of ten batches (from 20 samples on). The upper end is on the logarithm, since a
    queue that was short for a while says little of how long it gets. The spread of samples that
    lean on each other is too small by 1 − 1/n_eff, which is put right. How well it covers:
    docs/statistics.md, "Simulations".
    """
    n = len(samples)
    if n < MIN_SAMPLES:
        return _without(point, n, float(n), f"{n} samples, needs {MIN_SAMPLES}")
    variance = float(samples.var())
    if variance <= (1e-12 * max(1.0, abs(point))) ** 2:
        return _without(point, n, float(n), f"all {n} samples are alike")
    n_eff = _independent(samples)
    if n_eff < MIN_INDEPENDENT:
        few = f"{n} samples are worth {n_eff:.1f} independent ones, needs {MIN_INDEPENDENT}"
        return _without(point, n, n_eff, few)
    half = student_quantile(1 - TAIL, n_eff - 1) * math.sqrt(variance / (n_eff - 1))
    high = point * math.exp(half / point) if point > 0 else point + half
    high = max(point, min(high, highest))
    return Estimate(point, min(point, max(0.0, point - half)), high, METHOD, n, n_eff)


def ratio_over_samples(point: float, parts: FloatArray, wholes: FloatArray) -> Estimate:
    """Put an interval around Σ parts / Σ wholes of one scrape interval each, by the delta method."""
    if not len(wholes) or not wholes.mean() > 0:
        return _without(point, len(wholes), float(len(wholes)), "no sample of the whole")
    return over_samples(point, point + (parts - point * wholes) / float(wholes.mean()), 1.0)


def largest(value: float, n: int) -> Estimate:
    """Give the largest of n samples: what lay between two of them may have been larger."""
    return Estimate(value, value, math.inf, LARGEST, n, float(n))


def _without(point: float, n: int, n_eff: float, why: str) -> Estimate:
    return replace(Estimate(point), method=f"{NOT_ESTIMABLE}: {why}", n=n, n_eff=n_eff)


def _independent(samples: FloatArray) -> float:
    n = len(samples)
    batch = batches_of(n)
    means = np.bincount(batch, weights=samples) / np.bincount(batch)
    between = float(means.var(ddof=1)) / BATCHES
    by_batches = float(samples.var(ddof=1)) / between if between > 0 else float(n)
    by_values, by_ranks = effective_size_by_correlation(samples), effective_size_by_ranks(samples)
    return min(float(n), by_batches, by_values, by_ranks)
