"""KPIs of loads without a rate: queries, turnaround, and samples that were sent at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.catalogue import SHARES
from escalade.analysis.intervals import mean, percentiles
from escalade.analysis.readings import Reading, missing, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from escalade.analysis.steps import MeasuredStep
    from escalade.analysis.windows import FloatArray

NOTHING_PLANNED = "in a closed loop nothing is planned"
AT_ONCE = "all samples were due at the same time"
_NOTHING_SENT = "no request was sent in the window"


def loop_readings(step: MeasuredStep) -> Iterable[Reading]:
    """Compute what only such loads have; nothing for a load with a rate."""
    if step.level.closed:
        yield plain("concurrency", step.level.value, "")
        yield from _turnaround(step)
    if step.level.together > 1:
        yield from _queries(step)
    if step.level.at_once:
        yield plain("samples", step.level.value, "")
        yield _samples_per_second(step)


def _turnaround(step: MeasuredStep) -> list[Reading]:
    log = step.cohort
    due = step.data.requests["planned_at"].to_numpy(dtype=np.float64)[log.rows]
    ended = ~np.isnan(log.ended) & ~np.isnan(log.sent)
    if not ended.any():
        return missing(["turnaround_seconds", "turnaround_ratio"], _NOTHING_SENT)
    waits, whole = (log.sent - due)[ended], (log.ended - due)[ended]
    median, high = percentiles(waits, (0.5, 0.99), "")
    share = float(waits.sum() / whole.sum()) if whole.sum() > 0 else None
    return [
        Reading("turnaround_seconds", "p50", median),
        Reading("turnaround_seconds", "p99", high),
        plain("turnaround_ratio", share, _NOTHING_SENT, n=len(waits)),
    ]


def _queries(step: MeasuredStep) -> list[Reading]:
    """Time each query from its first send to the last end of its samples."""
    seconds = query_seconds(step)
    if not len(seconds):
        return missing(["query_latency_seconds"], _NOTHING_SENT)
    lost = f"{100 * np.isinf(seconds).mean():.3g} % of queries had a failed request"
    found = percentiles(seconds, tuple(SHARES.values()), lost)
    readings = [
        Reading("query_latency_seconds", stat, each)
        for stat, each in zip(SHARES, found, strict=True)
    ]
    finite = seconds[np.isfinite(seconds)]
    if len(finite):
        average = mean(finite)
        average = average if len(finite) == len(seconds) else average.flagged(lost)
        return [*readings, Reading("query_latency_seconds", "mean", average)]
    return [*readings, plain("query_latency_seconds", None, lost, "mean")]


def query_seconds(step: MeasuredStep) -> FloatArray:
    """Give the time of each query that was sent in the window; infinite where a sample failed."""
    log = step.log
    index = step.data.requests["index"].to_numpy()[log.rows]
    query, place = np.unique(index // step.level.together, return_inverse=True)
    began, ended = np.full(len(query), np.inf), np.full(len(query), -np.inf)
    np.minimum.at(began, place, np.where(np.isnan(log.sent), np.inf, log.sent))
    np.maximum.at(ended, place, np.where(log.success, log.ended, np.inf))
    inside = step.window.holds(began)
    seconds: FloatArray = (ended - began)[inside]
    return seconds


def _samples_per_second(step: MeasuredStep) -> Reading:
    log = step.log
    good, sent = log.ended[log.success], log.sent[~np.isnan(log.sent)]
    if not len(good):
        return plain("samples_per_second", None, "no sample was answered well")
    seconds = float(good.max() - sent.min())
    found = len(good) / seconds if seconds > 0 else None
    reading = plain("samples_per_second", found, "no time passed", n=len(good))
    if not log.failures:
        return reading
    lost = f"without the {100 * log.failures / len(log):.3g} % of requests that failed"
    return Reading(reading.metric, reading.stat, reading.estimate.flagged(lost))
