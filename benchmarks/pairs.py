"""How often pairs show a change that is there, and one that is not, where the truth is known.

    .venv/bin/python benchmarks/pairs.py [CAMPAIGNS]

Runs of a service differ by themselves, by 5 % here (standard deviation of the logarithm). A part of
that is shared by the two runs of a pair, which follow each other; the rest is each run's own. Besides,
the machine slows down evenly by a tenth over the campaign. Every campaign is judged as a real one is.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from escalade.analysis.compare.comparison import MARGIN
from escalade.analysis.scenarios.pair_verdicts import decided
from escalade.analysis.stats.signed_rank import signed_rank

NOISE, DRIFT = 0.05, 0.10
PAIRS = (6, 8, 12)
SHARED = (0.0, 0.5, 0.9)
CHANGES = (0.0, 0.03, 0.10, 0.20)
SECOND_FIRST = (False, True, True, False)


def main(campaigns: int) -> None:
    """Print a table: per number of pairs and share of the noise, what was called worse."""
    rng = np.random.default_rng(20261122)
    heads = " | ".join(f"+{100 * change:g} %: worse" for change in CHANGES)
    print(f"| pairs | noise shared | {heads} | interval covers | width, median |")
    print("|" + "---|" * (len(CHANGES) + 4))
    for pairs in PAIRS:
        for shared in SHARED:
            found = [_tried(rng, pairs, shared, change, campaigns) for change in CHANGES]
            worse = " | ".join(f"{100 * each[0]:.1f} %" for each in found)
            covers = 100 * np.mean([each[1] for each in found])
            width = 100 * np.median([each[2] for each in found])
            print(f"| {pairs} | {100 * shared:g} % | {worse} | {covers:.1f} % | {width:.1f} % |")


def _tried(
    rng: np.random.Generator, pairs: int, shared: float, change: float, campaigns: int
) -> tuple[float, float, float]:
    """Give how often it was called worse, how often the interval held the truth, and its median width."""
    worse, covered, widths = 0, 0, []
    for _ in range(campaigns):
        shift = signed_rank(_log_ratios(rng, pairs, shared, change))
        row = {
            "pairs": pairs,
            "primary": True,
            "ratio": math.exp(shift.effect),
            "ci_low": math.exp(shift.low),
            "ci_high": math.exp(shift.high),
            "p_value": shift.p,
            "p_adjusted": shift.p,
            "direction": "lower",
            "spread": NOISE,
            "without": [],
        }
        worse += decided(row, MARGIN, 1)["verdict"] == "worse"
        covered += shift.low <= math.log1p(change) <= shift.high
        widths.append(row["ci_high"] - row["ci_low"])
    return worse / campaigns, covered / campaigns, float(np.median(widths))


def _log_ratios(
    rng: np.random.Generator, pairs: int, shared: float, change: float
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    common = rng.normal(0, NOISE * math.sqrt(shared), pairs)
    own = rng.normal(0, NOISE * math.sqrt(1 - shared), (2, pairs))
    turned = np.array([SECOND_FIRST[pair % len(SECOND_FIRST)] for pair in range(pairs)])
    place = 2 * np.arange(pairs) + np.stack([turned, ~turned])
    logs = common + own + math.log1p(DRIFT) * place / (2 * pairs - 1)
    return np.asarray(logs[1] - logs[0] + math.log1p(change))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000)
