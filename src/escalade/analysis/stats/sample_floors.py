"""How many observations a percentile takes; imports no numerical library, for plans ask it too."""

from __future__ import annotations

import math

ALPHA = 0.05
TAIL = ALPHA / 2
"""What a two-sided interval leaves out at each end."""


def sample_floor(share: float) -> int:
    """Give the smallest number of independent observations that bounds a percentile on both sides.

    Two-sided 95 %: p50 6, p90 36, p95 72, p99 368, p99.9 3688.
    """
    return math.ceil(math.log(TAIL) / math.log(max(share, 1 - share)))


def highest_share(n: int) -> float:
    """Give the highest percentile that so many independent observations bound on both sides.

    The other way round than `sample_floor`: 36 give 0.9026, 368 give 0.99003.
    """
    return math.exp(math.log(TAIL) / n)
