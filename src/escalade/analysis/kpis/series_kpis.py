"""KPIs of a step that come from the samples of service, node, monitoring and GPUs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.kpis import replicas
from escalade.analysis.kpis.agreement import agreement_of
from escalade.analysis.kpis.cache_kpis import cache_readings
from escalade.analysis.kpis.catalogue import BY_NAME, MONITORING, NODE, SERVICE
from escalade.analysis.kpis.fragmentation_kpis import fragmentation_readings
from escalade.analysis.kpis.neighbours import (
    CPU_SECONDS,
    IDLE_MODES,
    NODE_CPU_SECONDS,
    neighbour_share,
    of_service,
)
from escalade.analysis.kpis.readings import Reading, label_of, missing, plain
from escalade.analysis.measured.series import Track
from escalade.analysis.stats.intervals import Estimate
from escalade.analysis.stats.sampled import largest, over_samples, ratio_over_samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.windows import FloatArray

MEMORY_BYTES = "escalade_process_resident_memory_bytes"
MEMORY_TOTAL = "node_memory_MemTotal_bytes"
MEMORY_AVAILABLE = "node_memory_MemAvailable_bytes"

CANONICAL = {
    "queue_length": ("queue_length", "requests_waiting"),
    "requests_running": ("requests_running",),
    "kv_cache_usage_ratio": ("kv_cache_usage_ratio",),
    "server_output_tokens_per_second": ("output_tokens_total",),
    "server_input_tokens_per_second": ("input_tokens_total",),
    "server_requests_per_second": ("requests_total",),
}
"""KPI to the recipe's names of the metric that it is made of."""

GPU_METRICS = {
    "gpu_utilization_ratio": "escalade_gpu_utilization_ratio",
    "gpu_memory_used_bytes": "escalade_gpu_memory_used_bytes",
    "gpu_power_watts": "escalade_gpu_power_watts",
}
GPU_LABELS = ("gpu", "index", "uuid")
"""`index` is what cells that were measured before 2026-11-23 call a GPU's number."""
_FEW_OF_NODE = f"fewer than two samples of {NODE_CPU_SECONDS} in the window"
UNMONITORED = "monitoring is off, so nothing was scraped"
"""Why a cell without monitoring has no samples."""


def series_readings(step: MeasuredStep) -> list[Reading]:
    """Compute every KPI of the samples; what was not scraped is missing, with the reason."""
    if not step.data.monitored:
        return _unmonitored(step)
    return [
        _steal(step),
        *_cpu("service_cpu_cores", "service", step),
        *_memory(step),
        *_service_gauges(step),
        *_service_counters(step),
        _agreement(step),
        *cache_readings(step),
        *fragmentation_readings(step),
        *_node(step),
        Reading("neighbour_cpu_ratio", "value", neighbour_share(step)),
        *_stressor(step),
        *_cpu("prometheus_cpu_cores", "prometheus", step),
        *_monitoring(step),
        *_gpus(step),
    ]


def _unmonitored(step: MeasuredStep) -> list[Reading]:
    gpus = bool(step.data.environment.get("gpus"))
    names = [each.name for each in (*SERVICE, *NODE, *MONITORING) if not each.where_used]
    return [
        _steal(step),
        *missing([*names, *(GPU_METRICS if gpus else ())], UNMONITORED),
        *([] if gpus else [no_gpu(step.data.environment)]),
    ]


def _stressor(step: MeasuredStep) -> list[Reading]:
    """Say what a stressor took; nothing where there is none."""
    if not step.samples.tracks(CPU_SECONDS, role="stressor"):
        return []
    return _cpu("stressor_cpu_cores", "stressor", step)


def _steal(step: MeasuredStep) -> Reading:
    why = "neither the client nor node_exporter reported it"
    reported = step.client.get("steal_ratio")
    if reported is not None:
        return plain("steal_ratio", reported, why)
    shares = _node_shares(step, ("steal",))
    return Reading("steal_ratio", "value", shares[0] if shares else Estimate.missing(why))


def _cpu(metric: str, role: str, step: MeasuredStep) -> list[Reading]:
    tracks = step.samples.tracks(CPU_SECONDS, role=role)
    absent = replicas.unfollowed(step, tracks) if role == "service" else None
    rates = step.samples.rates(tracks, step.window)
    why = f'fewer than two samples of {CPU_SECONDS}{{role="{role}"}} in the window'
    average = Estimate.missing(absent) if absent else _pace(tracks, step, why)
    readings = [Reading(metric, "mean", average)]
    if metric == "service_cpu_cores":
        known = len(rates) and np.isfinite(average.value)
        most = largest(float(rates.max()), len(rates)) if known else Estimate.missing(absent or why)
        readings.append(Reading(metric, "max", most))
    return readings


def _pace(tracks: Sequence[Track], step: MeasuredStep, why: str) -> Estimate:
    """Give how fast counters grew over the window, with an interval from scrape to scrape."""
    growth = step.samples.growth(tracks, step.window)
    if growth is None:
        return Estimate.missing(why)
    (paces,) = step.samples.paces([tracks], step.window)
    return over_samples(growth.rate, paces, step.samples.interval)


def _memory(step: MeasuredStep) -> list[Reading]:
    tracks = step.samples.tracks(MEMORY_BYTES, role="service")
    if absent := replicas.unfollowed(step, tracks):
        return missing(["service_memory_bytes"], absent)
    return _gauge("service_memory_bytes", tracks, step)


def _gauge(
    metric: str, tracks: Sequence[Track], step: MeasuredStep, label: str = "", what: str = ""
) -> list[Reading]:
    samples = step.samples.levels(tracks, step.window)
    found = step.samples.gauge(tracks, step.window)
    return _levels(metric, found, samples, step.samples.interval, label=label, what=what)


def _levels(
    metric: str,
    found: tuple[float, float, int] | None,
    samples: FloatArray,
    interval: float,
    *,
    label: str = "",
    what: str = "",
) -> list[Reading]:
    if found is None:
        absent = Estimate.missing(f"no sample of {what or metric} in the window")
        return [Reading(metric, stat, absent, label) for stat in ("mean", "max")]
    average, most, n = found
    highest = 1.0 if BY_NAME[metric].unit == "ratio" else math.inf
    bounded = over_samples(average, samples, interval, highest)
    return [
        Reading(metric, "mean", bounded, label),
        Reading(metric, "max", largest(most, n), label),
    ]


def raw_name(metric: str, step: MeasuredStep) -> str | None:
    """Give the service's own name of what a KPI is made of, None when the recipe names none."""
    names = step.data.environment.get("metric_names") or {}
    return next((names[name] for name in CANONICAL[metric] if names.get(name)), None)


def _unmapped(metric: str) -> str:
    return f"the recipe names no {' or '.join(CANONICAL[metric])}"


def _service_gauges(step: MeasuredStep) -> list[Reading]:
    readings = []
    for metric in ("queue_length", "requests_running", "kv_cache_usage_ratio"):
        raw = raw_name(metric, step)
        if raw is None and BY_NAME[metric].where_used:
            continue
        if raw is None:
            readings += missing([metric], _unmapped(metric))
        elif absent := replicas.unseen(step, 1):
            readings += missing([metric], absent)
        else:
            ratio = BY_NAME[metric].unit == "ratio"
            tracks = step.samples.tracks(raw)
            found = replicas.gauge(step, tracks, ratio=ratio)
            samples = step.samples.levels(tracks, step.window)
            samples = samples / step.data.replicas if ratio else samples
            what = raw if step.data.replicas == 1 else f"{raw} of each replica"
            readings += _levels(metric, found, samples, step.samples.interval, what=what)
    return readings


def _service_counters(step: MeasuredStep) -> list[Reading]:
    readings = []
    for metric in CANONICAL:
        if not metric.startswith("server_"):
            continue
        raw = raw_name(metric, step)
        if raw is None:
            readings += missing([metric], _unmapped(metric))
            continue
        absent = replicas.unseen(step, 2)
        tracks = [] if absent else step.samples.tracks(raw)
        why = absent or f"fewer than two samples of {raw} in the window"
        readings.append(Reading(metric, "value", _pace(tracks, step, why)))
    return readings


def _agreement(step: MeasuredStep) -> Reading:
    found = agreement_of(step)
    return Reading("client_server_agreement_ratio", "value", found.estimate)


def _node_shares(step: MeasuredStep, modes: Sequence[str]) -> tuple[Estimate, Estimate] | None:
    """Give mean and largest share of CPU time spent in some modes; the latter may be missing."""
    tracks = of_service(step.samples.tracks(NODE_CPU_SECONDS))
    some = [track for track in tracks if track.labels.get("mode") in modes]
    total, part = step.samples.growth(tracks, step.window), step.samples.growth(some, step.window)
    if total is None or part is None or total.amount <= 0:
        return None
    rates, of_some = step.samples.rates(tracks, step.window), step.samples.rates(some, step.window)
    most = Estimate.missing(_FEW_OF_NODE)
    if len(rates) and len(rates) == len(of_some):
        shares = of_some / np.where(rates > 0, rates, np.inf)
        most = largest(float(shares.max()), len(rates))
    of_part, of_all = step.samples.paces([some, tracks], step.window)
    share = part.amount / total.amount
    return ratio_over_samples(share, of_part, of_all, step.samples.interval, 1.0), most


def _node(step: MeasuredStep) -> list[Reading]:
    tracks = of_service(step.samples.tracks(NODE_CPU_SECONDS))
    busy_modes = sorted({track.labels.get("mode", "") for track in tracks} - {*IDLE_MODES})
    busy = _node_shares(step, busy_modes)
    absent = Estimate.missing(_FEW_OF_NODE)
    average, most = busy or (absent, absent)
    return [
        Reading("node_cpu_ratio", "mean", average),
        Reading("node_cpu_ratio", "max", most),
        *_gauge("node_memory_used_bytes", _memory_used(step), step, what=MEMORY_AVAILABLE),
    ]


def _memory_used(step: MeasuredStep) -> list[Track]:
    total = step.samples.summed(of_service(step.samples.tracks(MEMORY_TOTAL)))
    available = step.samples.summed(of_service(step.samples.tracks(MEMORY_AVAILABLE)))
    if total is None or available is None:
        return []
    both, of_total, of_available = np.intersect1d(total.times, available.times, return_indices=True)
    return [Track({}, both, total.levels[of_total] - available.levels[of_available])]


def _monitoring(step: MeasuredStep) -> list[Reading]:
    if not step.targets:
        return missing(
            ["scrape_coverage_ratio", "scrape_gap_seconds"], "no sample of up in the whole cell"
        )
    found = step.samples.coverage(step.window, step.targets)
    return [
        *(
            Reading(
                "scrape_coverage_ratio",
                "value",
                Estimate(value=each.ratio, n=each.expected),
                label_of(each.target),
            )
            for each in found
        ),
        *(
            Reading(
                "scrape_gap_seconds",
                "max",
                Estimate(value=each.largest_gap, n=each.received),
                label_of(each.target),
            )
            for each in found
        ),
    ]


def _gpus(step: MeasuredStep) -> list[Reading]:
    if not step.data.environment.get("gpus"):
        return [no_gpu(step.data.environment)]
    readings = []
    for metric, raw in GPU_METRICS.items():
        tracks = step.samples.tracks(raw)
        if not tracks:
            readings += missing(
                [metric], f"no sample of {raw}: the GPU does not offer it, or its exporter was away"
            )
        for track in tracks:
            label = label_of({key: track.labels[key] for key in GPU_LABELS if key in track.labels})
            readings += _gauge(metric, [track], step, label, raw)
    return readings


def no_gpu(environment: Mapping[str, Any]) -> Reading:
    """Give the one row that says that there is no GPU, and why."""
    why = str(environment.get("gpu_note") or "no GPU")
    return Reading("gpu_utilization_ratio", "mean", Estimate.missing(why))
