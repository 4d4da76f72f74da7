"""KPIs from what a workload noted itself: recall, bytes sent, operations, figures of one's own.

They are there for cells whose request log has such columns only, so that those of
others stay as they were.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.kpis.catalogue import NOTED, SHARES
from escalade.analysis.kpis.readings import Reading, label_of, missing
from escalade.analysis.measured.windows import NOTE
from escalade.analysis.stats.clusters import MIN_CLUSTERS, Clustered
from escalade.analysis.stats.intervals import FAILED, Estimate, mean, percentiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.windows import FloatArray, IntArray, RequestLog

BYTE_BLOCKS = 10
RECALL, QUERY, SENT, PUT = "recall", "query", "bytes_out", "put"
_OWN = {RECALL, QUERY, SENT, PUT}
_OPERATIONS = {0.0: "get", 1.0: "put"}


def noted_metrics(requests: pd.DataFrame) -> list[str]:
    """Name the metrics that a request log with these columns has beside the usual ones."""
    names = _names(requests)
    wanted = {
        "recall_at_k": RECALL in names,
        "received_bytes_per_second": SENT in names,
        "sent_bytes_per_second": SENT in names,
        "operation_latency_seconds": PUT in names,
        "noted": bool(names - _OWN),
    }
    return [metric.name for metric in NOTED if wanted[metric.name]]


def noted_readings(step: MeasuredStep) -> list[Reading]:
    """Compute what `noted_metrics` names."""
    wanted = noted_metrics(step.data.requests)
    if not len(step.log):
        return missing(wanted, "the request log has no row of this step")
    readings = []
    if "recall_at_k" in wanted:
        readings.append(Reading("recall_at_k", "mean", _recall(step)))
    if "sent_bytes_per_second" in wanted:
        received = step.data.requests["bytes_in"].to_numpy(dtype=np.float64)[step.log.rows]
        readings.append(_bytes(step, "received_bytes_per_second", received))
        readings.append(_bytes(step, "sent_bytes_per_second", _noted(step, step.log, SENT)))
    if "operation_latency_seconds" in wanted:
        readings += _operations(step)
    if "noted" in wanted:
        readings += [
            Reading("noted", "mean", _average(step, name), label_of({"note": name}))
            for name in sorted(_names(step.data.requests) - _OWN)
        ]
    return readings


def _names(requests: pd.DataFrame) -> set[str]:
    columns = map(str, requests.columns)
    return {column.removeprefix(NOTE) for column in columns if column.startswith(NOTE)}


def _noted(step: MeasuredStep, log: RequestLog, name: str) -> FloatArray:
    column = step.data.requests[f"{NOTE}{name}"].to_numpy(dtype=np.float64, na_value=np.nan)
    values: FloatArray = column[log.rows]
    return values


def _good(step: MeasuredStep, name: str) -> tuple[FloatArray, RequestLog]:
    """Give what good answers of the cohort noted, and these answers."""
    values = _noted(step, step.cohort, name)
    known = step.cohort.success & ~np.isnan(values)
    return values[known], step.cohort.only(known)


def _average(step: MeasuredStep, name: str) -> Estimate:
    values, _ = _good(step, name)
    return _with_failures(step, mean(values), name) if len(values) else _nothing(step, name)


def _recall(step: MeasuredStep) -> Estimate:
    """Average over requests; those with the same query say the same thing, so queries are drawn."""
    values, log = _good(step, RECALL)
    if not len(values):
        return _nothing(step, RECALL)
    if QUERY not in _names(step.data.requests):
        return _with_failures(step, mean(values), RECALL)
    queries = _clusters(_noted(step, log, QUERY))
    if (different := len(np.unique(queries))) < MIN_CLUSTERS:
        few = f"no interval: {different} different queries, needs {MIN_CLUSTERS}"
        found = Estimate(value=float(values.mean()), n=len(values)).flagged(few)
    else:
        drawn = Clustered(values, queries, step.seed).estimates(())[0]
        found = replace(drawn, method="bootstrap over queries", n_eff=float(different))
    return _with_failures(step, found, RECALL)


def _clusters(queries: FloatArray) -> IntArray:
    """Give each query a number, by its first request; one that is not known is one of its own."""
    unknown = np.isnan(queries)
    queries = np.where(unknown, -1.0 - np.arange(len(queries)), queries)
    _, first, place = np.unique(queries, return_index=True, return_inverse=True)
    rank: IntArray = np.argsort(np.argsort(first))
    return rank[place]


def _nothing(step: MeasuredStep, name: str) -> Estimate:
    if not len(step.cohort):
        return Estimate.missing("no request was planned inside the window")
    failed = step.cohort.failures == len(step.cohort)
    return Estimate.missing(step.failures if failed else f"no good answer noted {name!r}")


def _with_failures(step: MeasuredStep, found: Estimate, name: str) -> Estimate:
    """Flag an average that some requests are not in: a failed one has no figure, and is no zero."""
    reasons = [f"mean of good answers, {step.failures}"] if step.cohort.failures else []
    silent = int((step.cohort.success & np.isnan(_noted(step, step.cohort, name))).sum())
    reasons += [f"{silent} good answers noted none"] if silent else []
    return found.flagged(*reasons) if np.isfinite(found.value) else found


def _bytes(step: MeasuredStep, metric: str, sizes: FloatArray) -> Reading:
    """Count the bytes of good answers that ended in the window, in equal blocks of it."""
    log, window = step.log, step.window
    done = log.success & window.holds(log.ended)
    if np.isnan(sizes[done]).any():
        unknown = Estimate.missing("the size of some answers is not known")
        return Reading(metric, "value", unknown)
    place = ((log.ended[done] - window.start) * (BYTE_BLOCKS / window.seconds)).astype(np.int64)
    blocks = np.bincount(np.minimum(place, BYTE_BLOCKS - 1), sizes[done], minlength=BYTE_BLOCKS)
    found = mean(blocks / (window.seconds / BYTE_BLOCKS))
    found = replace(found, method="t over ten blocks", n=int(done.sum()), low=max(0.0, found.low))
    return Reading(metric, "value", found)


def _operations(step: MeasuredStep) -> list[Reading]:
    put = _noted(step, step.cohort, PUT)
    return [
        reading
        for value, name in _OPERATIONS.items()
        if (put == value).any()
        for reading in _spread(step.cohort.only(put == value), label_of({"operation": name}))
    ]


def _spread(log: RequestLog, label: str) -> Sequence[Reading]:
    failures = f"{100 * log.failures / len(log):.3g} % {FAILED}"
    found = percentiles(log.latency, tuple(SHARES.values()), failures)
    return [
        Reading("operation_latency_seconds", stat, each, label)
        for stat, each in zip(SHARES, found, strict=True)
    ]
