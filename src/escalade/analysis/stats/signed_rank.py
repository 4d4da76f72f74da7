"""Wilcoxon's signed-rank test of paired differences, and the interval that goes with it.

Exact at any number of pairs: the distribution over all choices of signs is computed, with the ranks
that there are (ties share theirs; pairs without a difference keep their rank and vote for neither
side, after Pratt, 1959). Without ties it is that of the tables and of scipy's method "exact".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from escalade.analysis.stats.pair_sizes import LEVEL
from escalade.analysis.stats.shift import Shift

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]


def signed_rank(differences: FloatArray) -> Shift:
    """Estimate and test the shift of paired differences.

    Parameters
    ----------
    differences
        One per pair, finite.

    Returns
    -------
    Shift
        Hodges and Lehmann's estimate, the median of the means of any two differences (each with
        itself among them); its interval of at least 95 %, infinite below six pairs; p two-sided.

    Raises
    ------
    ValueError
        When there is none, or one is not finite.
    """
    if not len(differences) or not np.isfinite(differences).all():
        raise ValueError("expected one finite difference or more")
    means = _means_of_two(differences)
    low, high = _interval(means, len(differences))
    return Shift(float(np.median(means)), low, high, p_value(differences))


def p_value(differences: FloatArray) -> float:
    """Give the two-sided p: the share of the choices of signs whose rank sum is as far from the middle."""
    ranks = np.rint(2 * stats.rankdata(np.abs(differences))).astype(
        int
    )  # doubled: ties have halves
    voting = ranks[differences != 0]
    if not len(voting):
        return 1.0
    positive = int(ranks[differences > 0].sum())
    farthest = max(positive, int(voting.sum()) - positive)
    return min(1.0, 2 * float(_chances(voting)[farthest:].sum()))


def _interval(means: FloatArray, pairs: int) -> tuple[float, float]:
    """Give what the test does not reject, from the ascending means of two; infinite for too few pairs."""
    at_most = np.cumsum(_chances(np.arange(1, pairs + 1)))
    rank = int(np.searchsorted(at_most, LEVEL / 2, side="right"))
    if not rank:
        return -math.inf, math.inf
    return float(means[rank - 1]), float(means[len(means) - rank])


def _means_of_two(differences: FloatArray) -> FloatArray:
    """Give the means of any two differences, and of each with itself, ascending."""
    first, second = np.triu_indices(len(differences))
    means: FloatArray = np.sort((differences[first] + differences[second]) / 2)
    return means


def _chances(ranks: npt.NDArray[np.int64]) -> FloatArray:
    """Give the chance of each rank sum of the positive ones, when every sign is a coin's."""
    chances = np.zeros(int(ranks.sum()) + 1)
    chances[0] = 1.0
    for rank in ranks:
        shifted = np.concatenate([np.zeros(rank), chances[:-rank]])
        chances = (chances + shifted) / 2
    return chances
