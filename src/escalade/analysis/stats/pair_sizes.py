"""How many pairs a comparison takes; imports no numerical library, for plans ask it too."""

from __future__ import annotations

import math
from statistics import NormalDist

LEVEL = 0.05
"""Level of the tests, and one minus that of the intervals."""
POWER = 0.8
"""Chance of being seen that a change is planned with."""
_EFFICIENCY = 3 / math.pi
"""Of the signed-rank test against t, where differences are normal (Hodges and Lehmann, 1956)."""


def smallest_p(pairs: int) -> float:
    """Give the smallest two-sided p that so many pairs can have: all of one sign."""
    return min(1.0, 2.0 ** (1 - pairs))


def pairs_needed(family: int = 1, level: float = LEVEL) -> int:
    """Give the least number of pairs that can decide each of a family of KPIs (Holm)."""
    return 1 + math.ceil(math.log2(family / level) - 1e-9)


def pairs_to_see(spread: float, change: float, family: int = 1) -> int:
    """Give how many pairs would show a change four times in five.

    Parameters
    ----------
    spread
        Standard deviation of the differences.
    change
        The shift to be seen, in the same unit.
    family
        Number of KPIs that are tested together.

    Notes
    -----
    Normal approximation, with the test's efficiency against t; never fewer than can decide at all.
    """
    normal = NormalDist()
    quantiles = normal.inv_cdf(1 - LEVEL / (2 * family)) + normal.inv_cdf(POWER)
    likely = (quantiles * spread / change) ** 2 / _EFFICIENCY
    return max(pairs_needed(family), math.ceil(likely))
