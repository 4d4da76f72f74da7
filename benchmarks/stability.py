"""How often the interval of a slope holds the true one, by simulation: independent and dependent points.

Run `python benchmarks/stability.py`; the figures are in docs/suites.md.
"""

from __future__ import annotations

import numpy as np

from escalade.analysis.scenarios.stability import BLOCKS
from escalade.analysis.stats.slope import theil_sen

RUNS = 2000
SLOPE = 0.1


def coverage(correlation: float, runs: int = RUNS) -> tuple[float, float, float]:
    """Give coverage, share of false alarms without a slope, and mean half width."""
    rng = np.random.default_rng(round(1000 * correlation))
    times = np.arange(BLOCKS, dtype=np.float64)
    held = alarms = 0
    widths = []
    for _ in range(runs):
        noise = np.empty(BLOCKS)
        noise[0] = rng.normal() / np.sqrt(1 - correlation**2)
        for place in range(1, BLOCKS):
            noise[place] = correlation * noise[place - 1] + rng.normal()
        found = theil_sen(times, SLOPE * times + noise)
        held += found.low <= SLOPE <= found.high
        alarms += found.low > SLOPE
        widths.append((found.high - found.low) / 2)
    return held / runs, alarms / runs, float(np.median(widths))


if __name__ == "__main__":
    print("| lag-1 correlation of the blocks | covers | lies above the truth | half width |")
    print("|---|---|---|---|")
    for correlation in (0.0, 0.2, 0.4, 0.6, 0.8):
        held, alarms, width = coverage(correlation)
        print(f"| {correlation} | {100 * held:.1f} % | {100 * alarms:.1f} % | {width:.3f} |")
