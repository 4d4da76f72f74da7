"""Tokens per second as operators and users see them: per GPU that is paid for, per user who reads."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.readings import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.stats.intervals import Estimate

PER_USER = "output_tokens_per_second_per_user"
PER_GPU = "output_tokens_per_second_per_gpu"
PER_CORE = "output_tokens_per_second_per_core"
PER_NODE = "output_tokens_per_second_per_node"
SHARES = (PER_GPU, PER_CORE, PER_NODE)
"""What a rate of tokens is divided by, the scarcest first; a cell has one of them."""


def interactivity_readings(step: MeasuredStep, found: Sequence[Reading]) -> list[Reading]:
    """Give tokens per second per GPU (core, node) and per user; nothing where no token came.

    Parameters
    ----------
    step
        The step, whose environment says what the service had.
    found
        Its other readings: what is wrong with a rate or a time is wrong with these as well.
    """
    by_name = {(each.metric, each.stat): each.estimate for each in found}
    rate = by_name.get(("output_tokens_per_second", "value"))
    if rate is None or _absent(rate):
        return []
    readings = []
    share = share_of(step.data.environment)
    if share is not None:
        metric, number = share
        readings.append(Reading(metric, "value", _divided(rate, number)))
    per_token = by_name.get(("tpot_seconds", "p50"))
    if per_token is not None and not _absent(per_token):
        readings.append(Reading(PER_USER, "p50", _reciprocal(per_token)))
    return readings


def share_of(environment: Mapping[str, Any]) -> tuple[str, int] | None:
    """Give what the rate of tokens is divided by, and its number; None where nothing is known of it.

    GPUs of the service's allocation where it has any (each of its nodes has the same number), else
    the cores of its only node, else its nodes. What runs elsewhere runs on nobody knows what.
    """
    allocation = environment.get("allocation") or {}
    if (environment.get("service") or {}).get("external_url"):
        return None
    nodes = max(1, len(allocation.get("service_nodes") or ()))
    gpus = nodes * len(allocation.get("service_gpus") or ())
    gpus = gpus or len(environment.get("gpus") or ())
    if gpus:
        return PER_GPU, gpus
    cores = len(allocation.get("service_cpus") or ())
    if cores and nodes == 1:
        return PER_CORE, cores
    return (PER_NODE, nodes) if allocation.get("service_nodes") else None


def _absent(estimate: Estimate) -> bool:
    return estimate.quality.startswith("missing")


def _divided(rate: Estimate, number: int) -> Estimate:
    """Divide a rate and its interval by a number that is known exactly."""
    return replace(rate, value=rate.value / number, low=rate.low / number, high=rate.high / number)


def _reciprocal(per_token: Estimate) -> Estimate:
    """Turn seconds per token into tokens per second; the ends of the interval change places."""
    return replace(
        per_token,
        value=_inverse(per_token.value),
        low=_inverse(per_token.high),
        high=_inverse(per_token.low),
    )


def _inverse(seconds: float) -> float:
    if math.isnan(seconds):
        return math.nan
    return 1.0 / seconds if seconds > 0 else math.inf
