"""Campaigns that are fine but for one thing: a resource that fills, an error, a service that dies."""

from __future__ import annotations

from typing import Any

from unit.analysis.builders import NODE_TARGET
from unit.analysis.campaigns import CAPACITY, OFFERED, Made, fine

KNEE = 5
ALL = [1, 2, 3, 4]
"""Steps below the knee."""


def carried(step: int) -> float:
    return min(OFFERED[step - 1], CAPACITY)


def idle(made: Made) -> Made:
    """Let the service use a twentieth of its CPU."""
    return made.put("service_cpu_cores", lambda step: 0.01 * carried(step), "mean").put(
        "service_cpu_cores", 0.2, "max"
    )


def slots_full(made: Made) -> Made:
    return made.put("requests_running", lambda step: 16 * carried(step) / CAPACITY, "mean")


def swap(made: Made, freed: float) -> Made:
    """Let free swap shrink by `freed` bytes within each window."""
    for step in made.steps:
        for at, gone in ((1.0, 0.0), (590.0, freed)):
            made.samples += [
                (step, "node_memory_SwapTotal_bytes", NODE_TARGET, at, 8e9),
                (step, "node_memory_SwapFree_bytes", NODE_TARGET, at, 8e9 - gone),
            ]
    return made


def remote(made: Made, speed: float) -> Made:
    """Put client and service on nodes of their own, with 12.4 MB for each answer on the link."""
    made.environment["allocation"] |= {
        "launcher": "slurm",
        "client_node": "a",
        "service_nodes": ["b"],
    }
    link = {"device": "eth0", **NODE_TARGET}
    for step in made.steps:
        made.samples.append((step, "node_network_speed_bytes", link, 0.0, speed))
        for at in (0.0, 599.0):
            sent = 12.4e6 * carried(step) * at
            made.samples.append((step, "node_network_transmit_bytes_total", link, at, sent))
    return made


def failing(step: int, error: str, count: float, n: int = 1000) -> Made:
    """Let a class of errors occur at a step."""
    return fine(1).put("failed_requests", count, steps=[step], label=f'{{error="{error}"}}', n=n)


def judged(verdict: str, step: int = 3, **more: Any) -> Made:
    return fine(3, judged=False).judge(verdict, step=step, **more)


def slow_alone(made: Made, first: float) -> Made:
    """Let an answer take 2 s at the median even at the lowest rung, `first` of it to its first token."""
    made.put("latency_seconds", 2.0, "p50").put("latency_seconds", 3.0, "p90")
    return made.put("ttft_seconds", 2.0 * first, "p50")


def growing(low: float, value: float = 1e5) -> Made:
    made = fine(1).put("service_memory_growth_bytes_per_second", value)
    for rows in made.figures.values():
        rows["service_memory_growth_bytes_per_second", "value", ""]["ci_low"] = low
    return made


def cached(ratio: float, **workload: Any) -> Made:
    made = fine(1).put("cached_token_ratio", ratio)
    made.definition = {"workload": {"kind": "openai_chat", **workload}}
    return made


def counted(
    ratio: float, lookups: float = 5000.0, mode: str = "fast", spread: float = 0.05
) -> Made:
    """Let the service count lookups of a cache in one mode."""
    label = f'{{cache_type="llm",mode="{mode}"}}'
    made = fine(1).put("cache_hit_ratio", ratio, label=label, spread=spread)
    return made.put("cache_lookups", lookups, label=label)


def stated(made: Made, mode: str = "fast", **settings: float) -> Made:
    """Let the service tell what a mode's cache is set to."""
    names = {"target": "cache_hit_rate_target", "ttl": "cache_ttl_seconds"}
    for step in made.steps:
        for name, value in settings.items():
            made.samples.append((step, names[name], {"mode": mode}, 1.0, value))
    return made


def in_pieces(oom: float = 0.0, retry: float = 0.0, lacks: float = 0.0) -> Made:
    """Let the service count events of its CUDA memory: none below step 3, these from there on."""
    made = fine(1)
    for label, count in (('{kind="oom"}', oom), ('{kind="retry"}', retry)):
        made.put("cuda_fragmentation_events", lambda s, c=count: c if s > 2 else 0.0, label=label)
    return made.put("cuda_capacity_events", lambda s: lacks if s > 2 else 0.0)


def died(outcome: str) -> Made:
    made = fine(1)
    made.outcomes[1, KNEE] = {"outcome": outcome, "cause": "it was killed by SIGKILL"}
    return made


def died_at_the_objective() -> Made:
    made = judged("FAIL", step=KNEE)
    for run in made.runs:
        made.outcomes[run, KNEE] = {"outcome": "service_failed", "cause": "it was killed"}
    return made


def bounds(ratio: float) -> Made:
    made = fine(1)
    row = {"cell": made.name(1), "deployment": "demo", "step": KNEE, "name": "token_rate"}
    row |= {"kind": "memory bandwidth", "exceeded": ratio > 1}
    made.sections["bounds"] = [
        row
        | {"ratio": ratio, "value": 100.0, "attained": 100 * ratio, "unit": "1/s", "words": "far"}
    ]
    return made


def gpu(made: Made, share: float) -> Made:
    made.environment["gpus"] = [{"index": 0}]
    return made.put(
        "gpu_utilization_ratio",
        lambda s: share * carried(s) / CAPACITY,
        "mean",
        label='{index="0"}',
    )


def threads(count: int) -> Made:
    made = fine(1)
    made.environment["service"]["parameters"]["threads"] = count
    made.environment["allocation"]["service_cpus"] = list(range(8))
    return made


def disk(share: float) -> Made:
    made = idle(fine(1))
    for step in made.steps:
        for at in (0.0, 599.0):
            used = share * carried(step) / CAPACITY * at
            made.samples.append(
                (step, "node_disk_io_time_seconds_total", {"device": "sda"}, at, used)
            )
    return made


def spread(factor: float, width: float = 0.05) -> Made:
    made = fine(3)
    return made.put("latency_seconds", 0.4 * factor, "p50", runs=[2], steps=ALL, spread=width).put(
        "latency_seconds", 0.4, "p50", runs=[1, 3], steps=ALL, spread=width
    )


def collapsing(throughput: float) -> Made:
    made = fine(1, offered=(2.0, 5.0, 8.0, 9.5, 14.0, 20.0))
    return made.put("throughput_qps", throughput, steps=[6], n=int(600 * throughput))


def hidden(flying: float) -> Made:
    return fine(1).put("requests_in_flight", flying, "mean", steps=[KNEE])
