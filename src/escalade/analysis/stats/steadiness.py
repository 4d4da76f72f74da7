"""Whether a step was in a steady state: backlog, drift and Little's law."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.stats.distributions import student_quantile
from escalade.analysis.stats.sample_floors import TAIL

if TYPE_CHECKING:
    from escalade.analysis.measured.windows import FloatArray, Occupancy, RequestLog, Window

BLOCKS = 10
MIN_COMPLETED_SHARE = 0.97
"""Answers per arrival below which a growing backlog counts as over-saturation."""
MAX_BACKLOG_GROWTH = 1 - MIN_COMPLETED_SHARE
"""The same as growth of the backlog per offered request."""
DRIFT_LIMIT = 0.10
DRIFT_CONFIDENCE = 0.99
LITTLE_TOLERANCE = 0.10
LITTLE_EDGE_DEVIATIONS = 3.0
LITTLE_USEFUL = 0.3
"""A window so short that more than this must be tolerated tells nothing."""


@dataclass(frozen=True)
class Saturation:
    """Whether requests piled up over the window.

    Attributes
    ----------
    completed_share
        Requests finished inside the window (failed ones included) per request
        planned inside it; NaN when none was planned.
    slope, low, high
        Growth of the number of requests planned and unfinished, in requests
        per second, with its 95 % interval.
    growth
        The slope per offered rate: the share of the requests that only add to the backlog.
    """

    completed_share: float
    slope: float
    low: float
    high: float
    growth: float = math.nan

    @property
    def grows(self) -> bool:
        """Whether the backlog grows, beyond chance and by more than 3 % of what is offered."""
        return self.low > 0 and self.growth > MAX_BACKLOG_GROWTH

    @property
    def over(self) -> bool:
        """Whether the step is over-saturated: the backlog grows, and answers fall behind."""
        return self.low > 0 and self.completed_share < MIN_COMPLETED_SHARE


def saturation(log: RequestLog, window: Window, in_system: Occupancy) -> Saturation:
    """Measure how the backlog, the requests planned and not ended, moved over the window.

    The slope is least squares over the means of ten blocks, its interval t
    with eight degrees of freedom. Simulated at 100 to 1,000 requests on one
    server: at 80 % utilisation at most 4 % (constant service) or 15 %
    (exponential) of the steps are called over-saturated, at 120 % at least
    85 %, at 150 % all.
    """
    planned = int(window.holds(log.planned).sum())
    finished = int(window.holds(log.ended).sum())
    slope, low, high = trend(in_system.block_means(BLOCKS), window)
    if not planned:
        return Saturation(math.nan, slope, low, high)
    growth = slope / (planned / window.seconds)
    return Saturation(finished / planned, slope, low, high, growth)


def trend(heights: FloatArray, window: Window) -> tuple[float, float, float]:
    """Give the slope of block means over a window, per second, with its 95 % interval."""
    edges = window.blocks(len(heights))
    places = (edges[1:] + edges[:-1]) / 2 - (window.start + window.end) / 2
    spread = float((places**2).sum())
    slope = float((places * heights).sum()) / spread
    rest = heights - heights.mean() - slope * places
    error = math.sqrt(float((rest**2).sum()) / (len(heights) - 2) / spread)
    half = student_quantile(1 - TAIL, len(heights) - 2) * error
    return slope, slope - half, slope + half


@dataclass(frozen=True)
class Drift:
    """Second half of the window against the first.

    Attributes
    ----------
    ratio
        Mean latency of the second half over that of the first; NaN when unknown.
    low, high
        Its 99 % interval.
    """

    ratio: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there were enough answers to say anything."""
        return math.isfinite(self.ratio)

    @property
    def rises(self) -> bool:
        """Latency grew, beyond chance and by more than the limit."""
        return self.low > 1 and self.ratio > 1 + DRIFT_LIMIT

    @property
    def falls(self) -> bool:
        """Latency fell, beyond chance and by more than the limit."""
        return self.high < 1 and self.ratio < 1 / (1 + DRIFT_LIMIT)


UNKNOWN_DRIFT = Drift(math.nan, math.nan, math.nan)


def drift(log: RequestLog, window: Window) -> Drift:
    """Compare block means of latency: first half of the window against the second.

    Five blocks a half by planned time, on the logarithm, Welch's t at 99 %. Needs
    four blocks with answers in each half.
    """
    answered = log.only(log.success & window.holds(log.planned))
    place = np.searchsorted(window.blocks(BLOCKS), answered.planned, side="right") - 1
    place = np.minimum(place, BLOCKS - 1)
    counts = np.bincount(place, minlength=BLOCKS)
    sums = np.bincount(place, weights=answered.latency, minlength=BLOCKS)
    means = np.divide(sums, counts, out=np.full(BLOCKS, np.nan), where=counts > 0)
    first, second = means[: BLOCKS // 2], means[BLOCKS // 2 :]
    first, second = np.log(first[first > 0]), np.log(second[second > 0])
    if min(len(first), len(second)) < BLOCKS // 2 - 1:
        return UNKNOWN_DRIFT
    middle = float(second.mean() - first.mean())
    half = _welch_half_width(first, second)
    return Drift(math.exp(middle), math.exp(middle - half), math.exp(middle + half))


def _welch_half_width(first: FloatArray, second: FloatArray) -> float:
    """Give half the width of Welch's interval for a difference of means."""
    errors = [float(values.var(ddof=1)) / len(values) for values in (first, second)]
    total = sum(errors)
    if total <= 0:
        return 0.0
    parts = [
        error**2 / (len(values) - 1) for error, values in zip(errors, (first, second), strict=True)
    ]
    freedom = total**2 / sum(parts)
    return student_quantile((1 + DRIFT_CONFIDENCE) / 2, freedom) * math.sqrt(total)


@dataclass(frozen=True)
class Little:
    """Little's law: requests in the system = arrival rate × mean time in it.

    Attributes
    ----------
    deviation
        |L − λW| / λW; NaN when nothing was planned.
    tolerance
        What the ends of the window may cause by chance, at least 10 %.
    """

    deviation: float
    tolerance: float


def littles_law(stays: FloatArray, window: Window, in_system: Occupancy) -> Little:
    """Compare the requests in the system with those that their stays imply.

    Parameters
    ----------
    stays
        Time in the system of each request planned in the window, in seconds.
    window
        The window.
    in_system
        Requests planned and not ended, over the window.

    Notes
    -----
    In a steady state both agree but for requests cut by the window's ends,
    which deviate by about W·√2 / (T·√L); three times that is tolerated.
    """
    implied = float(stays.sum()) / window.seconds
    if implied <= 0:
        return Little(math.nan, LITTLE_TOLERANCE)
    stay, counted = float(stays.mean()), in_system.mean
    edges = stay * math.sqrt(2) / (window.seconds * math.sqrt(implied))
    tolerance = max(LITTLE_TOLERANCE, LITTLE_EDGE_DEVIATIONS * edges)
    return Little(abs(counted - implied) / implied, tolerance)
