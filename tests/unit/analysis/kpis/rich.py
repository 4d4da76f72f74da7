"""Random cells in which, over all kinds, every KPI of the catalogue has a value."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from unit.analysis.builders import (
    AGREEMENT,
    APART,
    GOOD_CLIENT,
    METRIC_NAMES,
    NODE_TARGET,
    SERVICE_TARGET,
    Request,
    Step,
    cell,
    scraped,
    up,
)

if TYPE_CHECKING:
    from escalade.analysis.measured.cell import CellData

KINDS = ("open", "talks", "closed", "at once")
"""Loads with a rate, conversations among them, and loads without one."""
PLACES: dict[str, dict[str, Any]] = {
    "open": {
        "allocation": APART,
        "gpus": [{"index": 0, "uuid": "GPU-0", "memory_total_bytes": 10**11}],
    },
    "talks": {"allocation": APART},
    "closed": {"allocation": {**APART, "service_nodes": ["a", "b"]}},
    "at once": {"allocation": APART},
}
"""Tokens are shared among GPUs, cores or nodes, by what is known of the place."""
CACHE = {"cache_hits_total": 4.0, "cache_misses_total": 2.0, "cache_ttl_expired_total": 0.5}
SECONDS = 12.0
SCRAPES = [float(at) for at in range(-7, 54)]
"""From two seconds before the step to two after its drain."""
NAMES = METRIC_NAMES | {
    "kv_cache_usage_ratio": "service_kv_cache",
    "input_tokens_total": "service_prompt_tokens_total",
    "requests_total": "service_requests_total",
}
GPU = {"gpu": "0", "uuid": "GPU-0", "name": "H100"}
PIECES = {"device": "0", "uuid": "GPU-0", **SERVICE_TARGET}


def rich_cell(kind: str, seed: int) -> CellData:
    """Give a cell of one step of that kind, with random requests and random samples of everything."""
    rng = np.random.default_rng(seed)
    step = Step(
        _requests(kind, rng),
        SECONDS,
        client=_client(rng),
        samples=_samples(rng),
        **_load(kind),
    )
    estimate = {"value": 0.001, "low": 0.0008, "high": 0.0012, "n": 100, "n_eff": 100.0}
    told = {**estimate, "method": "order statistics", "quality": "ok"}
    data = cell(
        step,
        agreement=AGREEMENT,
        metric_names=NAMES,
        **PLACES[kind],
        service={
            "ready_seconds": float(rng.uniform(0.1, 90.0)),
            "models": [{"name": "m", "declared_bytes": 100, "measured_bytes": 120}],
        },
    )
    calibration = {
        "outcome": "pass",
        "detail": "kept up",
        "requests": 100,
        "target_qps": 15.0,
        "ceiling_qps": 70.0,
        "added_seconds": {"p50": told, "p99": told},
    }
    return dataclasses.replace(
        data, requests=_noted(kind, data.requests, rng), calibration=calibration
    )


def moved(data: CellData, seconds: float) -> CellData:
    """Give the same cell as if it had been measured so much later."""
    clocks = ["planned_at", "sent_at", "first_chunk_at", "last_chunk_at", "ended_at"]
    at = ("started_at", "window_start", "window_end", "drained_at")
    steps = [
        {key: value + seconds if key in at else value for key, value in outcome.items()}
        for outcome in data.windows["steps"]
    ]
    return dataclasses.replace(
        data,
        windows={**data.windows, "steps": steps},
        requests=data.requests.assign(**{name: data.requests[name] + seconds for name in clocks}),
        series=data.series.assign(timestamp=data.series["timestamp"] + seconds),
    )


def shuffled(data: CellData, seed: int) -> CellData:
    """Give the same cell with the rows of its tables in another order."""
    requests, series = (
        table.sample(frac=1.0, random_state=seed) for table in (data.requests, data.series)
    )
    return dataclasses.replace(data, requests=requests, series=series)


def unsampled(data: CellData) -> CellData:
    """Give the same cell without any sample of Prometheus."""
    return dataclasses.replace(data, series=data.series.iloc[:0])


def _load(kind: str) -> dict[str, Any]:
    if kind == "closed":
        load = {"target_qps": None, "arrivals": "closed", "concurrency": 4, "samples_per_query": 2}
        return {"load": load}
    if kind == "at once":
        return {
            "load": {"target_qps": None, "arrivals": "at_once", "samples": 60},
            "warmup": 0.0,
        }
    return {"target_qps": 8.0}


def _client(rng: np.random.Generator) -> dict[str, Any]:
    nodes = [
        {"node": f"n{number}", "workers": [number], "clock_error_seconds": error}
        for number, error in enumerate((0.0, float(rng.uniform(1e-5, 1e-3))))
    ]
    return GOOD_CLIENT | {"nodes": nodes, "cpu_seconds": float(rng.uniform(0.5, 15.0))}


def _requests(kind: str, rng: np.random.Generator) -> list[Request]:
    """Stream answers of some tokens each; one in twelve fails, a long prompt comes now and then."""
    if kind == "at once":
        times = np.zeros(60)
    elif kind == "closed":
        times = np.sort(rng.uniform(-4.0, SECONDS, 120))
    else:
        times = np.sort(rng.uniform(-4.0, SECONDS, 140))
    found = []
    for place, planned in enumerate(times):
        gaps = rng.exponential(0.03, int(rng.integers(3, 9)))
        chunks = np.cumsum(np.append(rng.uniform(0.01, 0.2), gaps)).tolist()
        long = place % 12 == 0
        found.append(
            Request(
                float(planned),
                chunks[-1],
                float(planned) + float(rng.uniform(0.0, 0.002)),
                chunks=chunks,
                error="timeout" if place % 12 == 5 else None,
                input_tokens=1000 if long else 50,
                cached_tokens=int(rng.integers(0, 50)),
            )
        )
    return found


def _noted(kind: str, log: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Add what workloads note, who leaves, and of conversations their turns."""
    count = len(log)
    log = log.assign(
        worker=log["index"] % 2,
        note_recall=rng.uniform(0.0, 1.0, count),
        note_own=rng.normal(0.0, 1.0, count),
    )
    if kind == "open":
        leaving = (log["index"] % 15 == 3).to_numpy()
        log.loc[leaving & log["error"].isna().to_numpy(), "error"] = "abandoned"
        log = log.assign(leaving=leaving)
    if kind == "at once":  # operations on a store, which gives no tokens
        log = log.assign(
            note_put=(log["index"] % 2).astype(float),
            note_bytes_out=rng.integers(1, 10_000, count).astype(float),
        )
    if kind == "talks":
        later = (log["index"] % 3 == 1).to_numpy()
        log = log.assign(
            conversation=pd.array(log["index"] // 3, dtype="Int32"),
            turn=pd.array(np.where(later, 2, 1), dtype="Int16"),
        )
        never = (log["index"] % 20 == 7).to_numpy()
        log.loc[never, "error"] = "not_due"
        log.loc[never, ["planned_at", "sent_at", "first_chunk_at", "last_chunk_at", "ended_at"]] = (
            np.nan
        )
    return log


def _samples(rng: np.random.Generator) -> list[Any]:
    """Sample counters that never sink and gauges that wander, of service, node, GPU and package."""

    def counter(metric: str, rate: float, **labels: str) -> Any:
        steps = rng.uniform(0.5, 1.5, len(SCRAPES)) * rate
        return scraped(metric, labels, dict(zip(SCRAPES, np.cumsum(steps).tolist(), strict=True)))

    def gauge(metric: str, low: float, high: float, **labels: str) -> Any:
        values = rng.uniform(low, high, len(SCRAPES)).tolist()
        return scraped(metric, labels, dict(zip(SCRAPES, values, strict=True)))

    cpu, memory = "escalade_process_cpu_seconds_total", "escalade_process_resident_memory_bytes"
    roles = {"service": 0.4, "prometheus": 0.02, "stressor": 0.2}
    modes = {"user": 0.6, "idle": 0.3, "steal": 0.02}
    parts = [
        up(SERVICE_TARGET, SCRAPES),
        up(NODE_TARGET, SCRAPES),
        *(counter(cpu, rate, role=role, **NODE_TARGET) for role, rate in roles.items()),
        gauge(memory, 1e9, 2e9, role="service", **NODE_TARGET),
        *(
            counter("node_cpu_seconds_total", rate, cpu=number, mode=mode, **NODE_TARGET)
            for number in ("0", "1")
            for mode, rate in modes.items()
        ),
        gauge("node_memory_MemTotal_bytes", 8e9, 8e9, **NODE_TARGET),
        gauge("node_memory_MemAvailable_bytes", 1e9, 7e9, **NODE_TARGET),
        counter("service_tokens_total", 40.0, **SERVICE_TARGET),
        counter("service_prompt_tokens_total", 400.0, **SERVICE_TARGET),
        counter("service_requests_total", 8.0, **SERVICE_TARGET),
        *(
            counter(name, rate, mode="fast", cache_type="llm", **SERVICE_TARGET)
            for name, rate in CACHE.items()
        ),
        gauge("service_waiting", 0.0, 5.0, **SERVICE_TARGET),
        gauge("service_running", 0.0, 4.0, **SERVICE_TARGET),
        gauge("service_kv_cache", 0.0, 1.0, **SERVICE_TARGET),
        gauge("escalade_gpu_utilization_ratio", 0.0, 1.0, **GPU),
        gauge("escalade_gpu_memory_used_bytes", 1e9, 8e10, **GPU),
        gauge("escalade_gpu_power_watts", 60.0, 700.0, **GPU),
        *(
            counter("escalade_cuda_fragmentation_events_total", 0.5, kind=kind, **PIECES)
            for kind in ("oom", "retry")
        ),
        counter("escalade_cuda_capacity_events_total", 0.2, **PIECES),
        gauge("escalade_cuda_allocator_fragmentation_ratio", 0.0, 0.9, **PIECES),
        scraped("node_rapl_package_joules_total", {"index": "0", **NODE_TARGET}, _joules(rng)),
    ]
    return [row for part in parts for row in part]


def _joules(rng: np.random.Generator) -> dict[float, float]:
    """Count the energy of a package: 10 W in the pauses before and after, 50 W between, more or less."""
    watts = [50.0 if -5 < at <= SECONDS + 30 else 10.0 for at in SCRAPES]
    levels = np.cumsum(rng.uniform(0.8, 1.2, len(SCRAPES)) * watts)
    return dict(zip(SCRAPES, levels.tolist(), strict=True))
