"""The dashboard of services under test, by what they count themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.models import dashboard as models

from escalade.monitoring.dashboards.board import Board
from escalade.monitoring.dashboards.panels import (
    WINDOW,
    Panel,
    Query,
    letter,
    lines,
    rows,
    two_axes,
)
from escalade.monitoring.promql import SENT, quantile, rate, selector, total
from escalade.monitoring.service_names import LATENCY_HISTOGRAMS

if TYPE_CHECKING:
    from escalade.monitoring.limits import Limits
    from escalade.monitoring.service_names import ServiceNames

MODES = {"fast": "Fast", "balanced": "Balanced", "creative": "Creative (no target)"}
_AIMED = 2
"""How many of the modes, from the first on, have a target."""
_CLIENT = "escalade_load_request_latency_seconds"


def service_board(limits: Limits, names: ServiceNames) -> Board:
    """Lay the dashboard out.

    Parameters
    ----------
    limits
        Of rate, queue and cache hit rate.
    names
        What the services call their metrics; what none of them has gets no panel.
    """
    board = Board(
        "escalade-service",
        "Escalade: services",
        "Requests, latency, queues, tokens, caches and models of the services, by their own "
        "counters.",
    )
    board.row("Requests")
    board.add(_latency(), 12)
    board.add(_rate(limits, names), 12)
    board.add(_rate_and_latency(limits, names), 24, height=9)
    board.row("Inside")
    _add_all(board, [_queue(limits, names), *_tokens(names), *_kv_cache(names)])
    board.row("Processes")
    board.add(_cpu(), 12)
    board.add(_memory(), 12)
    board.row("Caches")
    for panel in (_hit_rate(limits), _lookups(), _expired()):
        board.add(panel, 8)
    board.row("Models")
    board.add(_models(), 24)
    return board


def _add_all(board: Board, panels: list[Panel]) -> None:
    """Share the width of the grid among panels."""
    for panel in panels:
        board.add(panel, 24 // len(panels))


def _latency() -> Panel:
    def asked(histogram: str, who: str) -> Query:
        return Query(quantile(0.95, f"{histogram}_bucket", WINDOW), f"p95 {who}")

    return lines(
        "p95 latency",
        "Of the requests in the last scrapes. Interpolated in a histogram's bucket, so it is as "
        "exact as the buckets are narrow; the report has exact figures with intervals.",
        "s",
        *(asked(name, name) for name in LATENCY_HISTOGRAMS),
        asked(_CLIENT, "at the load generator, from the planned send"),
    )


def _rate(limits: Limits, names: ServiceNames) -> Panel:
    counted = rate(selector(names["requests_total"]), WINDOW)
    return lines(
        "Requests per second",
        f"The dashed line is the threshold, {limits.rate_qps:g} requests/s.",
        "reqps",
        Query(total(counted, "job", "instance"), "answered by {{instance}}"),
        Query(total(rate(SENT, WINDOW)), "sent by the load generator"),
        limit=limits.rate_qps,
    )


def _rate_and_latency(limits: Limits, names: ServiceNames) -> Panel:
    sent = total(rate(SENT, WINDOW))
    counted = total(rate(selector(names["requests_total"]), WINDOW))
    seen = quantile(0.95, f"{_CLIENT}_bucket", WINDOW)
    own = quantile(0.95, "swarm_router_request_latency_bucket", WINDOW)
    return two_axes(
        "Rate against latency",
        "Requests per second at the left axis, p95 latency at the right one: where the second "
        f"leaves the first, the service gives way. Dashed: {limits.rate_qps:g} requests/s.",
        ("reqps", Query(f"{sent} or {counted}", "requests/s")),
        ("s", Query(f"{seen} or {own}", "p95 latency")),
        limits.rate_qps,
    )


def _queue(limits: Limits, names: ServiceNames) -> Panel:
    running = selector(names["requests_running"] or ("escalade_load_in_flight",))
    return lines(
        "Queue",
        f"Requests that wait, and those that are worked on. More than {limits.queue_length:g} "
        "waiting ones mean that more come than are answered.",
        "short",
        Query(total(selector(names["queue_length"]), "instance"), "waiting at {{instance}}"),
        Query(total(running, "instance"), "running at {{instance}}"),
        limit=limits.queue_length,
    )


def _tokens(names: ServiceNames) -> list[Panel]:
    kinds = {
        "input_tokens_total": "read",
        "cached_tokens_total": "from the prefix cache",
        "output_tokens_total": "written",
    }
    asked = [
        Query(total(rate(selector(names[metric]), WINDOW), "instance"), f"{{{{instance}}}} {word}")
        for metric, word in kinds.items()
        if names[metric]
    ]
    text = "Tokens per second. Whether tokens from the cache count as read differs by engine."
    return [lines("Tokens", text, "suffix: tokens/s", *asked)] if asked else []


def _kv_cache(names: ServiceNames) -> list[Panel]:
    metric = names["kv_cache_usage_ratio"]
    if not metric:
        return []
    asked = Query(selector(metric), "{{instance}}")
    text = "Share of the engine's KV cache in use: full, it puts requests off or drops them."
    return [lines("KV cache", text, "percentunit", asked, most=1.0)]


def _cpu() -> Panel:
    spent = rate(selector("escalade_process_cpu_seconds_total", 'role="service"'), WINDOW)
    return lines(
        "CPU of the service",
        "Cores that the service's own processes use, without the load generator's.",
        "suffix: cores",
        Query(total(spent, "step", "instance"), "{{step}} {{instance}}"),
    )


def _memory() -> Panel:
    held = selector("escalade_process_resident_memory_bytes", 'role="service"')
    return lines(
        "Memory of the service",
        "Of the service's own processes; what several of them share counts once.",
        "decbytes",
        Query(total(held, "step", "instance"), "{{step}} {{instance}}"),
    )


def _hit_rate(limits: Limits) -> Panel:
    asked = [
        Query(f'cache_hit_rate{{mode="{mode}"}}', f"{name} {{{{cache_type}}}}")
        for mode, name in MODES.items()
    ]
    others = selector("cache_hit_rate", f'mode!~"{"|".join(MODES)}"')
    asked.append(Query(others, "{{mode}} {{cache_type}}"))
    panel = lines(
        f"Cache hit rate by mode (target: ≥ {limits.cache_hit_ratio:.0%})",
        "Share of the requests that a cache answered, since the service began. Under the target, "
        "double the TTL of that mode.",
        "percentunit",
        *asked,
        most=1.0,
    )
    target = {
        "mode": "absolute",
        "steps": [
            {"value": None, "color": "red"},
            {"value": limits.cache_hit_ratio, "color": "green"},
        ],
    }
    for place in range(_AIMED):
        panel.override_by_query(
            letter(place),
            [
                models.DynamicConfigValue("thresholds", target),
                models.DynamicConfigValue("custom.thresholdsStyle", {"mode": "dashed"}),
            ],
        )
    return panel


def _lookups() -> Panel:
    labels = ("mode", "cache_type")
    return lines(
        "Cache lookups",
        "Requests per second to the caches, by what became of them. The hit rate of a cache with "
        "few lookups says little.",
        "reqps",
        Query(total(rate("cache_hits_total", WINDOW), *labels), "hit {{mode}} {{cache_type}}"),
        Query(total(rate("cache_misses_total", WINDOW), *labels), "miss {{mode}} {{cache_type}}"),
    )


def _expired() -> Panel:
    expired = total(rate("cache_ttl_expired_total", WINDOW), "mode", "cache_type")
    return lines(
        "Cache entries that expired",
        "Entries per second whose time was up: many of them, with a low hit rate, mean that the "
        "TTL is too short.",
        "cps",
        Query(expired, "{{mode}} {{cache_type}}"),
    )


def _models() -> Panel:
    return rows(
        "Loaded models",
        "Models that a loader says are loaded, with the profile that chose them.",
        "escalade_model_loaded == 1 or swarm_model_loaded == 1",
        {"model": "Model", "profile": "Profile", "instance": "Where"},
        "Loaded",
    )
