"""The trimmed mean of other suites, as an extra row that says what it leaves out.

Escalade never drops an outlier: what lies beyond three standard deviations of a latency is what
users wait for [dropping it takes 32 to 90 % off a p99]. Some suites report such figures, and
whoever compares with theirs needs the same. It is never judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.kpis.catalogue import TRIMMED, TRIMMED_STAT
from escalade.analysis.kpis.readings import Reading
from escalade.analysis.kpis.request_kpis import OVER_SATURATED
from escalade.analysis.stats.intervals import Estimate

if TYPE_CHECKING:
    from escalade.analysis.kpis.steps import MeasuredStep

SIGMAS = 3.0
_TOO_FEW = "a standard deviation needs two good answers"


def trimmed_reading(step: MeasuredStep) -> Reading:
    """Average the good answers of the cohort within three standard deviations of their mean.

    One pass; standard deviation with n − 1. Flagged with the number that was left out.
    """
    answered = step.judged.latency[step.judged.success]
    if len(answered) < 2:
        return Reading(TRIMMED, TRIMMED_STAT, Estimate.missing(_TOO_FEW))
    middle, spread = float(answered.mean()), float(answered.std(ddof=1))
    kept = answered[np.abs(answered - middle) <= SIGMAS * spread]
    dropped = len(answered) - len(kept)
    grows = (OVER_SATURATED,) if step.saturated else ()
    why = f"leaves out {dropped} of {len(answered)} good answers, beyond three standard deviations; no verdict uses it"
    return Reading(
        TRIMMED, TRIMMED_STAT, Estimate(value=float(kept.mean()), n=len(kept)).flagged(why, *grows)
    )
