"""KPIs of loads without a rate: queries, turnaround, and samples that were sent at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.kpis.catalogue import SHARES
from escalade.analysis.kpis.readings import Reading, missing, plain
from escalade.analysis.stats.clusters import ratio_of_sums
from escalade.analysis.stats.intervals import NOT_ESTIMABLE, Estimate, mean, percentiles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.windows import FloatArray

NOTHING_PLANNED = "in a closed loop nothing is planned"
AT_ONCE = "all samples were due at the same time"
BLOCKS = 10
MIN_ANSWERS = 20
"""Answers below which ten blocks of time say nothing of a rate: two a block."""
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
    share = (
        ratio_of_sums(waits, whole, step.seed)
        if whole.sum() > 0
        else Estimate.missing(_NOTHING_SENT)
    )
    return [
        Reading("turnaround_seconds", "p50", median),
        Reading("turnaround_seconds", "p99", high),
        Reading("turnaround_ratio", "value", share),
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
    found = answered_per_second(good, sent)
    if log.failures:
        lost = f"without the {100 * log.failures / len(log):.3g} % of requests that failed"
        found = found.flagged(lost)
    return Reading("samples_per_second", "value", found)


def answered_per_second(ended: FloatArray, sent: FloatArray) -> Estimate:
    """Give answers per second from the first send to the last end, with t over ten blocks of that time."""
    if not len(ended):
        return Estimate.missing("no sample was answered well")
    begin, n = float(sent.min()), len(ended)
    seconds = float(ended.max()) - begin
    if not seconds > 0:
        return Estimate.missing("no time passed")
    point = n / seconds
    if n < MIN_ANSWERS:
        few = f"{NOT_ESTIMABLE}: {n} answers, needs {MIN_ANSWERS}"
        return Estimate(point, method=few, n=n, n_eff=float(n))
    place = ((ended - begin) * (BLOCKS / seconds)).astype(np.int64)
    inside = np.clip(place, 0, BLOCKS - 1)
    counts = np.bincount(inside, minlength=BLOCKS).astype(np.float64)
    blocks = mean(counts * (BLOCKS / seconds))
    low, high = max(0.0, min(blocks.low, point)), max(blocks.high, point)
    return Estimate(point, low, high, "t over ten blocks", n, float(BLOCKS))
