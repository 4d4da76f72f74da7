"""Intervals for observations that come in clusters, such as the token gaps of requests."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from escalade.analysis.stats.intervals import RESAMPLES, Estimate, quantile
from escalade.analysis.stats.sample_floors import TAIL, sample_floor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.measured.windows import FloatArray, IntArray

MAX_CLUSTERS = 200
MIN_CLUSTERS = 10


@dataclass(frozen=True)
class Clustered:
    """Observations that come in clusters: inter-token gaps of requests.

    What comes in time order, but for what failed at the end, is counted without sorting groups.

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
        clusters = self._clusters
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

    @cached_property
    def _runs(self) -> IntArray:
        """Where runs of observations of one cluster begin: there are few of them."""
        changes: IntArray = np.flatnonzero(self.cluster[1:] != self.cluster[:-1]) + 1
        return np.concatenate([np.zeros(min(1, len(self.cluster)), dtype=np.int64), changes])

    @cached_property
    def _distinct(self) -> IntArray:
        ordered = np.sort(self.cluster[self._runs], kind="stable")  # quick on what is nearly sorted
        distinct: IntArray = ordered[np.diff(ordered, prepend=-1) > 0]
        return distinct

    @property
    def _clusters(self) -> int:
        return len(self._distinct)

    @cached_property
    def _group(self) -> IntArray:
        """Number the clusters without holes, then join neighbours."""
        place = np.searchsorted(self._distinct, self.cluster[self._runs])
        sizes = np.diff(self._runs, append=len(self.cluster))
        groups: IntArray = np.repeat(place * self._groups // self._clusters, sizes)
        return groups

    @property
    def _groups(self) -> int:
        return min(self._clusters, MAX_CLUSTERS)

    def _draws(self) -> FloatArray:
        rng = np.random.default_rng(self.seed)
        chances = np.full(self._groups, 1 / self._groups)
        return rng.multinomial(self._groups, chances, size=RESAMPLES).astype(np.float64)

    def _counts_below(self, grid: FloatArray) -> FloatArray:
        """Count each group's values up to each point of the grid."""
        group, values = self._group, self.values
        falls = np.flatnonzero(group[1:] < group[:-1]) + 1
        if len(falls) > 1:
            order = np.argsort(group, kind="stable")
            group, values, falls = group[order], values[order], falls[:0]
        counts = np.zeros((self._groups, len(grid)))
        for numbers, own in zip(np.split(group, falls), np.split(values, falls), strict=True):
            edges = np.searchsorted(numbers, np.arange(1, self._groups))
            for number, mine in enumerate(np.split(own, edges)):
                if len(mine):
                    counts[number] += np.searchsorted(np.sort(mine), grid, side="right")
        return counts

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
        group, groups = self._group, self._groups
        finite = np.isfinite(self.values)
        if not finite.any():
            return Estimate.missing("no finite value")
        known = self.values
        if not finite.all():
            known, group = self.values[finite], group[finite]
        point = float(known.mean())
        sums = np.bincount(group, weights=known, minlength=groups)
        counts = np.bincount(group, minlength=groups)
        seen = drawn @ counts
        totals = (drawn * sums).sum(axis=1)  # not @: its order of adding depends on threads
        means = totals[seen > 0] / seen[seen > 0]
        low, high = _middle(means)
        high = max(high, point) if finite.all() else math.inf
        n = int(finite.sum())
        n_eff = _worth(float(known.var()), means, n)
        return Estimate(point, min(low, point), high, "bootstrap over requests", n, n_eff)


def ratio_of_sums(parts: FloatArray, wholes: FloatArray, seed: tuple[int, ...]) -> Estimate:
    """Estimate Σ parts / Σ wholes of requests in time order by a bootstrap over requests.

    Beyond `MAX_CLUSTERS` neighbours are drawn together. Fewer than `MIN_CLUSTERS` requests give
    no interval; a sum of wholes that is 0 gives no ratio.
    """
    n, total = len(parts), float(wholes.sum())
    if total <= 0:
        return Estimate.missing("there is nothing that it could be a share of")
    point = float(parts.sum()) / total
    if n < MIN_CLUSTERS:
        return Estimate(value=point, n=n, n_eff=float(n))
    groups = min(n, MAX_CLUSTERS)
    group = np.arange(n) * groups // n
    sums = [np.bincount(group, weights=each, minlength=groups) for each in (parts, wholes)]
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(groups, np.full(groups, 1 / groups), size=RESAMPLES)
    above, below = ((drawn * each).sum(axis=1) for each in sums)  # not @: see `_mean`
    ratios = above[below > 0] / below[below > 0]
    low, high = _middle(ratios)
    rest = (parts - point * wholes) / (
        total / n
    )  # delta method: what one request adds to the error
    n_eff = _worth(float((rest**2).mean()), ratios, n)
    return Estimate(point, min(low, point), max(high, point), "bootstrap over requests", n, n_eff)


def _worth(variance: float, resampled: FloatArray, n: int) -> float:
    """Give how many independent observations of this variance vary as much as what was resampled."""
    spread = float(resampled.var())
    return max(1.0, min(float(n), variance / spread)) if spread > 0 else float(n)


def _middle(resampled: FloatArray) -> tuple[float, float]:
    """Give the 2.5 % and 97.5 % order statistics; infinite values are not interpolated."""
    ordered = np.sort(resampled)
    last = len(ordered) - 1
    return float(ordered[math.floor(TAIL * last)]), float(ordered[math.ceil((1 - TAIL) * last)])


def _grid_ranks(n: int) -> IntArray:
    """Choose the order statistics that a resampled percentile can fall on: all, or 2,000 spread out."""
    if n <= 2000:
        return np.arange(n)
    tails = special.expit(np.linspace(-12, 12, 1000))
    levels = np.concatenate([np.linspace(0, 1, 1001), tails])
    return np.unique(np.rint(levels * (n - 1)).astype(np.int64))
