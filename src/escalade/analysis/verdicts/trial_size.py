"""How many requests a trial takes; imports no numerical library, for plans ask it too."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from escalade.analysis.kpis.catalogue import SHARES
from escalade.analysis.stats.sample_floors import TAIL, sample_floor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.measured.cell import Slo

TRIAL_FLOORS = 4
"""A window of so many sample floors bounds a percentile at low and middle utilisation (docs/metrics.md)."""
TRIAL_MEAN = 30
"""Requests of a trial that is judged by a mean."""


def trial_requests(slos: Sequence[Slo]) -> int:
    """Give the requests that a trial needs at least, so that its objectives can be judged.

    Four sample floors of the strictest percentile (p50 24, p90 144, p95 288, p99 1,472). A ratio
    needs so many that none of them failing bounds it below its limit, by Wilson.
    """
    return max((_of_trial(slo) for slo in slos), default=1)


def _of_trial(slo: Slo) -> int:
    if slo.stat in SHARES:
        return TRIAL_FLOORS * sample_floor(SHARES[slo.stat])
    if slo.metric == "error_ratio":
        z = NormalDist().inv_cdf(1 - TAIL)
        return math.ceil(z * z * (1 - min(slo.limit, 0.999)) / min(slo.limit, 0.999))
    return TRIAL_MEAN
