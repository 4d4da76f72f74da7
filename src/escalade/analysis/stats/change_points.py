"""Change points of a short series: E-divisive on ranks, each split held to a permutation test.

Matteson and James (2014): a series is split where the energy distance between what lies before
and behind is largest, and each part again, as long as the split is one that shuffled values
seldom give. Here on ranks, so that one odd value does not decide and no shape is assumed, and each
time over the whole of a part: of windows inside it there are so many that ten values could show
nothing. What the test takes for granted is that without a change any order is as likely: values
that lean on their neighbours, such as a machine that slowly wears, raise false alarms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.stats.dependence import ranked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.measured.windows import FloatArray, IntArray

LEAST_PART = 3
"""Values on each side of a change: two odd ones in a row are a bad day."""
PERMUTATIONS = 4999
ALARMS = 0.045
"""Level at which changes are looked for; what is left to 5 % is the chance of the shuffles."""
_SEED = 20140
_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class ChangePoint:
    """A place where a series changes.

    Attributes
    ----------
    index
        Of the first value behind the change, from 0.
    p
        Share of shuffled series whose best split is as good, this one counted with them.
    """

    index: int
    p: float


def change_points(values: Sequence[float], level: float = ALARMS) -> list[ChangePoint]:
    """Find where a series changes, in ascending order.

    Parameters
    ----------
    values
        Finite, in order of time.
    level
        A split is a change point when its p does not exceed it.

    Notes
    -----
    Deterministic: the shuffles have a seed of their own. `benchmarks/history.py` shows how often it
    sees changes that are there, and ones that are not.
    """
    series = np.asarray(values, dtype=np.float64)
    return _placed(series, _split(series, 0, level))


def _placed(values: FloatArray, found: Sequence[ChangePoint]) -> list[ChangePoint]:
    """Put each change point where it parts what lies between its neighbours best (Bai, 1997).

    The first split of a series with several changes knows nothing of the others, and may lie beside
    its place.
    """
    edges = [0, *(each.index for each in found), len(values)]
    for place in range(1, len(edges) - 1):
        part = values[edges[place - 1] : edges[place + 1]]
        own = _divergences(ranked(part), np.arange(len(part))[None, :])[0]
        edges[place] = edges[place - 1] + LEAST_PART + int(own.argmax())
    return [replace(each, index=at) for each, at in zip(found, edges[1:-1], strict=True)]


def _split(values: FloatArray, first: int, level: float) -> list[ChangePoint]:
    found = best_split(values)
    if found is None or found.p > level:
        return []
    before, behind = values[: found.index], values[found.index :]
    return [
        *_split(before, first, level),
        ChangePoint(first + found.index, found.p),
        *_split(behind, first + found.index, level),
    ]


def best_split(values: Sequence[float] | FloatArray) -> ChangePoint | None:
    """Give the best split of a series with its p; None where it is too short, or all values are alike."""
    ranks = ranked(np.asarray(values, dtype=np.float64))
    n = len(ranks)
    if n < 2 * LEAST_PART or np.ptp(ranks) == 0:
        return None
    own = _divergences(ranks, np.arange(n)[None, :])[0]
    place = int(own.argmax())
    as_good = int((_shuffled(tuple(np.sort(ranks))) >= own[place] * (1 - 1e-12)).sum())
    return ChangePoint(place + LEAST_PART, (1 + as_good) / (1 + PERMUTATIONS))


@lru_cache(maxsize=256)
def _shuffled(ranks: tuple[float, ...]) -> FloatArray:
    """Give the best divergences of shuffled series: they hang on nothing but the ranks there are."""
    generator = np.random.default_rng(_SEED)
    values, order = np.asarray(ranks), np.arange(len(ranks))[None, :]
    found: list[FloatArray] = []
    done = 0
    while done < PERMUTATIONS:
        count = min(PERMUTATIONS - done, max(1, _AT_ONCE // len(ranks) ** 2))
        shuffled = generator.permuted(np.repeat(order, count, axis=0), axis=1)
        found.append(_divergences(values, shuffled).max(axis=1))
        done += count
    return np.concatenate(found)


def _divergences(values: FloatArray, orders: IntArray) -> FloatArray:
    """Give the scaled energy distance of every split of every order.

    With m values X before and k values Y behind a split it is mk / (m + k) times
    2·mean|X − Y| − mean|X − X'| − mean|Y − Y'|, means over pairs of different values.

    Returns
    -------
    array
        A row for each order, a column for each split, from `LEAST_PART` values before it on.
    """
    n = len(values)
    placed = values[orders]
    distances = np.abs(placed[:, :, None] - placed[:, None, :])
    among = np.cumsum(np.tril(distances).sum(axis=2), axis=1)  # of the pairs before a split
    total = among[:, -1]
    rows = distances.sum(axis=2).cumsum(axis=1)  # to all others: pairs before it count twice
    across = rows - 2 * among
    behind = total[:, None] - among - across
    before_n = np.arange(1, n + 1, dtype=np.float64)[LEAST_PART - 1 : n - LEAST_PART]
    behind_n = n - before_n
    here = slice(LEAST_PART - 1, n - LEAST_PART)
    distance = (
        2 * across[:, here] / (before_n * behind_n)
        - among[:, here] / (before_n * (before_n - 1) / 2)
        - behind[:, here] / (behind_n * (behind_n - 1) / 2)
    )
    result: FloatArray = before_n * behind_n / n * distance
    return result


def least_values(level: float = ALARMS) -> int:
    """Give the number of values with which a change in their middle is sure to be seen, if clear.

    Of the C(n, n/2) ways to fill the first half, two part the values as well as possible: the
    smallest p is 2 / C(n, n/2), and three standard errors of the shuffles are allowed for. Eight
    values for one series, ten for three.
    """
    n = 2 * LEAST_PART
    while _smallest(n) + 3 * math.sqrt(_smallest(n) / PERMUTATIONS) > level:
        n += 1
    return n


def _smallest(n: int) -> float:
    return 2 / math.comb(n, n // 2)
