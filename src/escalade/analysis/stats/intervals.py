"""Points and their 95 % intervals: percentiles, means, ratios, counts, repetitions.

All functions are deterministic; what is resampled has a seed from the data.
An interval's bound is infinite where the sample does not bound that side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.stats.dependence import (
    BATCHES,
    are_dependent,
    batches_of,
    effective_size,
    effective_size_by_correlation,
    effective_size_by_ranks,
    is_rising,
    t_loss,
)
from escalade.analysis.stats.distributions import (
    binomial_quantile,
    chi_squared_quantile,
    normal_quantile,
    student_quantile,
)
from escalade.analysis.stats.sample_floors import TAIL, sample_floor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.measured.windows import BoolArray, FloatArray

SHORT = 20 * BATCHES
"""Requests below which ten batches don't know whether a percentile is bounded; see `_sizes_if_dependent`."""
RESAMPLES = 1000
MIN_REPETITIONS = 3
EXACT, NOT_ESTIMABLE = "exact", "not estimable"
"""How a method begins where nothing is estimated, and where no interval can be had; the reason follows."""
FAILED = "of requests failed"
"""How a quality ends that says that a figure lies among failed requests."""
MIN_INDEPENDENT = 30
"""Independent observations that dependent ones have to be worth, so that they bound anything from above."""
FEW_INDEPENDENT = 10
"""Below so many, ten batches of a window that does not rise as a whole are not ten observations."""
TAIL_IF_DEPENDENT = 0.005
"""What the upper end of a mean leaves out where observations depend: windows without a crowd look calm."""


@dataclass(frozen=True)
class Estimate:
    """One number with what makes it readable.

    Attributes
    ----------
    value
        NaN when there is none; `quality` then says why.
    low, high
        Bounds of the two-sided 95 % interval; NaN when there is no interval,
        infinite where the sample does not bound that side.
    method
        Name of the interval's method.
    n, n_eff
        Observations, and how many independent ones they are worth.
    quality
        "ok", "missing: …", "not estimable: …" or "flagged: …".
    """

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    method: str = ""
    n: int = 0
    n_eff: float = math.nan
    quality: str = "ok"

    @classmethod
    def missing(cls, why: str) -> Estimate:
        """Say why there is no number."""
        return cls(quality=f"missing: {why}")

    def flagged(self, *reasons: str) -> Estimate:
        """Keep the number, and say what is wrong with it; a missing one stays missing."""
        if not reasons or self.quality.startswith(("missing", "not estimable")):
            return self
        known = [] if self.quality == "ok" else [self.quality.removeprefix("flagged: ")]
        return replace(self, quality="flagged: " + "; ".join([*known, *reasons]))


def quantile(ordered: FloatArray, share: float) -> float:
    """Interpolate linearly between order statistics: type 7 of Hyndman and Fan (1996).

    Next to an infinite observation there is nothing to interpolate: the result
    is infinite.
    """
    place = (len(ordered) - 1) * share
    below = math.floor(place)
    part = place - below
    if part < 1e-9:
        return float(ordered[below])
    lower, upper = float(ordered[below]), float(ordered[below + 1])
    return upper if math.isinf(upper) else lower + part * (upper - lower)


def rank_bounds(n: int, n_eff: float, share: float) -> tuple[int, int]:
    """Give the ranks (from 1) of the order statistics that bound a percentile.

    With `n_eff` = n they are the exact binomial ranks; with less, those of a
    sample of that size, spread over the ranks there are. Rank 0 and n + 1
    mean: not bounded on that side.
    """
    size = max(1, math.floor(n_eff))
    low = binomial_quantile(TAIL, size, share)
    high = binomial_quantile(1 - TAIL, size, share) + 1
    rank_low = 0 if low < 1 else math.floor((low - 1) * n / size) + 1
    rank_high = n + 1 if high > size else math.ceil(high * n / size)
    return rank_low, rank_high


def percentile(values: FloatArray, share: float, why_infinite: str = "") -> Estimate:
    """Estimate one percentile; see `percentiles`."""
    return percentiles(values, (share,), why_infinite)[0]


def percentiles(
    values: FloatArray, shares: Sequence[float], why_infinite: str = ""
) -> list[Estimate]:
    """Estimate percentiles of requests in time order, with their intervals.

    Parameters
    ----------
    values
        One per request, in the order of planned sends; infinite for a failure.
    shares
        0.9 for p90.
    why_infinite
        What it means when a percentile itself is infinite.

    Notes
    -----
    Independent requests: exact binomial order statistics. Dependent ones
    (lag-1 rank autocorrelation above chance): the same on n_eff, from batch
    means of the indicator "at or below the percentile"; below 200 requests the
    autocorrelation of the ranks decides whether both bounds exist. Below the
    sample floor, and where the percentile lies among failures, there is no value;
    a lower bound may still exist.
    """
    if not len(values):
        return [Estimate.missing("no request") for _ in shares]
    ordered = np.sort(values)
    sizes = None
    if are_dependent(values):
        sizes = effective_size_by_ranks(values), is_rising(values)
    return [_percentile(values, ordered, share, why_infinite, sizes) for share in shares]


def _percentile(
    values: FloatArray,
    ordered: FloatArray,
    share: float,
    why_infinite: str,
    sizes: tuple[float, bool] | None,
) -> Estimate:
    n, floor, point = len(values), sample_floor(share), quantile(ordered, share)
    n_low, n_eff, method = float(n), float(n), "order statistics"
    wanted = floor
    if sizes is not None:
        by_ranks, rising = sizes
        n_low, n_eff, how = _sizes_if_dependent(values, point, floor, by_ranks)
        if by_ranks < FEW_INDEPENDENT and not rising:
            n_low = min(n_low, by_ranks)
        method, wanted = f"{method}, n_eff by {how}", max(floor, MIN_INDEPENDENT)
    rank_low, _ = rank_bounds(n, n_low, share)
    _, rank_high = rank_bounds(n, n_eff, share)
    if sizes is not None and n_eff < wanted:
        rank_high = n + 1
    found = Estimate(
        value=point if n >= floor and math.isfinite(point) else math.nan,
        low=float(ordered[rank_low - 1]) if rank_low else -math.inf,
        high=float(ordered[rank_high - 1]) if rank_high <= n else math.inf,
        method=method,
        n=n,
        n_eff=n_eff,
    )
    return _explained(found, floor, wanted, point, why_infinite)


def _sizes_if_dependent(
    values: FloatArray, point: float, floor: int, by_ranks: float
) -> tuple[float, float, str]:
    """Say how many independent requests a percentile's lower and upper end rest on, and by which method.

    Notes
    -----
    Ten batches of a few requests know their variance badly, and t instead of
    normal takes a quarter off every n_eff to pay for it. So below 200 requests
    the ranks decide whether n_eff reaches the floor, that is whether the upper
    bound exists; where it does not, batches still place the lower one, since
    in an over-saturated step, which is all trend, ranks leave three requests
    of a hundred and the bound falls to the window's best answers. The p50
    keeps its batches: they never say less than its floor of 6.

    Simulated p90 at utilisations 0.3 / 0.5 / 0.7, lognormal service (cv 0.25),
    in percent; in brackets by batch means alone. Cover: the true p90 lies in
    the interval. Bounded: it has an upper bound.

    - first come, first served, 1,500 runs each

      - n = 45: cover 96 / 90 / 91 (96 / 89 / 90), bounded 80 / 41 / 8 (81 / 43 / 9)
      - n = 60: cover 93 / 89 / 95 (93 / 89 / 93), bounded 81 / 34 / 4 (79 / 34 / 6)
      - n = 90: cover 94 / 93 / 92 (93 / 92 / 90), bounded 92 / 53 / 10 (82 / 38 / 16)
      - n = 199: cover 95 / 96 / 94 (95 / 97 / 94), bounded 100 / 95 / 40 (97 / 74 / 35)

    - one core shared by four slots, 700 runs each (n = 199: 500)

      - n = 45: cover 91 / 95 / 97 (91 / 95 / 96), bounded 38 / 6 / 0 (39 / 7 / 2)
      - n = 60: cover 93 / 97 / 97 (93 / 96 / 94), bounded 32 / 3 / 0 (27 / 6 / 5)
      - n = 90: cover 95 / 97 / 97 (94 / 96 / 92), bounded 71 / 19 / 2 (40 / 19 / 14)
      - n = 199: cover 96 / 96 / 97 (97 / 96 / 95), bounded 99 / 89 / 31 (89 / 64 / 36)

    From 200 requests on the upper end takes the smaller of both sizes. Ten batches are not independent
    of each other where a window is only a few times as long as the queue's memory: by them alone p90
    and p95 of an M/M/4 at 90 % covered 81 to 89 % up to thirty relaxation times, so 89 % and more
    (docs/statistics.md, "Simulations"). The lower end keeps its batches, for the same reason as above.

    The caller takes ranks for the lower end as well where they say less than ten and the window does not
    rise as a whole: a window shorter than the queue's memory, of which batches know nothing. And the upper
    end of no percentile exists below thirty, the p50's neither.

    Below 56 requests nothing bounds a p90 from above once dependence shows: a
    lag-1 correlation above 2/√n alone leaves fewer than 36.
    """
    batches = effective_size(values <= point)
    if len(values) < SHORT and floor <= BATCHES:
        return batches, batches, "batch means"
    if len(values) >= SHORT:
        least = min(batches, by_ranks)
        return batches, least, "batch means" if least == batches else "autocorrelation"
    if by_ranks >= floor:
        return by_ranks, by_ranks, "autocorrelation"
    least = min(batches, floor - 1.0)
    return least, least, "batch means"


def _explained(
    found: Estimate, floor: int, wanted: int, point: float, why_infinite: str
) -> Estimate:
    if found.n < floor:
        return replace(found, quality=f"not estimable: needs n ≥ {floor}")
    if math.isinf(point):
        return replace(found, quality=f"not estimable: {why_infinite or 'it is infinite'}")
    if found.n_eff < wanted:
        return found.flagged(
            f"requests depend on each other: n_eff {found.n_eff:.0f} < {wanted}, not bounded on both sides"
        )
    return found


def mean(values: FloatArray) -> Estimate:
    """Estimate a mean of finite values in time order: t, over batch means when they depend; see `_bounded`."""
    n = len(values)
    if n == 0:
        return Estimate.missing("no request")
    point = float(values.mean())
    if n < 2:
        return Estimate(value=point, n=n, n_eff=float(n))
    dependent = are_dependent(values) and n >= 2 * BATCHES
    if not dependent:
        half = _half_width(values)
        return Estimate(point, point - half, point + half, "t", n, float(n))
    batch = batches_of(n)
    means = np.bincount(batch, weights=values) / np.bincount(batch)
    half = _half_width(means)
    variance, between = float(values.var(ddof=1)), float(means.var(ddof=1)) / BATCHES
    by_batches = min(float(n), variance / between) if between > 0 else float(n)
    n_eff = min(by_batches, *_sizes_by_correlation(values))
    low = min(point, float(means.mean()) - half)
    if n_eff < FEW_INDEPENDENT and not is_rising(values):
        low = min(low, _low_of_few(point, variance, n_eff))
    return _bounded(Estimate(point, low, math.inf, "t over batch means", n, n_eff), variance)


def _low_of_few(point: float, variance: float, n_eff: float) -> float:
    """Bound a mean from below by t on what it is worth; by nothing under three."""
    if n_eff < 3:
        return -math.inf
    return point - student_quantile(1 - TAIL, n_eff - 1) * math.sqrt(variance / (n_eff - 1))


def _sizes_by_correlation(values: FloatArray) -> tuple[float, float]:
    """Give the independent observations of values, and of their ranks, less what t instead of normal costs."""
    found = (effective_size_by_correlation(values), effective_size_by_ranks(values))
    return found[0] * t_loss(), found[1] * t_loss()


def _bounded(found: Estimate, variance: float) -> Estimate:
    """Bound the mean of dependent observations from above, where there are thirty independent ones.

    Means of a queue err to the low side: a window that no crowd fell into knows nothing of crowds. So the
    upper end is that of a 99 % interval, on the logarithm, on the smallest of the effective sizes, and with
    less than thirty there is none.
    """
    if found.n_eff < MIN_INDEPENDENT:
        few = f"n_eff {found.n_eff:.0f} < {MIN_INDEPENDENT}, not bounded from above"
        return found.flagged(f"requests depend on each other: {few}")
    error = normal_quantile(1 - TAIL_IF_DEPENDENT) * math.sqrt(variance / found.n_eff)
    point = found.value
    high = point * math.exp(error / point) if point > 0 else point + error
    return replace(found, high=high)


def _half_width(values: FloatArray) -> float:
    spread = float(values.std(ddof=1)) / math.sqrt(len(values))
    return student_quantile(1 - TAIL, len(values) - 1) * spread


def wilson(hits: float, n: float) -> tuple[float, float]:
    """Give the Wilson score interval of `hits` out of `n` (may be effective, not whole, numbers)."""
    z = normal_quantile(1 - TAIL)
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def ratio(hit: BoolArray) -> Estimate:
    """Estimate the share of requests that are so, in time order: Wilson, on n_eff if dependent."""
    n = len(hit)
    if n == 0:
        return Estimate.missing("no request")
    dependent = are_dependent(hit)
    n_eff = effective_size(~hit) if dependent else float(n)
    share = float(hit.mean())
    low, high = wilson(share * n_eff, n_eff)
    method = "Wilson, n_eff by batch means" if dependent else "Wilson"
    return Estimate(share, low, high, method, n, n_eff)


def poisson(count: int) -> tuple[float, float]:
    """Give the exact (Garwood) interval of the expected value of a Poisson count."""
    low = chi_squared_quantile(TAIL, 2 * count) / 2 if count else 0.0
    return low, chi_squared_quantile(1 - TAIL, 2 * count + 2) / 2


def over_repetitions(values: Sequence[float]) -> Estimate:
    """Estimate the typical value of independent runs: t on the logarithm, three runs or more.

    The value is the geometric mean. Values that are not positive have no
    logarithm: they give no estimate.
    """
    n = len(values)
    if n < MIN_REPETITIONS:
        return Estimate(n=n, quality=f"not estimable: needs {MIN_REPETITIONS} repetitions")
    if min(values) <= 0 or not all(math.isfinite(value) for value in values):
        return Estimate(n=n, quality="not estimable: a repetition's value has no logarithm")
    logs = np.log(np.asarray(values, dtype=np.float64))
    middle, half = float(logs.mean()), _half_width(logs)
    return Estimate(
        math.exp(middle),
        math.exp(middle - half),
        math.exp(middle + half),
        "t on the logarithm over repetitions",
        n,
        float(n),
    )
