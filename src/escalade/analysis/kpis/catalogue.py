"""Every KPI: its statistics, unit, direction, formula, source and interval.

docs/metrics.md shows these rows; a test keeps both the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Direction = Literal["higher", "lower", "none"]

LOG = "requests.parquet"
OUTCOME = "windows.json"
SERIES = "series.parquet"
ENVIRONMENT = "environment.json"
CALIBRATION = "calibration.json"

PERCENTILES = ("p50", "p90", "p95", "p99")
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
VALUE = ("value",)

PLANNED = "exact, planned"
COUNTED = "exact, counted"
ORDER = "order statistics, on n_eff when requests depend on each other"
BOOTSTRAP = "bootstrap over requests"
SAMPLED = "t on n_eff samples"
SAMPLED_MAX = f"mean: {SAMPLED}; max: largest sample"
SLICES_MAX = f"mean: {SAMPLED}, of a hundred slices; max: exact"
WITH_MAX = f"{ORDER}; max: exact, the largest of all"
PAIRED = (
    "t on n_eff samples, joules and answers of the same scrape intervals; net: idle power as read"
)
ONE_READING = "not estimable: one reading"
WILSON = "Wilson, on n_eff when requests depend on each other"


@dataclass(frozen=True)
class Metric:
    """One KPI.

    Attributes
    ----------
    name
        Name in kpis.csv, with its unit.
    stats
        Its statistics, in the order of the rows.
    unit
        "s", "1/s", "ratio", "bytes", "cores", "W", or what is counted.
    direction
        Which way is better: "higher", "lower" or "none".
    formula
        How it is computed.
    source
        File that it is computed from.
    section
        Heading in docs/metrics.md.
    interval
        Method of its 95 % interval.
    per_cell
        Whether it belongs to the whole cell (step 0) instead of a step.
    where_used
        Whether only cells have it whose workload asks for what it counts.
    """

    name: str
    stats: tuple[str, ...]
    unit: str
    direction: Direction
    formula: str
    source: str
    section: str
    interval: str = ONE_READING
    per_cell: bool = False
    where_used: bool = False


# fmt: off
LOAD = (
    Metric("target_qps", VALUE, "1/s", "none", "rate asked for in the ladder", OUTCOME, "Load", PLANNED),
    Metric("concurrency", VALUE, "requests", "none", "closed loop: queries in flight, as asked for in the ladder", OUTCOME, "Load", PLANNED, where_used=True),
    Metric("samples", VALUE, "requests", "none", "sent at once: number of samples, as asked for in the ladder", OUTCOME, "Load", PLANNED, where_used=True),
    Metric("offered_qps", VALUE, "1/s", "none", "requests planned in the window, later turns of conversations that became due in it / its length", LOG, "Load", PLANNED),
    Metric("arrival_rate_qps", VALUE, "1/s", "none", "(N − 1) / (last sent − first sent), over the cohort", LOG, "Load", COUNTED),
    Metric("gap_cv", VALUE, "ratio", "none", "standard deviation / mean of the gaps between actual sends, without later turns of conversations", LOG, "Load", COUNTED),
    Metric("planned_gap_cv", VALUE, "ratio", "none", "the same of the planned sends", LOG, "Load", PLANNED),
    Metric("offered_load_erlangs", VALUE, "erlangs", "none", "arrival_rate_qps × mean service time (sent to last byte, good answers; to the end of what was abandoned)", LOG, "Load", "t × sent rate"),
    Metric("turns_not_due", VALUE, "turns", "none", "later turns of conversations that never became due, over the whole step: the turn before failed, or the window was over; n: all later turns drawn; only with workload.conversation", LOG, "Load", COUNTED, where_used=True),
)
THROUGHPUT = (
    Metric("throughput_qps", VALUE, "1/s", "higher", "good answers that ended in the window, whenever planned / its length", LOG, "Throughput", "Poisson (Garwood)"),
    Metric("goodput_qps", VALUE, "1/s", "higher", "requests of the cohort answered well and within the SLO's limit / length of the window; one row per SLO on latency_seconds or ttft_seconds", LOG, "Throughput", "Wilson × offered_qps"),
    Metric("samples_per_second", VALUE, "1/s", "higher", "sent at once: good answers / (last good end − first send)", LOG, "Throughput", "t over ten blocks", where_used=True),
    Metric("error_ratio", VALUE, "ratio", "lower", "requests of the cohort without a good answer / cohort, both without abandoned ones", LOG, "Throughput", WILSON),
    Metric("failed_requests", VALUE, "requests", "lower", "requests of the cohort without a good answer, by class of error; n: those that were awaited; one row per class, only where some failed", LOG, "Throughput", COUNTED, where_used=True),
    Metric("abandoned_ratio", VALUE, "ratio", "none", "requests of the cohort whose client left before the end, as planned / cohort; only with workload.abandon", LOG, "Throughput", WILSON, where_used=True),
)
LATENCY = (
    Metric("latency_seconds", (*PERCENTILES, "mean", "max"), "s", "lower", "planned send to last byte; a failed request is +∞", LOG, "Latency", WITH_MAX),
    Metric("latency_trimmed_seconds", ("mean_trimmed_3sigma",), "s", "none", "mean latency of the good answers of the cohort within 3 standard deviations of their mean, one pass; flagged with the number left out; only with standards.trimmed, and never in a verdict", LOG, "Latency", "not estimable: what was left out is not known to be wrong", where_used=True),
    Metric("query_latency_seconds", (*PERCENTILES, "mean"), "s", "lower", "closed loop with queries of several samples: first send to the last end of a query's samples; a query with a failed request is +∞", LOG, "Latency", ORDER, where_used=True),
    Metric("ttft_seconds", (*PERCENTILES, "mean"), "s", "lower", "planned send to first chunk; a failed request is +∞", LOG, "Latency", ORDER),
    Metric("itl_seconds", (*PERCENTILES, "mean"), "s", "lower", "gaps between neighbouring chunks of a request, pooled; a failed request counts as the mean number of gaps, all +∞", LOG, "Latency", BOOTSTRAP),
    Metric("tpot_seconds", (*PERCENTILES, "mean"), "s", "lower", "(last chunk − first chunk) / (output tokens − 1), per request with two tokens or more; a failed request is +∞", LOG, "Latency", ORDER),
    Metric("long_prompt_slowdown_ratio", VALUE, "ratio", "lower", "gaps between chunks that began while a prompt of over four times the median's tokens, of another request, was between send and first chunk / gaps of the same answer that did not: geometric mean over answers; only where prompts differ so much", LOG, "Latency", "t on the logarithm", where_used=True),
)
TOKENS = (
    Metric("output_tokens_per_second", VALUE, "1/s", "higher", "output tokens that arrived in the window, by chunk times / its length", LOG, "Tokens", "t over ten blocks"),
    Metric("output_tokens", ("mean",), "tokens", "none", "mean over good answers of the cohort, as the server counts", LOG, "Tokens", "t"),
    Metric("input_tokens", ("mean",), "tokens", "none", "mean over good answers of the cohort, as the server counts", LOG, "Tokens", "t"),
    Metric("output_tokens_per_second_per_gpu", VALUE, "1/s", "higher", "output_tokens_per_second / GPUs of the service's allocation", f"{LOG}, {ENVIRONMENT}", "Tokens", "t over ten blocks", where_used=True),
    Metric("output_tokens_per_second_per_core", VALUE, "1/s", "higher", "output_tokens_per_second / logical CPUs of the service's allocation; only where it has no GPU, and one node", f"{LOG}, {ENVIRONMENT}", "Tokens", "t over ten blocks", where_used=True),
    Metric("output_tokens_per_second_per_node", VALUE, "1/s", "higher", "output_tokens_per_second / nodes of the service; only where it has neither GPU nor known CPUs, or several nodes without GPU", f"{LOG}, {ENVIRONMENT}", "Tokens", "t over ten blocks", where_used=True),
    Metric("output_tokens_per_second_per_user", ("p50",), "1/s", "higher", "1 / p50 of tpot_seconds: the pace at which the answer of the median request is written once it has begun", LOG, "Tokens", f"that of tpot_seconds: {ORDER}", where_used=True),
    Metric("cached_token_ratio", VALUE, "ratio", "none", "Σ cached input tokens / Σ input tokens, good answers of the cohort", LOG, "Tokens", BOOTSTRAP),
)
CONCURRENCY = (
    Metric("requests_in_flight", ("mean", "max"), "requests", "none", "requests sent and not ended, over the window, weighted by time", LOG, "Concurrency", SLICES_MAX),
    Metric("requests_in_system", ("mean", "max"), "requests", "none", "requests planned and not ended, over the window, weighted by time", LOG, "Concurrency", SLICES_MAX),
)
CLIENT = (
    Metric("dispatch_lag_seconds", ("p50", "p99", "max"), "s", "lower", "actual − planned send; never sent is +∞", LOG, "Client", WITH_MAX),
    Metric("late_ratio", VALUE, "ratio", "lower", "share of the cohort sent later than max(5 ms, 5 % of the judged latency)", LOG, "Client", WILSON),
    Metric("turnaround_seconds", ("p50", "p99"), "s", "lower", "closed loop: end of the query before to the send", LOG, "Client", ORDER, where_used=True),
    Metric("turnaround_ratio", VALUE, "ratio", "lower", "closed loop: Σ turnaround / Σ (turnaround + latency): share of the time in which the client, not the service, had the query", LOG, "Client", BOOTSTRAP, where_used=True),
    Metric("client_resolution_seconds", VALUE, "s", "lower", "largest of the medians of dispatch lag, event-loop lag and, where the client was calibrated, `client_added_seconds`", f"{LOG}, {OUTCOME}", "Client", "not estimable: a largest of medians"),
    Metric("client_cpu_ratio", VALUE, "ratio", "lower", "CPU time of the busiest client process / wall time: share of the one core that it can use", OUTCOME, "Client"),
    Metric("event_loop_lag_seconds", ("p50", "p99", "max"), "s", "lower", "lateness of a timer in the client's event loop, over the whole step", OUTCOME, "Client", "not estimable: single lags are not kept"),
    Metric("client_backlog", ("max",), "requests", "lower", "arrivals that were due and found no free user, over the whole step", OUTCOME, "Client", COUNTED),
    Metric("client_suspended_seconds", VALUE, "s", "lower", "time in which the client did not run at all (stopped, or the machine slept)", OUTCOME, "Client", COUNTED),
    Metric("client_clock_error_seconds", VALUE, "s", "lower", "how far the times of the client's nodes may be off the first node's clock: half the round trip of the question for it, and its drift over the step; 0 with one node", OUTCOME, "Client", "exact, a bound itself"),
    Metric("steal_ratio", VALUE, "ratio", "lower", "CPU time that the hypervisor gave to others / all CPU time, as the client saw it, else of node_cpu_seconds_total", f"{OUTCOME}, {SERIES}", "Client", f"{SAMPLED}; not estimable where the client reports it"),
)
SERVICE = (
    Metric("service_cpu_cores", ("mean", "max"), "cores", "lower", "growth of the CPU time of the service's process tree / time between the samples; max: between two scrapes", SERIES, "Service", SAMPLED_MAX),
    Metric("service_memory_bytes", ("mean", "max"), "bytes", "lower", "resident memory of the service's process tree", SERIES, "Service", SAMPLED_MAX),
    Metric("service_memory_growth_bytes_per_second", VALUE, "bytes/s", "lower", "slope of the resident memory of the service's process tree over the window, least squares over ten block means", SERIES, "Service", "t, slope of ten block means"),
    Metric("queue_length", ("mean", "max"), "requests", "lower", "requests waiting in the service", SERIES, "Service", SAMPLED_MAX),
    Metric("requests_running", ("mean", "max"), "requests", "none", "requests being worked on in the service", SERIES, "Service", SAMPLED_MAX),
    Metric("kv_cache_usage_ratio", ("mean", "max"), "ratio", "none", "share of the KV cache in use, as the service says; only where the recipe maps it", SERIES, "Service", SAMPLED_MAX, where_used=True),
    Metric("server_output_tokens_per_second", VALUE, "1/s", "higher", "growth of output_tokens_total / time between the samples", SERIES, "Service", SAMPLED),
    Metric("server_input_tokens_per_second", VALUE, "1/s", "higher", "growth of input_tokens_total / time between the samples", SERIES, "Service", SAMPLED),
    Metric("server_requests_per_second", VALUE, "1/s", "higher", "growth of requests_total / time between the samples", SERIES, "Service", SAMPLED),
    Metric("client_server_agreement_ratio", VALUE, "ratio", "none", "client's count / server's count of the quantity that the recipe declares, idle to idle over the whole step", f"{LOG}, {SERIES}", "Service", "bounds: what can't be attributed counts fully or not at all"),
)
CACHES = (
    Metric("cache_hit_ratio", VALUE, "ratio", "higher", "growth of hits / growth of lookups, between the samples; one row per cache_type and mode that the service counts, in requests, and one of an engine's prefix cache, in tokens", SERIES, "Caches", SAMPLED, where_used=True),
    Metric("cache_lookups", VALUE, "lookups", "none", "growth of the lookups that cache_hit_ratio is a share of, between the samples: requests, or tokens of a prefix cache", SERIES, "Caches", COUNTED, where_used=True),
    Metric("cache_expired", VALUE, "entries", "lower", "growth of the entries whose time was up, between the samples; one row per cache_type and mode, only where the service counts them", SERIES, "Caches", COUNTED, where_used=True),
)
NOTED = (
    Metric("recall_at_k", ("mean",), "ratio", "higher", "share of the k exact nearest neighbours that an answer holds, mean over good answers of the cohort; a failed request has none", LOG, "Answers", "bootstrap over queries", where_used=True),
    Metric("received_bytes_per_second", VALUE, "bytes/s", "higher", "bytes of good answers that ended in the window / its length", LOG, "Answers", "t over ten blocks", where_used=True),
    Metric("sent_bytes_per_second", VALUE, "bytes/s", "higher", "bytes sent with requests whose good answer ended in the window / its length", LOG, "Answers", "t over ten blocks", where_used=True),
    Metric("operation_latency_seconds", PERCENTILES, "s", "lower", "planned send to last byte of one kind of operation, get or put; a failed request is +∞", LOG, "Answers", ORDER, where_used=True),
    Metric("noted", ("mean",), "as noted", "none", "figure that the workload's file notes with `due().note`, mean over good answers of the cohort; one row per name", LOG, "Answers", "t", where_used=True),
)
NODE = (
    Metric("node_cpu_ratio", ("mean", "max"), "ratio", "none", "growth of all modes but idle, iowait and steal / growth of all modes, all CPUs; the load generator is in it", SERIES, "Node", SAMPLED_MAX),
    Metric("node_memory_used_bytes", ("mean", "max"), "bytes", "none", "MemTotal − MemAvailable", SERIES, "Node", SAMPLED_MAX),
    Metric("neighbour_cpu_ratio", VALUE, "ratio", "lower", "share of the service's CPUs that programs other than the service used: (busy time of those CPUs, all modes but idle, iowait and steal, − CPU time of the service's process tree) / (number of those CPUs × time), at least 0", f"{SERIES}, {ENVIRONMENT}", "Node", SAMPLED),
    Metric("stressor_cpu_cores", ("mean",), "cores", "none", "growth of the CPU time of the deployment's stressor / time between the samples; only with deployments.stress", SERIES, "Node", SAMPLED, where_used=True),
    Metric("prometheus_cpu_cores", ("mean",), "cores", "lower", "growth of Prometheus' CPU time / time between the samples", SERIES, "Node", SAMPLED),
)
MONITORING = (
    Metric("scrape_coverage_ratio", VALUE, "ratio", "higher", "successful scrapes (up = 1) / scrapes due in the window; one row per target", SERIES, "Monitoring", COUNTED),
    Metric("scrape_gap_seconds", ("max",), "s", "lower", "longest time without a successful scrape; one row per target", SERIES, "Monitoring", COUNTED),
)
GPU = (
    Metric("gpu_utilization_ratio", ("mean", "max"), "ratio", "none", "share of the time in which a kernel ran; one row per GPU", SERIES, "GPU", SAMPLED_MAX),
    Metric("gpu_memory_used_bytes", ("mean", "max"), "bytes", "lower", "memory in use; one row per GPU", SERIES, "GPU", SAMPLED_MAX),
    Metric("gpu_power_watts", ("mean", "max"), "W", "lower", "power of the board; one row per GPU", SERIES, "GPU", SAMPLED_MAX),
)
FRAGMENTATION = (
    Metric("cuda_fragmentation_events", VALUE, "events", "lower", "growth of the allocations for which idle and free CUDA memory would have sufficed, between the samples; one row for those that failed (oom) and one for those that succeeded when tried again (retry), where the service tells them apart", SERIES, "CUDA memory", COUNTED, where_used=True),
    Metric("cuda_capacity_events", VALUE, "events", "lower", "growth of the allocations that failed since idle and free CUDA memory did not suffice, between the samples", SERIES, "CUDA memory", COUNTED, where_used=True),
    Metric("cuda_fragmentation_ratio", ("mean", "max"), "ratio", "lower", "share of the memory that PyTorch has reserved which is idle and can't be given back: inactive_split / reserved; one row per device", SERIES, "CUDA memory", SAMPLED_MAX, where_used=True),
)
ENERGY = (
    Metric("power_watts", ("mean",), "W", "lower", "growth of the counter of joules over the window / its length, the counter read at both ends on straight lines between its samples; without a counter the power, weighted by time; one row per scope (package, dram, gpu)", SERIES, "Energy", SAMPLED, where_used=True),
    Metric("energy_joules_per_request", ("gross", "net"), "J", "lower", "power_watts / throughput_qps; net: (power_watts − idle_power_watts) / throughput_qps; one row per scope", f"{SERIES}, {LOG}", "Energy", PAIRED, where_used=True),
    Metric("energy_joules_per_token", ("gross", "net"), "J", "lower", "power_watts / output_tokens_per_second; net: (power_watts − idle_power_watts) / output_tokens_per_second; one row per scope", f"{SERIES}, {LOG}", "Energy", PAIRED, where_used=True),
    Metric("idle_power_watts", VALUE, "W", "lower", "power in the pause of the cell (before, between or after its steps) in which it was least, from two samples or more; one row per scope", SERIES, "Energy", per_cell=True, where_used=True),
)
START = (
    Metric("ready_seconds", VALUE, "s", "lower", "start of the service to its first good answer to the probe", ENVIRONMENT, "Start of the service", per_cell=True),
    Metric("model_memory_declared_bytes", VALUE, "bytes", "none", "memory that the catalogue of models declares; one row per model", ENVIRONMENT, "Start of the service", "exact, declared", per_cell=True),
    Metric("model_memory_measured_bytes", VALUE, "bytes", "lower", "memory that was measured for the model, of the GPUs where it took some, else resident on the host; one row per model", ENVIRONMENT, "Start of the service", per_cell=True),
)
CALIBRATED = (
    Metric("calibration_qps", VALUE, "1/s", "none", "arrival rate of the calibration step: 1.5 × the top rate of the ladder", CALIBRATION, "Calibration of the client", PLANNED, per_cell=True),
    Metric("client_ceiling_qps", VALUE, "1/s", "higher", "sent rate × 0.7 / CPU share of the busiest client process: at low rates too low, since part of the CPU time is fixed; at most the sent rate where the client fell behind", CALIBRATION, "Calibration of the client", per_cell=True),
    Metric("client_added_seconds", ("p50", "p99"), "s", "lower", "latency from the planned send − the null server's own time, per good answer", CALIBRATION, "Calibration of the client", ORDER, per_cell=True),
)
# fmt: on

METRICS: tuple[Metric, ...] = (
    *LOAD,
    *THROUGHPUT,
    *LATENCY,
    *TOKENS,
    *NOTED,
    *CONCURRENCY,
    *CLIENT,
    *SERVICE,
    *CACHES,
    *NODE,
    *MONITORING,
    *GPU,
    *FRAGMENTATION,
    *ENERGY,
    *START,
    *CALIBRATED,
)
BY_NAME = {metric.name: metric for metric in METRICS}

TRIMMED, TRIMMED_STAT = "latency_trimmed_seconds", "mean_trimmed_3sigma"
"""The trimmed mean of other suites: an extra row, which is never judged."""
SCOPED = tuple(metric.name for metric in ENERGY)
"""Metrics that mean nothing without their scope, also where there is but one."""

WAITING = ("latency_seconds", "ttft_seconds")
"""Metrics that contain the time in the queue: functions of time when the backlog grows."""
QUEUED = (*WAITING, "operation_latency_seconds")
"""All rows that contain it, objectives or not."""
TIMES = (*WAITING, "itl_seconds", "tpot_seconds")
"""Metrics that the client times: no finer than the client's own resolution."""
RATES = ("throughput_qps", "goodput_qps")
"""Answers per second: no more than what a step asks for, and no reason for a highest rate."""
LASTING = (
    *("throughput_qps", "samples_per_second", "output_tokens_per_second", "recall_at_k"),
    *("received_bytes_per_second", "sent_bytes_per_second"),
)
"""Metrics that have a steady value in an over-saturated step as well."""
