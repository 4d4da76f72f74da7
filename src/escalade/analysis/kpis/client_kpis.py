"""KPIs of the load generator: how late it sent, and what it says of itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.kpis.clocks import clock_error
from escalade.analysis.kpis.loop_kpis import AT_ONCE, NOTHING_PLANNED
from escalade.analysis.kpis.readings import (
    NO_REQUEST,
    Reading,
    label_of,
    largest,
    missing,
    plain,
)
from escalade.analysis.measured.levels import RATE
from escalade.analysis.stats.intervals import Estimate, percentiles, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.windows import FloatArray

NO_CLOCK = "a node of the client did not say at the end what its clock showed"
SILENT_CLIENT = "the client did not report it"


def sends(step: MeasuredStep) -> list[Reading]:
    """Say how late requests were sent, and how finely the client tells times."""
    lag = _lag(step.cohort.dispatch_lag)
    resolution = None if math.isnan(step.resolution_seconds) else step.resolution_seconds
    return [
        *(missing(["dispatch_lag_seconds"], NOTHING_PLANNED) if step.level.closed else lag),
        _late(step) if step.level.name == RATE else _never_late(step),
        plain("client_resolution_seconds", resolution, SILENT_CLIENT),
    ]


def client_readings(step: MeasuredStep) -> list[Reading]:
    """Say what the client reports of itself: CPU, event loop, backlog, stops and clocks."""
    client = step.client
    loop: Mapping[str, Any] = client.get("event_loop_lag_seconds") or {}
    return [
        plain("client_cpu_ratio", _cpu_ratio(client), SILENT_CLIENT),
        *(
            plain("event_loop_lag_seconds", loop.get(stat), SILENT_CLIENT, stat)
            for stat in ("p50", "p99", "max")
        ),
        plain("client_backlog", client.get("backlog_max"), SILENT_CLIENT, "max"),
        plain("client_suspended_seconds", client.get("suspended_seconds"), SILENT_CLIENT),
        plain("client_clock_error_seconds", clock_error(client), NO_CLOCK),
    ]


def _lag(lags: FloatArray) -> Sequence[Reading]:
    if not len(lags):
        return missing(["dispatch_lag_seconds"], NO_REQUEST)
    unsent = f"{100 * np.isinf(lags).mean():.3g} % of requests were never sent"
    median, high = percentiles(lags, (0.5, 0.99), unsent)
    return [
        Reading("dispatch_lag_seconds", "p50", median),
        Reading("dispatch_lag_seconds", "p99", high),
        Reading("dispatch_lag_seconds", "max", largest(lags, unsent)),
    ]


def _never_late(step: MeasuredStep) -> Reading:
    why = NOTHING_PLANNED if step.level.closed else AT_ONCE
    return Reading("late_ratio", "value", Estimate.missing(why))


def _late(step: MeasuredStep) -> Reading:
    label = label_of({"later_than_seconds": f"{step.late_after_seconds:.6g}"})
    late = step.cohort.dispatch_lag > step.late_after_seconds
    return Reading(
        "late_ratio", "value", ratio(late) if len(late) else Estimate.missing(NO_REQUEST), label
    )


def _cpu_ratio(client: Mapping[str, Any]) -> float | None:
    if client.get("cpu_ratio") is not None:
        return float(client["cpu_ratio"])
    used, wall = client.get("cpu_seconds"), client.get("wall_seconds")  # of one process, before
    return None if used is None or not wall else float(used) / float(wall)
