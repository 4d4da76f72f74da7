"""Quantiles from the buckets of a histogram, each with the bracket that surely holds it.

Buckets tell how many observations lie at or below a bound, not where between two bounds.
So a quantile is known to lie in a bracket; the value in it is a guess, made as PromQL's
`histogram_quantile` makes it: evenly spread within the bucket.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class BucketQuantile:
    """A quantile of what was observed.

    Parameters
    ----------
    value
        Interpolated; NaN where it lies above the highest finite bound, for nothing tells how far.
    low, high
        Bounds of the bucket or buckets that hold it; `high` is infinite there.
    count
        Observations in the window.
    """

    value: float
    low: float
    high: float
    count: int


def bucket_quantile(growth: Mapping[float, float], share: float) -> BucketQuantile | None:
    """Find a quantile in cumulative buckets.

    Parameters
    ----------
    growth
        Upper bound of each bucket (`le`) to how many observations of the window lie at or below
        it; the bound `math.inf` counts all.
    share
        Of the observations, between 0 and 1.

    Returns
    -------
    BucketQuantile or None
        None when nothing was observed.

    Notes
    -----
    The bracket holds the quantile by every usual definition between the two observations around
    rank share·n: the smallest value with at least that share at or below it, and the linear
    interpolation of Hyndman and Fan's type 7. What is below the lowest bound is taken not to be
    negative, where that bound is positive, as PromQL does.

    Examples
    --------
    >>> bucket_quantile({0.1: 50.0, 0.2: 90.0, math.inf: 100.0}, 0.5)
    BucketQuantile(value=0.1, low=0.0, high=0.2, count=100)
    """
    bounds = np.array(sorted(growth), dtype=np.float64)
    counts = np.maximum.accumulate(np.array([growth[bound] for bound in bounds.tolist()]))
    total = round(float(counts[-1])) if len(counts) else 0
    if total < 1 or bounds[-1] != math.inf:
        return None
    place = (total - 1) * share  # between the observations of these two ranks
    lower = _bucket_of(counts, math.floor(place) + 1)
    upper = _bucket_of(counts, math.ceil(place) + 1)
    low, high = _floor(bounds, lower), float(bounds[upper])
    return BucketQuantile(_interpolated(bounds, counts, share * total), low, high, total)


def _bucket_of(counts: NDArray[np.float64], rank: int) -> int:
    return int(np.searchsorted(counts, rank - 0.5))  # counts are whole but for rounding


def _floor(bounds: NDArray[np.float64], bucket: int) -> float:
    if bucket > 0:
        return float(bounds[bucket - 1])
    return 0.0 if 0 < bounds[0] < math.inf else -math.inf


def _interpolated(bounds: NDArray[np.float64], counts: NDArray[np.float64], rank: float) -> float:
    bucket = int(np.searchsorted(counts, rank))
    floor, ceiling = _floor(bounds, bucket), float(bounds[bucket])
    if not math.isfinite(ceiling):
        return math.nan
    if not math.isfinite(floor):
        return ceiling
    before = float(counts[bucket - 1]) if bucket else 0.0
    inside = float(counts[bucket]) - before
    return floor + (ceiling - floor) * (rank - before) / inside if inside > 0 else ceiling
