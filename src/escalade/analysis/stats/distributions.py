"""The few distributions that intervals need, from scipy.special.

scipy.stats has them too, but takes more than a second of CPU to import, and
every stage of the workflow is a process of its own.
"""

from __future__ import annotations

import math

from scipy import special

ROUNDING = 1e-12


def normal_quantile(share: float) -> float:
    """Give the value below which `share` of a standard normal lies."""
    return float(special.ndtri(share))


def student_quantile(share: float, freedom: float) -> float:
    """Give the value below which `share` of Student's t with `freedom` degrees lies."""
    return float(special.stdtrit(freedom, share))


def chi_squared_quantile(share: float, freedom: float) -> float:
    """Give the value below which `share` of chi-squared with `freedom` degrees lies."""
    return float(special.chdtri(freedom, 1.0 - share))


def binomial_cdf(successes: float, trials: float, chance: float) -> float:
    """Give the probability of at most `successes` in `trials`."""
    return float(special.bdtr(successes, trials, chance))


def binomial_quantile(share: float, trials: int, chance: float) -> int:
    """Give the smallest number of successes whose cumulative probability reaches `share`."""
    successes = max(0, min(trials, math.ceil(special.bdtrik(share, trials, chance))))
    # The inverse, and the sum at a tie, may lie a rounding error beside the step.
    enough = share - ROUNDING
    while successes < trials and binomial_cdf(successes, trials, chance) < enough:
        successes += 1
    while successes > 0 and binomial_cdf(successes - 1, trials, chance) >= enough:
        successes -= 1
    return successes
