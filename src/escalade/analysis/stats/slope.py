"""The slope of a series that wanders: Theil and Sen's estimate, with an interval for dependent points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.stats.distributions import normal_quantile
from escalade.analysis.stats.sample_floors import TAIL

if TYPE_CHECKING:
    from escalade.analysis.measured.windows import FloatArray

MIN_POINTS = 10
"""Fewer points give no interval."""
_MOST_CORRELATION = 0.95
"""A series that hardly turns back within its length tells nothing at all."""
METHOD = "Theil–Sen, Sen's interval widened for autocorrelation"


@dataclass(frozen=True)
class Slope:
    """A slope per second, and what it rests on.

    Attributes
    ----------
    value, low, high
        Change per second with its 95 % interval; NaN when there were too few points.
    level
        Median of the points.
    points
        Number of points.
    inflation
        Variance of the rank statistic over that of independent points, at least 1.
    """

    value: float
    low: float
    high: float
    level: float
    points: int
    inflation: float

    @property
    def known(self) -> bool:
        """Whether there is a slope with an interval."""
        return math.isfinite(self.value)


def theil_sen(times: FloatArray, values: FloatArray) -> Slope:
    """Estimate how fast a series grows.

    Parameters
    ----------
    times
        Ascending, in seconds.
    values
        Finite, one per time.

    Returns
    -------
    Slope
        Without a slope for fewer than MIN_POINTS points.

    Notes
    -----
    The slope is the median of those of all pairs (Theil 1950, Sen 1968): a third of the points may
    be wild. Sen's interval takes the pairs' slopes at ranks (N ∓ z √V) / 2, rounded outwards, with V
    the variance of Kendall's statistic with ties. Dependent points say less: V is multiplied as
    Hamed and Rao (J. Hydrology 204, 1998) do, from the autocorrelation of the ranks of what is left
    without the slope. Here that is the correlation at lag 1 and its powers, corrected for its bias in
    short series without trend, −(2 + 4 ρ) / n (Marriott and Pope, Biometrika 41, 1954); never below 1.
    Coverage by simulation: benchmarks/stability.py.
    """
    n = len(values)
    if n < MIN_POINTS:
        return Slope(math.nan, math.nan, math.nan, _median(values), n, math.nan)
    first, second = np.triu_indices(n, 1)
    slopes = np.sort((values[second] - values[first]) / (times[second] - times[first]))
    slope = float(np.median(slopes))
    inflation = _inflation(values - slope * (times - times[0]))
    half = normal_quantile(1 - TAIL) * math.sqrt(_kendall_variance(values) * inflation)
    below = math.floor((len(slopes) - half) / 2) - 1
    above = math.ceil((len(slopes) + half) / 2)
    low = float(slopes[below]) if below >= 0 else -math.inf
    high = float(slopes[above]) if above < len(slopes) else math.inf
    return Slope(slope, low, high, _median(values), n, inflation)


def _median(values: FloatArray) -> float:
    return float(np.median(values)) if len(values) else math.nan


def _kendall_variance(values: FloatArray) -> float:
    """Give the variance of Kendall's S without a trend, with ties among the values."""
    n = len(values)
    _, ties = np.unique(values, return_counts=True)
    tied = float((ties * (ties - 1) * (2 * ties + 5)).sum())
    return (n * (n - 1) * (2 * n + 5) - tied) / 18


def _inflation(rest: FloatArray) -> float:
    """Give by how much dependence widens the variance, from the ranks of detrended values."""
    n = len(rest)
    order = np.argsort(rest, kind="stable")
    ranks = np.empty(n)
    ranks[order] = np.arange(n, dtype=np.float64)
    _, place = np.unique(rest, return_inverse=True)
    ranks = np.bincount(place, weights=ranks)[place] / np.bincount(place)[place]  # ties share
    centred = ranks - ranks.mean()
    total = float((centred**2).sum())
    if total <= 0:  # all the same
        return 1.0
    first = float((centred[1:] * centred[:-1]).sum()) / total
    correlation = min(_MOST_CORRELATION, (first + 2 / n) / (1 - 4 / n))
    if correlation <= 0:
        return 1.0
    lags = np.arange(1, n - 2)
    weights = (n - lags) * (n - lags - 1) * (n - lags - 2)
    return 1.0 + 2.0 * float((weights * correlation**lags).sum()) / (n * (n - 1) * (n - 2))
