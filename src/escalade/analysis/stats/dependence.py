"""How much observations in time order lean on each other, and how many independent ones they are worth."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.stats.distributions import normal_quantile, student_quantile

if TYPE_CHECKING:
    from escalade.analysis.measured.windows import BoolArray, FloatArray, IntArray

UPPER = 0.975
"""Share below the upper end of a two-sided 95 % interval."""
BATCHES = 10
"""Number of consecutive blocks for dependent requests; fewer, longer blocks carry the dependence."""
RISES = 0.5
"""Rank correlation with time beyond which a series rises as a whole."""
MAX_POINTS = 400
"""Longer series are joined to so many blocks before their autocorrelation is taken."""


def ranked(values: FloatArray | BoolArray) -> FloatArray:
    """Give the rank of each value, from 1; equal ones share the mean of theirs."""
    order = np.argsort(values)
    ordered = values[order]
    begins = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ranks = np.empty(len(values))
    if len(begins) == len(values):
        ranks[order] = np.arange(1.0, len(values) + 1)
        return ranks
    ends = np.append(begins[1:], len(values))
    ranks[order] = np.repeat((begins + ends + 1) / 2, ends - begins)
    return ranks


def autocorrelation(values: FloatArray | BoolArray) -> float:
    """Give the lag-1 autocorrelation of the ranks; ranks bear infinite and extreme values."""
    is_binary = values.dtype == np.bool_  # ranks of two values are as good as the values
    return neighbours_correlation(values.astype(np.float64) if is_binary else ranked(values))


def neighbours_correlation(values: FloatArray) -> float:
    """Give the lag-1 autocorrelation of finite values; 0 for fewer than three."""
    if len(values) < 3:
        return 0.0
    deviations = values - values.mean()
    spread = float((deviations**2).sum())
    return float((deviations[1:] * deviations[:-1]).sum()) / spread if spread > 0 else 0.0


def is_rising(values: FloatArray) -> bool:
    """Say whether observations in time order rise over the whole series: a queue that fills, rather than one that breathes."""
    if len(values) < 3:
        return False
    ranks, times = ranked(values), np.arange(len(values), dtype=np.float64)
    ranks, times = ranks - ranks.mean(), times - times.mean()
    spread = math.sqrt(float((ranks**2).sum()) * float((times**2).sum()))
    return spread > 0 and float((ranks * times).sum()) > RISES * spread


def are_dependent(values: FloatArray | BoolArray) -> bool:
    """Say whether observations in time order lean on their neighbours more than chance allows."""
    return autocorrelation(values) > max(0.1, 2 / math.sqrt(max(len(values), 1)))


def batches_of(n: int) -> IntArray:
    """Give each of `n` observations in time order the number of its block."""
    return np.arange(n) * BATCHES // n


def t_loss() -> float:
    """Ten blocks know their own variance badly; t instead of normal pays for it."""
    return (normal_quantile(UPPER) / student_quantile(UPPER, BATCHES - 1)) ** 2


def effective_size(hit: BoolArray) -> float:
    """Say how many independent observations a share is worth, from batch means of its indicator.

    Parameters
    ----------
    hit
        Whether each observation, in time order, lies at or below the quantile.
    """
    n = len(hit)
    if n < 2 * BATCHES:
        correlation = max(0.0, autocorrelation(hit))
        return n * (1 - correlation) / (1 + correlation)
    batch = batches_of(n)
    sizes = np.bincount(batch)
    share = float(hit.mean())
    shares = np.bincount(batch, weights=hit) / sizes
    variance = float((sizes * (shares - share) ** 2).sum()) / (BATCHES - 1) / n
    if variance <= 0:
        return float(n)
    return max(1.0, min(float(n), share * (1 - share) / variance * t_loss()))


def effective_size_by_ranks(values: FloatArray) -> float:
    """Say how many independent observations a series is worth, from the autocorrelation of its ranks."""
    return effective_size_by_correlation(ranked(values))


def effective_size_by_correlation(values: FloatArray) -> float:
    """Say how many independent observations the mean of a series is worth, from its autocorrelation.

    The variance of the values over that of their mean. The latter from blocks of neighbours (400 at
    most): that of the block means times 1 + 2 Σ ρ, summed over Geyer's initial sequence (1992), which
    are the sums of neighbouring pairs of autocorrelations up to the first that is not positive, made monotone.
    """
    n = len(values)
    values = values - values.mean()
    spread = float((values**2).sum())
    if spread <= 0:
        return float(n)
    blocks, each = values, 1.0
    if n > MAX_POINTS:
        block = np.arange(n) * MAX_POINTS // n
        blocks = np.bincount(block, weights=values) / np.bincount(block)
        blocks = blocks - blocks.mean()
        between = float((blocks**2).sum())
        if between <= 0:
            return float(n)
        each = (spread / n) / (between / MAX_POINTS)
    points = len(blocks)
    correlations = np.correlate(blocks, blocks, mode="full")[points - 1 :] / float(
        (blocks**2).sum()
    )
    pairs = correlations[: points - points % 2].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs <= 0)
    kept = np.minimum.accumulate(pairs[: ends[0]] if len(ends) else pairs)
    size = each * points / max(1.0, 2 * float(kept.sum()) - 1)
    return float(min(n, max(1.0, size)))
