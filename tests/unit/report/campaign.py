"""A made-up campaign for tests of the report: a queue with two slots, simulated from a seed."""

from __future__ import annotations

import copy
import heapq
import json
import math
from dataclasses import asdict, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from escalade.analysis.capacity.pareto import front_rows
from escalade.analysis.compare.over_runs import run_rows
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData, Slo
from escalade.analysis.verdicts.judge import judge
from escalade.analysis.verdicts.what_if import limit_rows
from escalade.report.data import ReportData
from unit.report.papers import environment, provenance

START = 1_790_000_000.0
RATES = (0.5, 1.0, 2.0, 2.5, 4.0)
WARMUP = 5.0
WINDOW = 40.0
SLOTS = 2
SERVICE_SECONDS = 0.69
SLOS = (Slo("answer-in-time", "latency_seconds", "p90", 1.5, at_qps=2.0),)


def report_data(
    deployments: tuple[str, ...] = ("smollm2",),
    repetitions: int = 1,
    rates: tuple[float, ...] = RATES,
) -> ReportData:
    """Give a whole campaign: cells in the plan's order, KPIs, verdicts, provenance.

    It is simulated and analysed once in a process; who asks for it may change what it is given.
    """
    made = _report_data(deployments, repetitions, rates)
    return replace(
        made,
        campaign=copy.deepcopy(made.campaign),
        kpis=made.kpis.copy(),
        verdicts=copy.deepcopy(made.verdicts),
        cells=[_own(cell) for cell in made.cells],
        provenance=copy.deepcopy(made.provenance),
    )


@cache
def _report_data(
    deployments: tuple[str, ...], repetitions: int, rates: tuple[float, ...]
) -> ReportData:
    cells = [
        simulated_cell(deployment, repetition, rates, slots=SLOTS + place)
        for repetition in range(1, repetitions + 1)
        for place, deployment in enumerate(deployments)
    ]
    return analysed(cells, configuration(deployments, repetitions, rates))


def analysed(cells: list[CellData], configuration: dict[str, Any]) -> ReportData:
    """Give report data of cells, with KPIs and verdicts by the analysis."""
    kpis = pd.concat([cell_kpis(cell, SLOS) for cell in cells], ignore_index=True)
    verdicts = judge(kpis, cells, SLOS)
    verdicts["limits"] = limit_rows(kpis, cells, verdicts["gates"], SLOS)
    verdicts["runs"] = run_rows(kpis, cells, verdicts["gates"])
    verdicts["front"] = front_rows(kpis, cells, verdicts["gates"], SLOS)
    return ReportData(
        campaign=configuration,
        kpis=kpis,
        verdicts=verdicts,
        cells=cells,
        provenance=provenance(),
        stale=[],
    )


def simulated_cell(
    deployment: str = "smollm2",
    repetition: int = 1,
    rates: tuple[float, ...] = RATES,
    slots: int = SLOTS,
    away: int = 0,
    *,
    robbed: int = 0,
) -> CellData:
    """Run the ladder against a queue of `slots` servers, once in a process.

    In step `away` some scrapes are missing; in step `robbed` other programs
    use 55 % of the service's core.
    """
    return _own(_simulated(deployment, repetition, rates, slots, (away, robbed)))


def _own(made: CellData) -> CellData:
    """Give a copy that a test may change."""
    return replace(
        made,
        cell=copy.deepcopy(made.cell),
        windows=copy.deepcopy(made.windows),
        requests=made.requests.copy(),
        series=made.series.copy(),
        environment=copy.deepcopy(made.environment),
    )


@cache
def _simulated(
    deployment: str,
    repetition: int,
    rates: tuple[float, ...],
    slots: int,
    peculiar: tuple[int, int],
) -> CellData:
    rng = np.random.default_rng([repetition, slots])
    name = f"{deployment}_rep-{repetition}_{repetition}{slots}c0ffee"
    clock = START + 1000.0 * repetition
    outcomes, requests = [], []
    for step, target in enumerate(rates, start=1):
        frame = _requests(rng, step, target, clock, slots).assign(repetition=repetition)
        drained = max(float(frame["ended_at"].max()), clock + WARMUP + WINDOW) + 0.2
        outcomes.append(_outcome(step, target, clock, drained))
        requests.append(frame)
        clock = drained + 2.0
    return CellData(
        cell={
            "schema": 1,
            "cell": name,
            "deployment": deployment,
            "repetition": repetition,
            "definition_hash": "ab" * 32,
            "outcome": "finished",
            "cause": None,
            "log_tail": [],
            "attempt": 1,
            "node": "laptop",
            "started_at": START + 1000.0 * repetition - 9.0,
            "ended_at": clock + 4.0,
            "stages": [{"name": "allocate", "started_at": START, "ended_at": START + 1}],
        },
        windows={
            "schema": 1,
            "cell": name,
            "scrape_interval_seconds": 1.0,
            "steps": outcomes,
        },
        requests=pd.concat(requests, ignore_index=True),
        series=_series(rng, pd.concat(requests, ignore_index=True), outcomes, slots, peculiar),
        environment=environment(),
    )


def _requests(
    rng: np.random.Generator, step: int, target: float, clock: float, slots: int
) -> pd.DataFrame:
    counts = round(target * WARMUP), round(target * WINDOW)
    planned = np.concatenate(
        [
            np.sort(rng.uniform(clock, clock + WARMUP, counts[0])),
            np.sort(rng.uniform(clock + WARMUP, clock + WARMUP + WINDOW, counts[1])),
        ]
    )
    free = [clock] * slots
    rows = []
    for index, at in enumerate(planned):
        begun = max(float(at), heapq.heappop(free))
        service = SERVICE_SECONDS * float(rng.lognormal(-0.02, 0.2))
        heapq.heappush(free, begun + service)
        first, gap = begun + 0.2 * service, 0.8 * service / 15
        rows.append(
            {
                "step": step,
                "repetition": 1,
                "worker": 0,
                "index": index,
                "phase": "warmup" if index < counts[0] else "window",
                "payload_id": step * 100_000 + index,
                "planned_at": float(at),
                "sent_at": float(at) + float(rng.exponential(2e-4)),
                "first_chunk_at": first,
                "last_chunk_at": begun + service,
                "ended_at": begun + service + 1e-4,
                "chunk_offsets": [gap * k for k in range(16)],
                "status": 200,
                "error": None,
                "input_tokens": 32,
                "output_tokens": 16,
                "cached_tokens": 0,
                "bytes_in": 3200,
            }
        )
    return pd.DataFrame(rows)


def _outcome(step: int, target: float, clock: float, drained: float) -> dict[str, Any]:
    return {
        "schema": 1,
        "step": step,
        "target_qps": target,
        "arrivals": "poisson",
        "outcome": "measured",
        "cause": None,
        "log_tail": [],
        "started_at": clock,
        "window_start": clock + WARMUP,
        "window_end": clock + WARMUP + WINDOW,
        "drained_at": drained,
        "drained": True,
        "planned": {"warmup": round(target * WARMUP), "window": round(target * WINDOW)},
        "client": {
            "cpu_seconds": 1.2,
            "wall_seconds": 45.0,
            "cores": 0.03,
            "event_loop_lag_seconds": {"p50": 1e-4, "p99": 4e-4, "max": 9e-4},
            "steal_ratio": 0.001,
            "users": 12,
            "backlog_max": 0,
            "suspended_seconds": 0.0,
        },
    }


def _series(
    rng: np.random.Generator,
    requests: pd.DataFrame,
    outcomes: list[dict[str, Any]],
    slots: int,
    peculiar: tuple[int, int],
) -> pd.DataFrame:
    """Sample the cell once a second; counters run on between the steps, samples do not."""
    (away, robbed), begun = peculiar, outcomes[0]["started_at"]
    times = np.arange(begun, outcomes[-1]["drained_at"] + 1.0, 1.0)
    step = np.zeros(len(times), dtype=int)
    for outcome in outcomes:
        inside = (times >= outcome["started_at"]) & (times <= outcome["drained_at"] + 1.0)
        step[inside] = outcome["step"]
    hole = outcomes[away - 1]["started_at"] + 15.0 if away else -math.inf
    kept = (step > 0) & ~((times > hole) & (times < hole + 8.0))
    planned, ended = requests["planned_at"].to_numpy(), requests["ended_at"].to_numpy()
    flying = np.array([((planned <= t) & (ended > t)).sum() for t in times], dtype=float)
    busy = np.minimum(flying, slots) / slots * (0.9 + 0.08 * rng.random(len(times)))
    cpu = 3.0 + np.cumsum(busy)
    tokens = np.array([16.0 * (ended <= t).sum() for t in times])
    columns = {
        ("up", '{"instance":"127.0.0.1:9100","job":"node"}'): np.ones(len(times)),
        ("up", '{"instance":"127.0.0.1:9200","job":"process"}'): np.ones(len(times)),
        ("up", '{"instance":"127.0.0.1:8080","job":"service"}'): np.ones(len(times)),
        ("llamacpp:tokens_predicted_total", "{}"): tokens,
        ("escalade_process_cpu_seconds_total", '{"role":"service","step":"service"}'): cpu,
        ("escalade_process_resident_memory_bytes", '{"role":"service","step":"service"}'): (
            2.4e8 + 3e5 * flying + 1e6 * step
        ),
        ("llamacpp:requests_deferred", "{}"): np.maximum(flying - slots, 0),
        ("node_memory_MemTotal_bytes", "{}"): np.full(len(times), 8.0 * 2**30),
        ("node_memory_MemAvailable_bytes", "{}"): 6.1 * 2**30 - 3e5 * flying,
    }
    for core in (0, 1):
        share = np.full(len(times), 0.12)
        if core == 1:  # the service's
            share = np.where((step == robbed) & (step > 0), busy + 0.55, busy).clip(max=1.0)
        label = json.dumps({"cpu": str(core), "mode": "idle"}, separators=(",", ":"))
        columns["node_cpu_seconds_total", label] = 900.0 + np.cumsum(1 - share)
        label = json.dumps({"cpu": str(core), "mode": "user"}, separators=(",", ":"))
        columns["node_cpu_seconds_total", label] = 100.0 + np.cumsum(share)
    return pd.concat(
        [
            pd.DataFrame(
                {"step": step, "metric": m, "labels": labels, "timestamp": times, "value": values}
            )[kept]
            for (m, labels), values in columns.items()
        ],
        ignore_index=True,
    )


def configuration(
    deployments: tuple[str, ...], repetitions: int, rates: tuple[float, ...]
) -> dict[str, Any]:
    """Give the resolved configuration."""
    return {
        "campaign": "demo",
        "description": "A small language model on one core.",
        "seed": 1,
        "deployments": [{"name": name, "recipe": "llama-server"} for name in deployments],
        "repetitions": repetitions,
        "workload": {"kind": "openai_chat", "input_tokens": 32, "output_tokens": 16},
        "load": {
            "arrivals": "poisson",
            "warmup_seconds": WARMUP,
            "ladder": [{"target_qps": rate, "window_seconds": WINDOW} for rate in rates],
        },
        "slos": [asdict(slo) for slo in SLOS],
        "monitoring": {"scrape_interval_seconds": 1.0},
    }


def with_gpus(data: CellData, count: int = 2, nodes: int = 0) -> CellData:
    """Give the cell on a machine with GPUs, and network links where it has `nodes`, sampled once a second."""
    times = np.unique(data.series["timestamp"].to_numpy())
    columns: dict[tuple[str, str], np.ndarray] = {}
    for index in range(count):
        label = json.dumps({"gpu": str(index), "instance": "127.0.0.1:9400"})
        columns["escalade_gpu_utilization_ratio", label] = np.full(len(times), 0.4 + 0.1 * index)
        columns["escalade_gpu_memory_used_bytes", label] = np.full(
            len(times), (8 + index) * 2.0**30
        )
        columns["escalade_gpu_power_watts", label] = 200.0 + 10 * index + 5 * np.sin(times)
    for device, rate in (("eth0", 1e3), ("ib0", 5e6)) if nodes else ():
        label = json.dumps({"device": device, "instance": "127.0.0.1:9100"})
        columns["node_network_receive_bytes_total", label] = rate * (times - times[0])
        columns["node_network_transmit_bytes_total", label] = 3 * rate * (times - times[0])
    more = [
        pd.DataFrame(
            {"step": 1, "metric": m, "labels": labels, "timestamp": times, "value": values}
        )
        for (m, labels), values in columns.items()
    ]
    allocation = {"service_gpus": [str(index) for index in range(count)], "service_cpus": [1]}
    return replace(
        data,
        series=pd.concat([data.series, *more], ignore_index=True),
        environment={
            **data.environment,
            "gpus": [{"name": "Example GPU", "index": index} for index in range(count)],
            "gpu_note": None,
            "allocation": {**allocation, "client_cpus": [0]},
        },
    )


def without_results(data: CellData, cause: str, log_tail: list[str]) -> CellData:
    """Give the cell as it is when its service never became ready."""
    cell = {**data.cell, "outcome": "failed", "cause": cause, "log_tail": log_tail}
    windows = copy.deepcopy(data.windows)
    for step in windows["steps"]:
        step.update(outcome="not_run", started_at=None, window_start=None)
        step.update(window_end=None, drained_at=None, drained=False)
    return CellData(
        cell=cell,
        windows=windows,
        requests=data.requests.iloc[:0],
        series=data.series.iloc[:0],
        environment=data.environment,
    )
