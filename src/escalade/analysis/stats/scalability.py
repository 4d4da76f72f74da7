"""Gunther's Universal Scalability Law: throughput that turns back under load."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from escalade.analysis.measured.windows import FloatArray


@dataclass(frozen=True)
class Scalability:
    """X(r) = r / (1 + a r + b r²): throughput X at an offered rate of r requests per second.

    Attributes
    ----------
    contention
        a, in seconds: what requests wait for each other.
    crosstalk
        b, in seconds squared: what they cost each other; above 0 throughput turns back.
    """

    contention: float
    crosstalk: float

    def throughput(self, offered: FloatArray) -> FloatArray:
        """Give X(r)."""
        found: FloatArray = offered / (1 + self.contention * offered + self.crosstalk * offered**2)
        return found

    @property
    def peak(self) -> float:
        """Largest throughput, 1 / (a + 2 √b), at r = 1 / √b; infinite when nothing limits it."""
        slowest = self.contention + 2 * math.sqrt(self.crosstalk)
        return 1 / slowest if slowest > 0 else math.inf


def scalability(offered: FloatArray, throughput: FloatArray, weights: FloatArray) -> Scalability:
    """Fit the law to a ladder.

    Parameters
    ----------
    offered, throughput
        Requests per second of each step, above 0 and 0 or more.
    weights
        Weight of each step.

    Notes
    -----
    N. J. Gunther, Guerrilla Capacity Planning (Springer, 2007), with the offered rate as the
    load: in an open loop the number of requests in the system grows for as long as an
    overloaded step lasts, and is no property of the service. At low load such a service
    answers what is offered, so the law's third parameter is 1. r / X − 1 = a r + b r² is
    linear in a ≥ 0 and b ≥ 0; steps are weighted by (X² / r)², by which its errors are
    those of X.
    """
    known = throughput > 0
    r, x = offered[known], throughput[known]
    scale = np.sqrt(weights[known]) * x**2 / r
    columns = np.column_stack([r, r**2]) * scale[:, None]
    target = (r / x - 1) * scale
    both = np.linalg.lstsq(columns, target, rcond=None)[0] if len(r) > 1 else np.array([-1.0, -1.0])
    if both.min() >= 0:
        return Scalability(float(both[0]), float(both[1]))
    norms = (columns**2).sum(axis=0)
    shares = (columns * target[:, None]).sum(axis=0)
    alone = np.maximum(0.0, np.divide(shares, norms, out=np.zeros(2), where=norms > 0))
    losses = ((target[:, None] - columns * alone) ** 2).sum(axis=0)
    if losses[0] < losses[1]:
        return Scalability(float(alone[0]), 0.0)
    return Scalability(0.0, float(alone[1]))
