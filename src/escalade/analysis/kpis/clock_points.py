"""Between which times of the request log, or over which samples, each KPI is measured.

With the formula and the interval of the catalogue this is what the page's methods and docs/metrics.md
show; a test keeps both the same. Columns of requests.parquet stand as they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.analysis.kpis.catalogue import CALIBRATION, ENVIRONMENT, LOG, SERIES

if TYPE_CHECKING:
    from escalade.analysis.kpis.catalogue import Metric

COHORT = "planned_at in [start, end)"
_CHUNKS = "first_chunk_at + chunk_offsets"
_BOTH = f"planned_at → ended_at, {COHORT}"

_ASKED = "none: as asked for"

CLOCK_POINTS = {
    "target_qps": _ASKED,
    "concurrency": _ASKED,
    "samples": _ASKED,
    "calibration_qps": _ASKED,
    "arrival_rate_qps": f"sent_at, {COHORT}",
    "gap_cv": f"sent_at, {COHORT}",
    "offered_load_erlangs": f"sent_at → ended_at, {COHORT}",
    "turns_not_due": "the whole step",
    "throughput_qps": "ended_at in [start, end)",
    "goodput_qps": f"planned_at → ended_at, or first_chunk_at, as the objective has it; {COHORT}",
    "samples_per_second": "first sent_at → last ended_at",
    "latency_seconds": _BOTH,
    "latency_trimmed_seconds": _BOTH,
    "operation_latency_seconds": _BOTH,
    "query_latency_seconds": "first sent_at → last ended_at of the query, first sent_at in [start, end)",
    "ttft_seconds": f"planned_at → first_chunk_at, {COHORT}",
    "itl_seconds": f"neighbouring chunk_offsets, {COHORT}",
    "tpot_seconds": f"first_chunk_at → last_chunk_at, {COHORT}",
    "long_prompt_slowdown_ratio": f"neighbouring chunk_offsets; sent_at → first_chunk_at of the long prompt; {COHORT}",
    "output_tokens_per_second": f"{_CHUNKS} in [start, end); ended_at where there are no chunks",
    "output_tokens_per_second_per_user": f"as tpot_seconds: first_chunk_at → last_chunk_at, {COHORT}",
    **{
        f"output_tokens_per_second_per_{unit}": "as output_tokens_per_second"
        for unit in ("gpu", "core", "node")
    },
    "received_bytes_per_second": "ended_at in [start, end)",
    "sent_bytes_per_second": "ended_at in [start, end)",
    "requests_in_flight": "sent_at → ended_at, as far as it lies in [start, end)",
    "requests_in_system": "planned_at → ended_at, as far as it lies in [start, end)",
    "dispatch_lag_seconds": f"planned_at → sent_at, {COHORT}",
    "late_ratio": f"planned_at → sent_at, {COHORT}",
    "turnaround_seconds": "ended_at of the query before → sent_at, sent_at in [start, end)",
    "turnaround_ratio": "ended_at of the query before → sent_at → ended_at, sent_at in [start, end)",
    "client_server_agreement_ratio": "the last sample before the step's first request → the last one before the next step",
    "energy_joules_per_request": "as power_watts and throughput_qps",
    "energy_joules_per_token": "as power_watts and output_tokens_per_second",
    "idle_power_watts": "samples of the pauses before, between and after the steps",
    "ready_seconds": "start of the service's process → first good answer to the probe",
    "client_added_seconds": "planned_at → ended_at of the calibration, less the null server's own time",
}
"""Where it is not what the source says anyway."""
_BY_SOURCE = {
    SERIES: "samples of [start, end); counters from the last sample not later than its start",
    LOG: COHORT,
    CALIBRATION: "the calibration, before the ladder",
    ENVIRONMENT: "once, before the load",
}
_WHOLE = "the whole step, as the client counted"


def clock_points(metric: Metric) -> str:
    """Say between which times a KPI is measured; [start, end) is the window."""
    own = CLOCK_POINTS.get(metric.name)
    first = metric.source.partition(", ")[0]
    return own or _BY_SOURCE.get(first, _WHOLE)
