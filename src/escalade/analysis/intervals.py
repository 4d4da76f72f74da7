"""Points and their 95 % intervals: percentiles, means, ratios, counts, repetitions.

All functions are deterministic; what is resampled has a seed from the data.
An interval's bound is infinite where the sample does not bound that side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.windows import BoolArray, FloatArray, IntArray

ALPHA = 0.05
TAIL = ALPHA / 2
BATCHES = 10
"""Number of consecutive blocks for dependent requests; fewer, longer blocks carry the dependence."""
MAX_CLUSTERS = 200
MIN_CLUSTERS = 10
RESAMPLES = 1000
MIN_REPETITIONS = 3


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


def sample_floor(share: float) -> int:
    """Give the smallest number of independent observations that bounds a percentile on both sides.

    Two-sided 95 %: p50 6, p90 36, p95 72, p99 368, p99.9 3688.
    """
    return math.ceil(math.log(TAIL) / math.log(max(share, 1 - share)))


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
    low = int(stats.binom.ppf(TAIL, size, share))
    high = int(stats.binom.ppf(1 - TAIL, size, share)) + 1
    rank_low = 0 if low < 1 else math.floor((low - 1) * n / size) + 1
    rank_high = n + 1 if high > size else math.ceil(high * n / size)
    return rank_low, rank_high


def autocorrelation(values: FloatArray) -> float:
    """Give the lag-1 autocorrelation of the ranks; ranks bear infinite and extreme values."""
    if len(values) < 3:
        return 0.0
    ranks = stats.rankdata(values)
    ranks -= ranks.mean()
    spread = float((ranks**2).sum())
    return float((ranks[1:] * ranks[:-1]).sum()) / spread if spread > 0 else 0.0


def are_dependent(values: FloatArray) -> bool:
    """Say whether observations in time order lean on their neighbours more than chance allows."""
    return autocorrelation(values) > max(0.1, 2 / math.sqrt(max(len(values), 1)))


def batches_of(n: int) -> IntArray:
    """Give each of `n` observations in time order the number of its block."""
    return np.arange(n) * BATCHES // n


def _t_loss() -> float:
    """Ten blocks know their own variance badly; t instead of normal pays for it."""
    return float((stats.norm.ppf(1 - TAIL) / stats.t.ppf(1 - TAIL, BATCHES - 1)) ** 2)


def effective_size(hit: BoolArray) -> float:
    """Say how many independent observations a share is worth, from batch means of its indicator.

    Parameters
    ----------
    hit
        Whether each observation, in time order, lies at or below the quantile.
    """
    n = len(hit)
    if n < 2 * BATCHES:
        correlation = max(0.0, autocorrelation(hit.astype(np.float64)))
        return n * (1 - correlation) / (1 + correlation)
    batch = batches_of(n)
    sizes = np.bincount(batch)
    share = float(hit.mean())
    shares = np.bincount(batch, weights=hit) / sizes
    variance = float((sizes * (shares - share) ** 2).sum()) / (BATCHES - 1) / n
    if variance <= 0:
        return float(n)
    return max(1.0, min(float(n), share * (1 - share) / variance * _t_loss()))


def percentile(values: FloatArray, share: float, why_infinite: str = "") -> Estimate:
    """Estimate a percentile of requests in time order, with its interval.

    Parameters
    ----------
    values
        One per request, in the order of planned sends; infinite for a failure.
    share
        0.9 for p90.
    why_infinite
        What it means when the percentile itself is infinite.

    Notes
    -----
    Independent requests: exact binomial order statistics. Dependent ones
    (lag-1 rank autocorrelation above chance): the same on n_eff, from batch
    means of the indicator "at or below the percentile". Below the sample
    floor, and where the percentile lies among failures, there is no value;
    a lower bound may still exist.
    """
    n, floor = len(values), sample_floor(share)
    if n == 0:
        return Estimate.missing("no request")
    ordered = np.sort(values)
    point = quantile(ordered, share)
    dependent = are_dependent(values)
    n_eff = effective_size(values <= point) if dependent else float(n)
    rank_low, rank_high = rank_bounds(n, n_eff, share)
    found = Estimate(
        value=point if n >= floor and math.isfinite(point) else math.nan,
        low=float(ordered[rank_low - 1]) if rank_low else -math.inf,
        high=float(ordered[rank_high - 1]) if rank_high <= n else math.inf,
        method="order statistics, n_eff by batch means" if dependent else "order statistics",
        n=n,
        n_eff=n_eff,
    )
    return _explained(found, floor, point, why_infinite)


def _explained(found: Estimate, floor: int, point: float, why_infinite: str) -> Estimate:
    if found.n < floor:
        return replace(found, quality=f"not estimable: needs n ≥ {floor}")
    if math.isinf(point):
        return replace(found, quality=f"not estimable: {why_infinite or 'it is infinite'}")
    if found.n_eff < floor:
        return found.flagged(
            f"requests depend on each other: n_eff {found.n_eff:.0f} < {floor}, not bounded on both sides"
        )
    return found


def mean(values: FloatArray) -> Estimate:
    """Estimate a mean of finite values in time order: t, over batch means when they depend."""
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
    n_eff = min(float(n), variance / between) if between > 0 else float(n)
    low, high = min(point, float(means.mean()) - half), max(point, float(means.mean()) + half)
    return Estimate(point, low, high, "t over batch means", n, n_eff)


def _half_width(values: FloatArray) -> float:
    spread = float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(stats.t.ppf(1 - TAIL, len(values) - 1)) * spread


def wilson(hits: float, n: float) -> tuple[float, float]:
    """Give the Wilson score interval of `hits` out of `n` (may be effective, not whole, numbers)."""
    z = float(stats.norm.ppf(1 - TAIL))
    share = hits / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def ratio(hit: BoolArray) -> Estimate:
    """Estimate the share of requests that are so, in time order: Wilson, on n_eff if dependent."""
    n = len(hit)
    if n == 0:
        return Estimate.missing("no request")
    dependent = are_dependent(hit.astype(np.float64))
    n_eff = effective_size(~hit) if dependent else float(n)
    share = float(hit.mean())
    low, high = wilson(share * n_eff, n_eff)
    method = "Wilson, n_eff by batch means" if dependent else "Wilson"
    return Estimate(share, low, high, method, n, n_eff)


def poisson(count: int) -> tuple[float, float]:
    """Give the exact (Garwood) interval of the expected value of a Poisson count."""
    low = float(stats.chi2.ppf(TAIL, 2 * count)) / 2 if count else 0.0
    return low, float(stats.chi2.ppf(1 - TAIL, 2 * count + 2)) / 2


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


@dataclass(frozen=True)
class Clustered:
    """Observations that come in clusters: inter-token gaps of requests.

    Parameters
    ----------
    values
        All observations.
    cluster
        Cluster of each, from 0, in time order of the clusters.
    seed
        Identity of the data, such as (step, repetition).
    """

    values: FloatArray
    cluster: IntArray
    seed: tuple[int, ...]

    def estimates(self, shares: Sequence[float], why_infinite: str = "") -> list[Estimate]:
        """Estimate percentiles, then the mean, by a bootstrap over clusters.

        Observations of one cluster are alike, so clusters are drawn, not
        observations. Beyond `MAX_CLUSTERS`, neighbouring ones are drawn
        together, which also carries the dependence between them.
        """
        clusters = len(np.unique(self.cluster))
        if clusters < MIN_CLUSTERS:
            short = f"not estimable: needs {MIN_CLUSTERS} requests with gaps, has {clusters}"
            return [Estimate(n=len(self.values), quality=short) for _ in (*shares, "mean")]
        drawn = self._draws()
        ordered = np.sort(self.values)
        grid = ordered[_grid_ranks(len(ordered))]
        below = drawn @ self._counts_below(grid)
        total = below[:, -1]
        found = [
            self._percentile(ordered, grid, below / total[:, None], q, why_infinite) for q in shares
        ]
        return [*found, self._mean(drawn)]

    def _group(self) -> tuple[IntArray, int]:
        _, place = np.unique(self.cluster, return_inverse=True)
        clusters = int(place.max()) + 1
        groups = min(clusters, MAX_CLUSTERS)
        return place * groups // clusters, groups

    def _draws(self) -> FloatArray:
        _, groups = self._group()
        rng = np.random.default_rng(self.seed)
        chances = np.full(groups, 1 / groups)
        return rng.multinomial(groups, chances, size=RESAMPLES).astype(np.float64)

    def _counts_below(self, grid: FloatArray) -> FloatArray:
        group, groups = self._group()
        place = np.searchsorted(grid, self.values, side="left")
        counts = np.bincount(group * len(grid) + place, minlength=groups * len(grid))
        return np.cumsum(counts.reshape(groups, len(grid)), axis=1).astype(np.float64)

    def _percentile(
        self, ordered: FloatArray, grid: FloatArray, levels: FloatArray, share: float, why: str
    ) -> Estimate:
        point = quantile(ordered, share)
        resampled = grid[(levels >= share).argmax(axis=1)]
        low, high = _middle(resampled)
        place = min(int(np.searchsorted(grid, point)), len(grid) - 1)
        spread = float(levels[:, place].var())
        n, floor = len(ordered), sample_floor(share)
        n_eff = min(float(n), share * (1 - share) / spread) if spread > 0 else float(n)
        found = Estimate(
            point, min(low, point), max(high, point), "bootstrap over requests", n, n_eff
        )
        if n_eff < floor:
            short = f"not estimable: needs n_eff ≥ {floor}, has {n_eff:.0f}"
            return replace(found, value=math.nan, high=math.inf, quality=short)
        if math.isinf(point):
            why = why or "it is infinite"
            return replace(found, value=math.nan, quality=f"not estimable: {why}")
        return found

    def _mean(self, drawn: FloatArray) -> Estimate:
        group, groups = self._group()
        finite = np.isfinite(self.values)
        if not finite.any():
            return Estimate.missing("no finite value")
        point = float(self.values[finite].mean())
        sums = np.bincount(group[finite], weights=self.values[finite], minlength=groups)
        counts = np.bincount(group[finite], minlength=groups)
        seen = drawn @ counts
        low, high = _middle((drawn @ sums)[seen > 0] / seen[seen > 0])
        high = max(high, point) if finite.all() else math.inf
        n = int(finite.sum())
        return Estimate(point, min(low, point), high, "bootstrap over requests", n, math.nan)


def _middle(resampled: FloatArray) -> tuple[float, float]:
    """Give the 2.5 % and 97.5 % order statistics; infinite values are not interpolated."""
    ordered = np.sort(resampled)
    last = len(ordered) - 1
    return float(ordered[math.floor(TAIL * last)]), float(ordered[math.ceil((1 - TAIL) * last)])


def _grid_ranks(n: int) -> IntArray:
    """Choose the order statistics that a resampled percentile can fall on: all, or 2,000 spread out."""
    if n <= 2000:
        return np.arange(n)
    tails = stats.logistic.cdf(np.linspace(-12, 12, 1000))
    levels = np.concatenate([np.linspace(0, 1, 1001), tails])
    return np.unique(np.rint(levels * (n - 1)).astype(np.int64))
