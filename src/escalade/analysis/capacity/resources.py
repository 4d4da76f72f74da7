"""What a service may run out of, and how full each of these was at every step of the ladder.

A *use* is a resource with its level and limit per step, or the reason why one
of them is not known. Nothing is judged here: see `saturation`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.neighbours import of_service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from escalade.analysis.capacity.figures import Figures
    from escalade.analysis.measured.series import Track

CPU, THREAD, GPU, SLOTS, KV_CACHE = "service_cpu", "service_thread", "gpu", "slots", "kv_cache"
MEMORY, NETWORK, DISK, CLIENT_LIMIT = "memory", "network", "disk", "client"
SERIES = "series.parquet"

WORDS = {
    CPU: "the CPUs of the service",
    THREAD: "the threads of the service",
    GPU: "the GPU",
    SLOTS: "the slots of the service",
    KV_CACHE: "the KV cache",
    MEMORY: "the memory of the service's node",
    NETWORK: "the network",
    DISK: "the disk",
    CLIENT_LIMIT: "the load generator",
}

SLOT_PARAMETERS = ("slots", "batch_sequences", "max_num_seqs", "max_concurrency")
"""Parameters of recipes that say how many requests are worked on together."""
THREAD_PARAMETER = "threads"
SWAP_SHARE = 0.01
"""Growth of used swap during a window, as a share of the memory, that counts as swapping."""


@dataclass(frozen=True)
class Use:
    """One resource along the ladder.

    Attributes
    ----------
    resource
        Its name.
    kpi, stat, unit, source
        What the levels are, as in the table of KPIs.
    levels
        Level by step; steps without one are not there.
    limit
        Where the resource is full, in the same unit; NaN when unknown.
    limit_words
        What the limit is.
    unknown
        Why it can't be said how full it was; empty when it can.
    beside
        Not in the way at all, and why: then it is no candidate.
    """

    resource: str
    kpi: str = ""
    stat: str = "mean"
    unit: str = ""
    source: str = SERIES
    levels: Mapping[int, float] = field(default_factory=dict)
    limit: float = math.nan
    limit_words: str = ""
    unknown: str = ""
    beside: str = ""

    def share(self, step: int) -> float:
        """Give level / limit in a step; NaN when one of them is not known."""
        return self.levels.get(step, math.nan) / self.limit if self.limit > 0 else math.nan


def uses(figures: Figures) -> list[Use]:
    """Give all resources but the client, which has gates of its own."""
    return [use(figures) for use in USES]


def _by_step(figures: Figures, value: Callable[[int], float]) -> dict[int, float]:
    found = {rung.step: value(rung.step) for rung in figures.rungs}
    return {step: level for step, level in found.items() if math.isfinite(level)}


def _cpu_levels(figures: Figures) -> dict[int, float]:
    return _by_step(figures, lambda step: figures.value(step, "service_cpu_cores", "mean"))


def _cpu_facts(figures: Figures, levels: Mapping[int, float]) -> tuple[float, str]:
    """Give the cores of the service, or why they are not known."""
    allocation = figures.environment.get("allocation") or {}
    cores = float(len(allocation.get("service_cpus") or ()))
    nodes = allocation.get("service_nodes") or [None]
    if copies := (figures.environment.get("service") or {}).get("replicas"):
        cores = float(len({(each["node"], cpu) for each in copies for cpu in each["cpus"]}))
        nodes = [None]
    if not levels:
        return cores, "the CPU time of the service was not scraped"
    if not cores:
        return math.nan, "the CPUs that the service may use are not known"
    if len(nodes) > 1:
        return math.nan, "the service has several nodes, and CPUs are known of the first one only"
    return cores, ""


def service_cpu(figures: Figures) -> Use:
    """CPU time of the service against the cores of its allocation, not of the node."""
    levels = _cpu_levels(figures)
    cores, unknown = _cpu_facts(figures, levels)
    words = f"{cores:g} core{'s' * (cores != 1)} of the allocation"
    return Use(
        CPU,
        "service_cpu_cores",
        unit="cores",
        levels=levels,
        limit=cores,
        limit_words=words,
        unknown=unknown,
    )


def service_thread(figures: Figures) -> Use:
    """CPU time of the service against the threads that it may compute with: configured, or one."""
    levels = _cpu_levels(figures)
    cores, unknown = _cpu_facts(figures, levels)
    use = Use(THREAD, "service_cpu_cores", unit="cores", levels=levels, unknown=unknown)
    if unknown:
        return use
    configured = positive(figures.parameters.get(THREAD_PARAMETER))
    copies = figures.data.replicas
    threads = copies * (configured if configured > 0 else 1.0)
    if threads >= cores:
        return Use(THREAD, beside=f"it may use as many threads as it has cores ({cores:g})")
    words = (
        f"{threads:g} thread{'s' * (threads != 1)}, as the parameter {THREAD_PARAMETER} says"
        if configured > 0
        else "what one thread can use"
    )
    words += f", of {copies} copies" if copies > 1 else ""
    return Use(
        THREAD, "service_cpu_cores", unit="cores", levels=levels, limit=threads, limit_words=words
    )


def gpu(figures: Figures) -> Use:
    """Share of the time in which a kernel ran, of the GPU that was busiest."""
    if not figures.environment.get("gpus"):
        why = "gpus" in figures.environment
        return Use(GPU, beside="there is no GPU") if why else Use(GPU, unknown="not recorded")
    metric = "gpu_utilization_ratio"

    def busiest(step: int) -> float:
        return max((row.value for row in figures.rows(step, metric, "mean")), default=math.nan)

    levels = _by_step(figures, busiest)
    unknown = "" if levels else "the utilisation of the GPU was not scraped"
    return Use(
        GPU,
        metric,
        unit="ratio",
        levels=levels,
        limit=1.0,
        limit_words="the time",
        unknown=unknown,
    )


def slots(figures: Figures) -> Use:
    """Count the requests that the service works on, against how many it works on together."""
    levels = _by_step(figures, lambda step: figures.value(step, "requests_running", "mean"))
    use = Use(SLOTS, "requests_running", unit="requests", levels=levels)
    if not levels:
        return Use(SLOTS, unknown="the service does not report how many requests it works on")
    copies = figures.data.replicas
    of = f" {copies} copies together" if copies > 1 else ""
    for name in SLOT_PARAMETERS:
        limit = copies * positive(figures.parameters.get(name))
        if limit > 0:
            return _limited(use, limit, f"the {limit:g} that the parameter {name} allows{of}")
    knee = figures.knee
    most = figures.value(knee.step, "requests_running", "max") if knee else math.nan
    waiting = figures.value(knee.step, "queue_length", "mean") if knee else math.nan
    if most > 0 and waiting >= 1:
        words = f"{most:g}, the most that it worked on while others waited"
        return _limited(use, most, words)
    return Use(
        SLOTS,
        "requests_running",
        unit="requests",
        levels=levels,
        unknown="how many requests it can work on together is not known",
    )


def _limited(use: Use, limit: float, words: str) -> Use:
    return Use(
        use.resource,
        use.kpi,
        unit=use.unit,
        levels=use.levels,
        limit=limit,
        limit_words=words,
    )


def kv_cache(figures: Figures) -> Use:
    """Share of the KV cache that is in use, where the recipe maps it."""
    levels = _by_step(figures, lambda step: figures.value(step, "kv_cache_usage_ratio", "max"))
    unknown = "" if levels else "the service does not report it, or the recipe does not map it"
    return Use(
        KV_CACHE,
        "kv_cache_usage_ratio",
        "max",
        "ratio",
        levels=levels,
        limit=1.0,
        limit_words="it",
        unknown=unknown,
    )


def memory(figures: Figures) -> Use:
    """Memory in use against the limit of the service's group of processes, else of its node."""
    node = figures.environment.get("node") or {}
    whole, own = positive(node.get("memory_bytes")), positive(node.get("memory_limit_bytes"))
    if own > 0 and not own >= whole:
        metric, limit, words = "service_memory_bytes", own, "the limit of its allocation"
    else:
        metric, words = "node_memory_used_bytes", "what the node has"
        limit = whole
    levels = _by_step(figures, lambda step: figures.value(step, metric, "max"))
    unknown = "" if levels else f"{metric} was not scraped"
    if levels and math.isnan(limit):
        unknown = "how much memory the node has is not known"
    return Use(
        MEMORY,
        metric,
        "max",
        "bytes",
        levels=levels,
        limit=limit,
        limit_words=words,
        unknown=unknown,
    )


def swapped(figures: Figures, step: int) -> float:
    """Give by how much used swap grew in a window, as a share of the node's memory; NaN when unknown."""
    samples, window = figures.samples(step), figures.window(step)
    names = ("node_memory_SwapTotal_bytes", "node_memory_SwapFree_bytes")
    total, free = (samples.summed(of_service(samples.tracks(name))) for name in names)
    installed = positive((figures.environment.get("node") or {}).get("memory_bytes"))
    if window is None or total is None or free is None or math.isnan(installed):
        return math.nan
    inside = window.holds(free.times)
    if inside.sum() < 2 or len(total.levels) != len(free.levels):
        return math.nan
    used = (total.levels - free.levels)[inside]
    return float(used[-1] - used[0]) / installed


def network(figures: Figures) -> Use:
    """Bytes on the busiest link of the service's node against the link's speed."""
    allocation = figures.environment.get("allocation") or {}
    here = allocation.get("launcher") == "local"
    client, nodes = allocation.get("client_node"), allocation.get("service_nodes") or []
    if here or (client is not None and list(nodes) == [client]):
        return Use(NETWORK, beside="client and service are on one node: no link is between them")
    levels = _by_step(figures, lambda step: _busiest_link(figures, step))
    unknown = "" if levels else "no link of the service's node tells its speed"
    return Use(
        NETWORK,
        "node_network_bytes_total / node_network_speed_bytes",
        unit="ratio",
        levels=levels,
        limit=1.0,
        limit_words="the speed of the busiest link",
        unknown=unknown,
    )


def _busiest_link(figures: Figures, step: int) -> float:
    samples, window = figures.samples(step), figures.window(step)
    if window is None:
        return math.nan
    shares = []
    for link in of_service(samples.tracks("node_network_speed_bytes")):
        speed = float(link.levels[-1]) if len(link.levels) else math.nan
        if not speed > 0:  # links that are down, or virtual, tell −1 or nothing
            continue
        for way in ("receive", "transmit"):
            tracks = _of_device(samples.tracks(f"node_network_{way}_bytes_total"), link)
            growth = samples.growth(tracks, window)
            if growth is not None:
                shares.append(growth.rate / speed)
    return max(shares, default=math.nan)


def _of_device(tracks: Sequence[Track], link: Track) -> list[Track]:
    keys = ("device", "instance")
    return [
        track
        for track in of_service(tracks)
        if all(track.labels.get(key) == link.labels.get(key) for key in keys)
    ]


def disk(figures: Figures) -> Use:
    """Share of the time in which the busiest disk of the service's node worked."""
    levels = _by_step(figures, lambda step: _busiest_disk(figures, step))
    unknown = "" if levels else "no disk was scraped"
    return Use(
        DISK,
        "node_disk_io_time_seconds_total",
        unit="ratio",
        levels=levels,
        limit=1.0,
        limit_words="the time",
        unknown=unknown,
    )


def _busiest_disk(figures: Figures, step: int) -> float:
    samples, window = figures.samples(step), figures.window(step)
    if window is None:
        return math.nan
    tracks = of_service(samples.tracks("node_disk_io_time_seconds_total"))
    growths = [samples.growth([track], window) for track in tracks]
    return max((growth.rate for growth in growths if growth is not None), default=math.nan)


def positive(value: Any) -> float:
    """Give a positive number of a stored file; NaN for anything else."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number and math.isfinite(value) and value > 0 else math.nan


USES: tuple[Callable[[Figures], Use], ...] = (
    service_cpu,
    service_thread,
    gpu,
    kv_cache,
    memory,
    disk,
    network,
    slots,
)
"""All resources but the client; in this order where two are as full as each other."""
