"""Made-up cells with known truth: hand-written logs, and queues with one server (M/D/1)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from escalade.analysis.measured.cell import CellData

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Sample = tuple[str, Mapping[str, str], float, float]
    """Metric, labels, seconds after the window's start, value."""

EPOCH = 1_000_000.0
APART = {"client_cpus": [1], "service_cpus": [0]}
AGREEMENT = {"quantity": "output_tokens", "metric": "service_tokens_total"}
METRIC_NAMES = {
    "queue_length": "service_waiting",
    "requests_running": "service_running",
    "output_tokens_total": "service_tokens_total",
}
SERVICE_TARGET = {"instance": "127.0.0.1:8000", "job": "service"}
NODE_TARGET = {"instance": "127.0.0.1:9100", "job": "node"}
REQUEST_COLUMNS = {
    "step": "int16",
    "repetition": "int16",
    "worker": "int16",
    "index": "int32",
    "phase": "str",
    "payload_id": "int64",
    "planned_at": "float64",
    "sent_at": "float64",
    "first_chunk_at": "float64",
    "last_chunk_at": "float64",
    "ended_at": "float64",
    "chunk_offsets": "object",
    "status": "int16",
    "error": "object",
    "input_tokens": "Int32",
    "output_tokens": "Int32",
    "cached_tokens": "Int32",
    "bytes_in": "int64",
}


@dataclass(frozen=True)
class Request:
    """One request by hand: times in seconds after the window's start; None never happened."""

    planned: float
    latency: float | None = 1.0
    sent: float | None = None
    chunks: Sequence[float] = ()
    error: str | None = None
    output_tokens: int | None = None
    input_tokens: int | None = 10
    cached_tokens: int | None = 0

    def row(self, step: int, index: int, start: float) -> dict[str, Any]:
        """Make a row of requests.parquet; the first chunk of `chunks` is seconds after the plan."""
        planned = start + self.planned
        never_sent = self.error == "not_sent"
        first = planned + self.chunks[0] if self.chunks else np.nan
        return {
            "step": step,
            "repetition": 1,
            "worker": 0,
            "index": index,
            "phase": "window" if self.planned >= 0 else "warmup",
            "payload_id": index,
            "planned_at": planned,
            "sent_at": np.nan
            if never_sent
            else start + (self.sent if self.sent is not None else self.planned),
            "first_chunk_at": first,
            "last_chunk_at": planned + self.chunks[-1] if self.chunks else np.nan,
            "ended_at": np.nan if self.latency is None else planned + self.latency,
            "chunk_offsets": [planned + chunk - first for chunk in self.chunks],
            "status": 200 if self.error is None else 0,
            "error": self.error,
            "input_tokens": self.input_tokens if self.error is None else None,
            "output_tokens": (
                self.output_tokens if self.output_tokens is not None else len(self.chunks) or None
            )
            if self.error is None
            else None,
            "cached_tokens": self.cached_tokens if self.error is None else None,
            "bytes_in": 100,
        }


@dataclass(frozen=True)
class Step:
    """One step by hand; `samples` are (metric, labels, time after the window's start, value)."""

    requests: Sequence[Request] = ()
    seconds: float = 10.0
    target_qps: float = 1.0
    outcome: str = "measured"
    cause: str | None = None
    drained: bool = True
    client: Mapping[str, Any] | None = None
    samples: Sequence[Sample] = ()
    warmup: float = 5.0
    drain: float = 30.0
    load: Mapping[str, Any] = field(default_factory=dict)
    """What the outcome says of a load without a rate."""


GOOD_CLIENT = {
    "cpu_seconds": 2.0,
    "wall_seconds": 20.0,
    "cores": 1,
    "event_loop_lag_seconds": {"p50": 0.0001, "p99": 0.001, "max": 0.002},
    "steal_ratio": 0.01,
    "users": 10,
    "backlog_max": 0,
    "suspended_seconds": 0.0,
}


def cell(
    *steps: Step, deployment: str = "demo", repetition: int = 1, **environment: Any
) -> CellData:
    """Put hand-written steps into a cell, one after the other."""
    outcomes, rows, samples = [], [], []
    clock = EPOCH
    for number, step in enumerate(steps, start=1):
        start = clock + step.warmup
        outcomes.append(_outcome(step, number, clock))
        ran = step.outcome == "measured"
        rows += [
            request.row(number, index, start) for index, request in enumerate(step.requests) if ran
        ]
        samples += [_sample(number, start, sample) for sample in step.samples if ran]
        clock = start + step.seconds + step.drain + 10.0
    return CellData(
        cell={
            "schema": 1,
            "cell": f"{deployment}_rep-{repetition}_0badcafe",
            "deployment": deployment,
            "repetition": repetition,
        },
        windows={"schema": 1, "scrape_interval_seconds": 1.0, "steps": outcomes},
        requests=requests_frame(rows),
        series=series_frame(samples),
        environment={
            "metric_names": METRIC_NAMES,
            "agreement": None,
            "gpus": [],
            "gpu_note": None,
            **environment,
        },
    )


def requests_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Make a request log with the types that it is stored with."""
    return pd.DataFrame(list(rows), columns=list(REQUEST_COLUMNS)).astype(REQUEST_COLUMNS)


def series_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Make a sample table with the types that it is stored with."""
    types = {
        "step": "int16",
        "metric": "str",
        "labels": "str",
        "timestamp": "float64",
        "value": "float64",
    }
    return pd.DataFrame(list(rows), columns=list(types)).astype(types)


def _outcome(step: Step, number: int, clock: float) -> dict[str, Any]:
    ran = step.outcome != "not_run"
    start = clock + step.warmup
    return {
        "schema": 1,
        "step": number,
        "target_qps": step.target_qps,
        "arrivals": "poisson",
        "outcome": step.outcome,
        "cause": step.cause,
        "log_tail": [],
        "started_at": clock if ran else None,
        "window_start": start if step.outcome == "measured" else None,
        "window_end": start + step.seconds if step.outcome == "measured" else None,
        "drained_at": start + step.seconds + step.drain if ran else None,
        "drained": step.drained,
        "planned": {"warmup": 0, "window": len(step.requests)},
        "client": step.client,
        **step.load,
    }


def _sample(step: int, start: float, sample: Sample) -> dict[str, Any]:
    metric, labels, at, value = sample
    text = json.dumps(dict(labels), sort_keys=True, separators=(",", ":"))
    return {"step": step, "metric": metric, "labels": text, "timestamp": start + at, "value": value}


def scraped(metric: str, labels: Mapping[str, str], values: Mapping[float, float]) -> list[Sample]:
    """Give samples of one series: {seconds after the window's start: value}."""
    return [(metric, labels, at, value) for at, value in values.items()]


def up(target: Mapping[str, str], times: Sequence[float], value: float = 1.0) -> list[Sample]:
    """Give the scrapes of a target."""
    return scraped("up", target, dict.fromkeys(times, value))


@dataclass(frozen=True)
class Queue:
    """A service with one server: what it is offered and what it can do.

    Attributes
    ----------
    capacity
        Requests per second; each takes exactly 1 / capacity (M/D/1).
    tokens
        Chunks of an answer; the first after a fifth of the service time.
    error_share
        Share of requests that fail after their service.
    """

    capacity: float = 10.0
    tokens: int = 8
    error_share: float = 0.0
    dispatch_lag: float = 0.0002
    scrapes: bool = True


def queue_step(
    rate: float, seconds: float, seed: int, queue: Queue | None = None, warmup: float = 5.0
) -> Step:
    """Run one step against the queue: conditioned Poisson arrivals, first come, first served."""
    queue = queue or Queue()
    rng = np.random.default_rng(seed)
    before = np.sort(rng.uniform(-warmup, 0, round(rate * warmup)))
    inside = np.sort(rng.uniform(0, seconds, round(rate * seconds)))
    planned = np.concatenate([before, inside])
    service, free, requests = 1 / queue.capacity, -np.inf, []
    failing = rng.random(len(planned)) < queue.error_share
    for at, fails in zip(planned, failing, strict=True):
        begun = max(float(at), free)
        free = begun + service
        chunks = begun - at + service * np.linspace(0.2, 1.0, queue.tokens)
        requests.append(
            Request(
                float(at),
                free - float(at),
                float(at) + queue.dispatch_lag,
                chunks=chunks.tolist(),
                error="http_5xx" if fails else None,
            )
        )
    drain = max(0.0, free - seconds) + 0.5
    samples = queue_samples(requests, queue, warmup, seconds + drain) if queue.scrapes else []
    return Step(
        requests, seconds, rate, client=GOOD_CLIENT, samples=samples, warmup=warmup, drain=drain
    )


def queue_samples(
    requests: Sequence[Request], queue: Queue, warmup: float, end: float
) -> list[Sample]:
    """Scrape queue and node once a second, from two seconds before the step to two after it."""
    times = np.arange(-warmup - 2, end + 2.5)
    planned = np.array([request.planned for request in requests])
    ended = planned + np.array([request.latency for request in requests], dtype=np.float64)
    counts = np.array([len(request.chunks) if request.error is None else 0 for request in requests])
    found = [*up(SERVICE_TARGET, times.tolist()), *up(NODE_TARGET, times.tolist())]
    for at in times:
        flying = float(((planned <= at) & (ended > at)).sum())
        busy = float(np.minimum(ended, at).clip(min=-warmup - 2).max(initial=-warmup - 2))
        done = float(counts[ended <= at].sum())
        load = (at + warmup + 2) * min(1.0, len(requests) / (end + warmup) / queue.capacity)
        found += [
            ("service_tokens_total", SERVICE_TARGET, at, done),
            ("service_waiting", SERVICE_TARGET, at, max(0.0, flying - 1)),
            ("service_running", SERVICE_TARGET, at, min(1.0, flying)),
            ("escalade_process_cpu_seconds_total", {"role": "service", **NODE_TARGET}, at, load),
            (
                "escalade_process_resident_memory_bytes",
                {"role": "service", **NODE_TARGET},
                at,
                1e8 + busy,
            ),
            ("node_cpu_seconds_total", {"cpu": "0", "mode": "user", **NODE_TARGET}, at, load),
            (
                "node_cpu_seconds_total",
                {"cpu": "0", "mode": "idle", **NODE_TARGET},
                at,
                (at + warmup + 2) - load,
            ),
            ("node_cpu_seconds_total", {"cpu": "0", "mode": "steal", **NODE_TARGET}, at, 0.0),
            ("node_memory_MemTotal_bytes", NODE_TARGET, at, 8e9),
            ("node_memory_MemAvailable_bytes", NODE_TARGET, at, 6e9),
        ]
    return found


def ladder(
    rates: Sequence[float],
    seconds: float = 40.0,
    queue: Queue | None = None,
    *,
    seed: int = 1,
    repetition: int = 1,
) -> CellData:
    """Run a ladder against an M/D/1 queue; `seed` and `repetition` decide the arrivals."""
    steps = [
        queue_step(rate, seconds, seed=1000 * seed + 100 * repetition + place, queue=queue)
        for place, rate in enumerate(rates)
    ]
    return cell(*steps, repetition=repetition, agreement=AGREEMENT, allocation=APART)


def value_of(kpis: pd.DataFrame, metric: str, stat: str = "value", step: int = 1) -> Any:
    """Give one row of the KPI table as a Series."""
    rows = kpis[(kpis["metric"] == metric) & (kpis["stat"] == stat) & (kpis["step"] == step)]
    assert len(rows) == 1, f"{len(rows)} rows of {metric} {stat} at step {step}"
    return rows.iloc[0]


def closed_step(
    concurrency: int,
    times: Sequence[tuple[float, float]],
    *,
    together: int = 1,
    turnaround: float = 0.0,
    used_up: float | None = None,
    **changes: Any,
) -> Step:
    """Give a step of a closed loop: (sent, latency) of each request, in seconds after its start.

    Each became due `turnaround` seconds before it was sent; `used_up` says that there was
    nothing more to send from that Unix time on.
    """
    requests = [Request(at - turnaround, latency + turnaround, at) for at, latency in times]
    counts = {"concurrency": concurrency, "samples_per_query": together}
    load = {"target_qps": None, "arrivals": "closed", **counts}
    load |= {} if used_up is None else {"used_up_at": used_up}
    return Step(requests, client=GOOD_CLIENT, load=load, **changes)


def at_once_step(latencies: Sequence[float], **changes: Any) -> Step:
    """Give a step whose samples were all due and sent at its start."""
    requests = [Request(0.0, latency) for latency in latencies]
    load = {"target_qps": None, "arrivals": "at_once", "samples": len(latencies)}
    seconds = max(latencies) + 0.001
    return Step(requests, seconds, client=GOOD_CLIENT, load=load, warmup=0.0, **changes)
