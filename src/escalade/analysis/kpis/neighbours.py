"""How much of the service's CPUs other programs used: a robbed service is not a slow one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.analysis.stats.intervals import Estimate
from escalade.analysis.stats.sampled import over_samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.series import Track

CPU_SECONDS = "escalade_process_cpu_seconds_total"
NODE_CPU_SECONDS = "node_cpu_seconds_total"
IDLE_MODES = ("idle", "iowait", "steal")


def neighbour_share(step: MeasuredStep) -> Estimate:
    """Give the share of the service's CPUs that programs other than the service used.

    Every counter is divided by the time between its own samples, since node
    and service are not scraped at the same instant. What that leaves uncertain,
    and service processes that a neighbour can't be told from, never makes the
    share negative: it is at least 0. A stressor that the campaign asks for is no neighbour.
    """
    allocation = step.data.environment.get("allocation") or {}
    service, client = (set(allocation.get(key) or ()) for key in ("service_cpus", "client_cpus"))
    if not service or not client:
        return Estimate.missing("the CPUs of service and client are not known")
    if service & client and not _apart(allocation):
        return Estimate.missing("client and service share CPUs: neighbours can't be told apart")
    used = _rate(step, step.samples.tracks(CPU_SECONDS, role="service"))
    if used is None:
        return _unsampled(f'{CPU_SECONDS}{{role="service"}}')
    if asked := step.samples.tracks(CPU_SECONDS, role="stressor"):
        beside = _rate(step, asked)
        if beside is None:
            return _unsampled(f'{CPU_SECONDS}{{role="stressor"}}')
        used += beside
    busy, working = 0.0, []
    for cpu in sorted(service):
        tracks = of_service(step.samples.tracks(NODE_CPU_SECONDS, cpu=str(cpu)))
        tracks = [track for track in tracks if track.labels["mode"] not in IDLE_MODES]
        rate = _rate(step, tracks)
        if rate is None:
            return _unsampled(f'{NODE_CPU_SECONDS}{{cpu="{cpu}"}}')
        busy += rate
        working += tracks
    own = [*step.samples.tracks(CPU_SECONDS, role="service"), *asked]
    of_all, of_own = step.samples.paces([working, own], step.window)
    shares = (of_all - of_own) / len(service)
    return over_samples(max(0.0, busy - used) / len(service), shares, step.samples.interval, 1.0)


def of_service(tracks: Sequence[Track]) -> list[Track]:
    """Give the series of the service's nodes, where client and service have nodes of their own."""
    return [track for track in tracks if track.labels.get("place", "service") == "service"]


def _apart(allocation: Mapping[str, Any]) -> bool:
    """Tell whether the client has a node that the service is not on."""
    client = allocation.get("client_node")
    return client is not None and client not in (allocation.get("service_nodes") or [client])


def _rate(step: MeasuredStep, tracks: Sequence[Track]) -> float | None:
    """Give the growth per second of counters that were sampled over the whole window."""
    growth = step.samples.growth(tracks, step.window)
    if growth is None or growth.seconds < step.window.seconds - step.samples.max_gap:
        return None
    return growth.rate


def _unsampled(what: str) -> Estimate:
    return Estimate.missing(f"the samples of {what} do not span the window")
