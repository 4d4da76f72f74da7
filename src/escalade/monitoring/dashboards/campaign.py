"""The dashboard of a campaign under way: what the load generator sends, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.monitoring.dashboards.board import Board
from escalade.monitoring.dashboards.panels import (
    WINDOW,
    Panel,
    Query,
    figure,
    lines,
    states,
    two_axes,
)
from escalade.monitoring.promql import SENT, quantile, rate, selector, total

if TYPE_CHECKING:
    from escalade.monitoring.limits import Limits
    from escalade.monitoring.service_names import ServiceNames

LATENCY = "escalade_load_request_latency_seconds_bucket"
FIRST_CHUNK = "escalade_load_time_to_first_chunk_seconds_bucket"
LAG = "escalade_load_dispatch_lag_seconds_bucket"
ENDED = "escalade_load_requests_total"
GOOD = 'outcome=~"ok|2xx|3xx"'
_MODEST_LAG_SECONDS = 0.005


def campaign_board(limits: Limits, names: ServiceNames) -> Board:
    """Lay the dashboard out.

    Parameters
    ----------
    limits
        Of rate and queue.
    names
        What the services call their metrics.
    """
    board = Board(
        "escalade-campaign",
        "Escalade: campaign",
        "A cell while it is measured, or an archived one that is served again. Nothing here is a "
        "result: what counts has intervals and is in the report.",
    )
    board.row("Now")
    for panel in (_rate_now(limits), _p95_now(), _in_flight_now(), _down()):
        board.add(panel, 6, height=5)
    board.row("Load")
    board.add(_rate_and_latency(limits), 24, height=10)
    board.add(_rates(limits), 12)
    board.add(_latency(), 12)
    board.add(_outcomes(), 12)
    board.add(_first_chunk(), 12)
    board.add(_steps(), 24, height=6)
    board.row("Where requests wait")
    board.add(_waiting(limits, names), 12)
    board.add(_cpu(), 12)
    board.row("Can this be trusted?")
    board.add(_lag(), 12)
    board.add(_scraped(), 12)
    return board


def _rate_now(limits: Limits) -> Panel:
    return figure(
        "Requests per second",
        f"That the load generator sends. Red from {limits.rate_qps:g} on.",
        "reqps",
        Query(total(rate(SENT, WINDOW)), "sent"),
        red_from=limits.rate_qps,
    )


def _p95_now() -> Panel:
    return figure(
        "p95 latency",
        "From the planned send to the last byte, of good answers; interpolated in a bucket.",
        "s",
        Query(quantile(0.95, LATENCY, WINDOW), "p95"),
    )


def _in_flight_now() -> Panel:
    return figure(
        "In flight",
        "Requests that were sent and have not ended.",
        "short",
        Query(total("escalade_load_in_flight"), "in flight"),
    )


def _down() -> Panel:
    return figure(
        "Targets that are down",
        "Pages that Prometheus could not scrape; 0 is good. What they show is missing meanwhile.",
        "short",
        Query("count(up) - sum(up)", "down"),
        red_from=1.0,
    )


def _rate_and_latency(limits: Limits) -> Panel:
    return two_axes(
        "Rate against latency",
        "Requests sent per second at the left axis, p95 latency at the right one: where the second "
        f"leaves the first, the service gives way. Dashed: {limits.rate_qps:g} requests/s.",
        ("reqps", Query(total(rate(SENT, WINDOW)), "sent/s")),
        ("s", Query(quantile(0.95, LATENCY, WINDOW), "p95 latency")),
        limits.rate_qps,
    )


def _rates(limits: Limits) -> Panel:
    return lines(
        "Planned, sent, answered",
        "Requests per second. Sent below planned: the client is late, and its step does not count. "
        "Answered below sent: the service is behind.",
        "reqps",
        Query(total("escalade_load_target_qps"), "planned"),
        Query(total(rate(SENT, WINDOW)), "sent"),
        Query(total(rate(selector(ENDED, GOOD), WINDOW)), "answered well"),
        limit=limits.rate_qps,
    )


def _latency() -> Panel:
    return lines(
        "Latency",
        "From the planned send to the last byte, of good answers. Interpolated in the buckets of "
        "the live counters; the report has exact figures.",
        "s",
        *(
            Query(quantile(share, LATENCY, WINDOW), f"p{100 * share:g}")
            for share in (0.5, 0.95, 0.99)
        ),
    )


def _outcomes() -> Panel:
    return lines(
        "What became of the requests",
        "Per second, by outcome, as docs/metrics.md names them.",
        "reqps",
        Query(f"{total(rate(ENDED, WINDOW), 'outcome')} > 0", "{{outcome}}"),
    )


def _first_chunk() -> Panel:
    return lines(
        "Time to first chunk",
        "From the planned send to the first byte of the answer's body; of services that stream.",
        "s",
        *(
            Query(quantile(share, FIRST_CHUNK, WINDOW), f"p{100 * share:g}")
            for share in (0.5, 0.95)
        ),
    )


def _steps() -> Panel:
    return states(
        "Steps",
        "When each step of the ladder ran. A step that is over is shown ten seconds longer.",
        Query("max by (step) (escalade_load_worker_running)", "step {{step}}"),
        names={"0": ("over", "text"), "1": ("runs", "blue")},
    )


def _waiting(limits: Limits, names: ServiceNames) -> Panel:
    return lines(
        "Where requests wait",
        "At the service, by its own count, and at the client for a free user. More than "
        f"{limits.queue_length:g} waiting at the service: it gets more than it answers.",
        "short",
        Query(total(selector(names["queue_length"]), "instance"), "at {{instance}}"),
        Query(total("escalade_load_in_flight"), "in flight"),
        Query(total("escalade_load_backlog"), "at the client"),
        limit=limits.queue_length,
    )


def _cpu() -> Panel:
    spent = rate("escalade_process_cpu_seconds_total", WINDOW)
    return lines(
        "CPU by role",
        "Cores that the processes of the cell use: service, Prometheus, exporters.",
        "suffix: cores",
        Query(total(spent, "role"), "{{role}}"),
    )


def _lag() -> Panel:
    return lines(
        "Dispatch lag",
        "From the planned send to the actual one. Above the line for more than 1 % of a step's "
        "requests, the step is INVALID: the client was late, not the service.",
        "s",
        Query(quantile(0.5, LAG, WINDOW), "p50"),
        Query(quantile(0.99, LAG, WINDOW), "p99"),
        limit=_MODEST_LAG_SECONDS,
    )


def _scraped() -> Panel:
    return states(
        "Targets",
        "Whether each page could be scraped. A gap is time in which Prometheus itself was gone.",
        Query("up", "{{job}} {{instance}}"),
        names={"0": ("down", "red"), "1": ("up", "green")},
    )
