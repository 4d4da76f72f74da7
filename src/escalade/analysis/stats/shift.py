"""How far one small sample lies from another: rank-sum test, Hodges-Lehmann shift, Holm.

No shape of the distribution is assumed, and one odd repetition does not decide. The test is exact
for up to `EXACT` values together, ties included; beyond that it is the normal approximation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from escalade.analysis.stats.distributions import ROUNDING, normal_quantile
from escalade.analysis.stats.sample_floors import ALPHA, TAIL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.measured.windows import FloatArray

EXACT = 60
"""Values of both samples together up to which the test counts every arrangement."""
MOST_REPETITIONS = 1000
"""Beyond that no reasonable number of repetitions decides."""
POWER = 0.8
EFFICIENCY = 3 / math.pi
"""Of the rank-sum test against t, for normal noise."""


@dataclass(frozen=True)
class Shift:
    """The shift from one sample to another.

    Attributes
    ----------
    effect
        Median of all differences between a value of the second sample and one of the first
        (Hodges and Lehmann, 1963).
    low, high
        Two-sided 95 % interval: the differences that the rank-sum test does not exclude; infinite
        where the samples are too small to bound that side.
    p
        Two-sided p of the rank-sum test (Wilcoxon, Mann and Whitney).
    """

    effect: float
    low: float
    high: float
    p: float

    @property
    def bounded(self) -> bool:
        """Whether there are enough values for an interval."""
        return self.low > -math.inf or self.high < math.inf

    @property
    def excludes_none(self) -> bool:
        """Whether the interval excludes that there is no shift."""
        return self.low > 0 or self.high < 0


def shift(first: Sequence[float], second: Sequence[float]) -> Shift:
    """Estimate by how much `second` lies above `first`.

    Parameters
    ----------
    first, second
        Independent values, at least one each; infinite ones are larger (smaller) than all others,
        and two of them are alike.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        differences = (y[:, None] - x[None, :]).ravel()
    found = np.sort(np.where(np.isnan(differences), 0.0, differences))
    place = _excluded(len(x), len(y))
    return Shift(
        _middle(found),
        float(found[place - 1]) if place else -math.inf,
        float(found[-place]) if place else math.inf,
        rank_sum_p(x, y),
    )


def _middle(ordered: FloatArray) -> float:
    low, high = float(ordered[(len(ordered) - 1) // 2]), float(ordered[len(ordered) // 2])
    if low == high or (math.isinf(low) and math.isinf(high)):
        return low if low == high else 0.0
    return (low + high) / 2


def rank_sum_p(first: Sequence[float] | FloatArray, second: Sequence[float] | FloatArray) -> float:
    """Give the two-sided p of the rank-sum test, given the ties.

    Exact: the share of all ways to draw `first` from the values of both whose rank sum lies as
    far from its mean, or further. Without ties that is scipy's `mannwhitneyu(method="exact")`.
    """
    values = np.concatenate([np.asarray(first, float), np.asarray(second, float)])
    size, total = len(first), len(values)
    doubled = _doubled_ranks(values)
    middle = size * (total + 1)
    distance = abs(int(doubled[:size].sum()) - middle)
    if total > EXACT:
        return _approximate(doubled, size, distance)
    counts = _arrangements(tuple(sorted(doubled.tolist())), size)
    far = np.abs(np.arange(len(counts)) - middle) >= distance
    return min(1.0, float(counts[far].sum() / counts.sum()))


def _doubled_ranks(values: FloatArray) -> FloatArray:
    """Give twice the ranks, whole numbers also for ties, which get the mean of their ranks."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    return np.asarray((2 * last - sizes + 1)[group])


@lru_cache(maxsize=512)
def _arrangements(doubled: tuple[int, ...], size: int) -> FloatArray:
    """Count the subsets of `size` ranks by their sum."""
    most = sum(doubled[-size:])
    counts = np.zeros((size + 1, most + 1))
    counts[0, 0] = 1.0
    for rank in doubled:
        if rank > most:
            continue
        counts[1:, rank:] += counts[:-1, : most + 1 - rank].copy()
    return np.asarray(counts[size])


def _approximate(doubled: FloatArray, size: int, distance: int) -> float:
    """Give p by the normal distribution, with the correction for ties and for continuity."""
    total = len(doubled)
    ties = np.unique(doubled, return_counts=True)[1].astype(np.float64)
    other = total - size
    corrected = (total + 1) - float((ties**3 - ties).sum()) / (total * (total - 1))
    spread = math.sqrt(size * other / 12 * corrected)
    if spread == 0:
        return 1.0
    away = max(0.0, (distance / 2 - 0.5) / spread)
    return min(1.0, 2 * float(special.ndtr(-away)))


@lru_cache(maxsize=512)
def _excluded(size: int, other: int) -> int:
    """Give how many of the smallest differences the 95 % interval leaves out, and one more; 0: none."""
    total = size + other
    if total > EXACT:
        half = normal_quantile(1 - TAIL) * math.sqrt(size * other * (total + 1) / 12)
        return max(0, math.floor(size * other / 2 - half))
    counts = _arrangements(tuple(range(2, 2 * total + 1, 2)), size)[::2]
    below = np.cumsum(counts[size * (size + 1) // 2 :]) / counts.sum()
    return int(np.searchsorted(below, TAIL + ROUNDING, side="right"))


def smallest_p(size: int, other: int) -> float:
    """Give the smallest two-sided p that samples of these sizes can show, without ties."""
    return min(1.0, 2 / math.comb(size + other, size))


def holm(chances: Sequence[float]) -> list[float]:
    """Give p-values corrected for being a family, in the order given (Holm, 1979)."""
    order = sorted(range(len(chances)), key=lambda place: chances[place])
    corrected = [1.0] * len(chances)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(chances) - rank) * chances[place]))
        corrected[place] = highest
    return corrected


def repetitions_able(size: int, family: int = 1) -> tuple[int, int]:
    """Give the fewest repetitions that can decide at all, at 5 % shared by a family.

    Returns
    -------
    tuple of int
        On both sides; and of the second sample alone, with `size` of the first, 0 when none will do.
    """
    level = ALPHA / family + ROUNDING
    both = next(n for n in range(2, MOST_REPETITIONS) if smallest_p(n, n) <= level)
    if size < 2:  # a single run has no spread, however many it is held against
        return both, 0
    alone = (n for n in range(2, MOST_REPETITIONS) if smallest_p(size, n) <= level)
    return both, next(alone, 0)


def repetitions_needed(
    first: Sequence[float], second: Sequence[float], distance: float, family: int = 1
) -> int | None:
    """Say how many repetitions on each side would show a shift four times in five.

    Parameters
    ----------
    first, second
        The values so far, two each at least: their spread is taken as it is.
    distance
        The shift to be shown, in their unit.
    family
        Number of tests that share the 5 %.

    Returns
    -------
    int
        None where no reasonable number does.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not (np.isfinite(x).all() and np.isfinite(y).all()) or distance == 0:
        return None
    variance = (float(x.var(ddof=1)) + float(y.var(ddof=1))) / 2
    z = normal_quantile(1 - TAIL / family) + normal_quantile(POWER)
    count = math.ceil(2 * variance * z * z / (distance * distance * EFFICIENCY))
    needed = max(repetitions_able(0, family)[0], count)
    return needed if needed <= MOST_REPETITIONS else None
