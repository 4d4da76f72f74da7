"""The alerts: what is asked, for how long it has to hold, and what to do then.

A comparison with a series that is not there has no result, so what is not measured does not
alert; only a target that can't be scraped does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from escalade.monitoring.promql import above_rate, selector, total

if TYPE_CHECKING:
    from escalade.monitoring.limits import Limits
    from escalade.monitoring.service_names import ServiceNames

CACHE_MODES = ("fast", "balanced")
"""Modes of a cache that have a target; answers of others are to differ each time."""
_EVENT_WINDOW = "5m"
_CACHE_WINDOW = "10m"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alerting rule.

    Parameters
    ----------
    name
        In CamelCase, as Prometheus' own examples have it.
    expression
        PromQL; each series of its result is an alert.
    hold
        How long a series has to be there before the alert fires, as in "2m"; "0s" for at once.
    severity
        `critical` asks for somebody now.
    summary
        One line, with Prometheus' templates for the figures.
    action
        What to do.
    """

    name: str
    expression: str
    hold: str
    severity: Literal["critical", "warning"]
    summary: str
    action: str


def alerts(limits: Limits, names: ServiceNames) -> tuple[Alert, ...]:
    """Give all alerts.

    Parameters
    ----------
    limits
        Where they fire.
    names
        What the services call their metrics.
    """
    return (
        _target_down(),
        _vram_headroom(limits),
        _queue(limits, names),
        _rate(limits, names),
        _fragmentation(),
        _cache(limits),
    )


def _target_down() -> Alert:
    return Alert(
        name="TargetDown",
        expression="up == 0",
        hold="1m",
        severity="critical",
        summary="{{ $labels.job }} at {{ $labels.instance }} can't be scraped",
        action="Look at its log: it ended, or it answers later than the scrape's timeout.",
    )


def _vram_headroom(limits: Limits) -> Alert:
    """Of our own exporter, and of DCGM's for the GPUs that ours does not show."""
    own = "escalade_gpu_memory_free_bytes / escalade_gpu_memory_total_bytes"
    dcgm = "DCGM_FI_DEV_FB_FREE / (DCGM_FI_DEV_FB_FREE + DCGM_FI_DEV_FB_USED)"
    below = f"< {limits.vram_free_ratio:g}"
    return Alert(
        name="VRAMHeadroomLow",
        expression=f"{own} {below}\nor (\n"
        f'  label_replace({dcgm} {below}, "uuid", "$1", "UUID", "(.+)")\n'
        "  unless on (uuid) escalade_gpu_memory_total_bytes\n)",
        hold="5m",
        severity="critical",
        summary="{{ $value | humanizePercentage }} of the memory of GPU "
        "{{ $labels.gpu }} at {{ $labels.instance }} is free, "
        f"less than {limits.vram_free_ratio:.0%}",
        action="Do not add replicas there; unload the model that is used least.",
    )


def _queue(limits: Limits, names: ServiceNames) -> Alert:
    waiting = total(selector(names["queue_length"]), "job", "instance")
    return Alert(
        name="LLMQueueBuildup",
        expression=f"{waiting} > {limits.queue_length:g}",
        hold="2m",
        severity="warning",
        summary="{{ $value }} requests wait at {{ $labels.instance }}, "
        f"more than {limits.queue_length:g}",
        action="Add replicas, or send less: it is beyond what it carries.",
    )


def _rate(limits: Limits, names: ServiceNames) -> Alert:
    return Alert(
        name="RequestRateAboveThreshold",
        expression=above_rate(limits, names),
        hold="30s",
        severity="warning",
        summary="{{ $value | humanize }} requests/s"
        "{{ with $labels.instance }} at {{ . }}{{ end }}, "
        f"more than {limits.rate_qps:g}",
        action="Watch p95 and fragmentation: from this rate on, latency was seen to jump.",
    )


def _fragmentation() -> Alert:
    own = "escalade_cuda_fragmentation_events_total"
    of_failed = selector(own, 'kind="oom"'), selector("swarm_cuda_fragmentation_events_total")
    grown, theirs = (
        total(f"increase({selected}[{_EVENT_WINDOW}])", "job", "instance") for selected in of_failed
    )
    return Alert(
        name="CudaFragmentation",
        expression=f"{grown} > 0\nor (\n  {theirs} > 0\n  unless on (instance) {own}\n)",
        hold="0s",
        severity="warning",
        summary="CUDA memory at {{ $labels.instance }} is in pieces: an allocation failed within "
        "five minutes although enough was free",
        action="Try PYTORCH_CUDA_ALLOC_CONF=max_split_size_mb:128, and compare the two.",
    )


def _cache(limits: Limits) -> Alert:
    """By what was counted in the window: a rate since the start would never recover.

    A mode's own target counts where its service states one.
    """
    stated, usual = "on (instance, mode)", f'mode=~"{"|".join(CACHE_MODES)}"'
    hits, misses = _counted("cache_hits_total"), _counted("cache_misses_total")
    usual_hits = _counted("cache_hits_total", usual)
    usual_misses = _counted("cache_misses_total", usual)
    return Alert(
        name="CacheHitRateLow",
        expression=f"(\n  {hits}\n  / ({hits}\n    + {misses})\n"
        f"  < {stated} group_left () cache_hit_rate_target\n"
        f"  or {usual_hits}\n  / ({usual_hits}\n    + {usual_misses})\n"
        f"  < {limits.cache_hit_ratio:g} unless {stated} cache_hit_rate_target\n)\n"
        f"and ({hits}\n  + {misses}) >= {limits.cache_lookups:d}",
        hold="5m",
        severity="warning",
        summary="{{ $value | humanizePercentage }} of the requests in mode {{ $labels.mode }} are "
        "answered by the {{ $labels.cache_type }} cache at {{ $labels.instance }}, "
        "less than its target",
        action="Double the TTL of this mode, and look again.",
    )


def _counted(counter: str, *matchers: str) -> str:
    grown = f"increase({selector(counter, *matchers)}[{_CACHE_WINDOW}])"
    return total(grown, "instance", "mode", "cache_type")
