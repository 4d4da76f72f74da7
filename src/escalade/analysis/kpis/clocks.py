"""Several nodes send by clocks that are known to a bound only: what that may hide.

The log of every node is in the first node's clock, to an error that the client told.
Latencies and lags are differences on one node and have none of it; gaps between the
sends of different nodes have.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.measured.windows import gap_cv

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.windows import FloatArray

_SCALES = (0.25, 0.5, 0.75, 1.0)
"""Of the error: the spread of gaps need not be worst at its ends."""
_MOST_PATTERNS = 16


def clock_error(client: Mapping[str, Any]) -> float | None:
    """Give the largest error of a node's clock in s: 0 with one node, None when one is not known."""
    errors = [node.get("clock_error_seconds") for node in client.get("nodes", ())]
    known = [float(error) for error in errors if error is not None]
    return max(known, default=0.0) if len(known) == len(errors) else None


def farthest_gap_cv(step: MeasuredStep, planned: float) -> float:
    """Give how far the true spread of gaps may be from the planned one, by the clocks' errors.

    The sends of all nodes but the first are moved by parts of their clock's error, in all
    combinations of directions (of more than five nodes in sixteen that are drawn).

    Parameters
    ----------
    step
        Whose client told the errors of all its nodes.
    planned
        Coefficient of variation of the schedule's gaps.
    """
    nodes = step.client["nodes"]
    errors = np.array([float(node["clock_error_seconds"]) for node in nodes])
    place = np.zeros(1 + max(max(node["workers"], default=0) for node in nodes), dtype=int)
    for number, node in enumerate(nodes):
        place[node["workers"]] = number
    there = ~np.isnan(step.scheduled.sent)
    worker = step.data.requests["worker"].to_numpy()[step.scheduled.rows[there]]
    moved = [
        scale * np.concatenate([[0.0], pattern]) * errors
        for pattern in _patterns(len(nodes) - 1, step.seed)
        for scale in _SCALES
    ]
    found = [_spread(step.scheduled.sent[there] + shift[place[worker]]) for shift in moved]
    return max(abs(spread - planned) for spread in found)


def _patterns(count: int, seed: Sequence[int]) -> list[FloatArray]:
    """Give the directions in which clocks may be off."""
    if 2**count <= _MOST_PATTERNS:
        return [np.array(signs) for signs in itertools.product((-1.0, 1.0), repeat=count)]
    return list(np.random.default_rng(seed).choice((-1.0, 1.0), size=(_MOST_PATTERNS, count)))


def _spread(times: FloatArray) -> float:
    spread = gap_cv(np.sort(times, kind="stable"))
    return np.inf if spread is None else spread
