"""Rows of verdicts on scenarios, and the campaigns in which each rule on them fires or nearly does."""

from __future__ import annotations

from functools import partial
from typing import Any

from unit.analysis.campaigns import Made, fine


def contention(**changes: Any) -> dict[str, Any]:
    """Give a step that is 0.3 s slower beside the stressor, of a p90 of 1 s; at least 0.2 s."""
    row = {"deployment": "demo", "against": "alone", "stressor": "2 workers on CPU", "step": 2}
    row |= {"difference_seconds": 0.3, "ci_low": 0.2, "ci_high": 0.4, "p90_without": 1.0}
    row |= {"p90_beside": 1.4, "error_ratio_without": 0.0, "error_ratio_beside": 0.0}
    return row | {"status": "slower", "words": "+300 ms per request"} | changes


def recovery(**changes: Any) -> dict[str, Any]:
    """Give a kill of the only copy that cost 30 requests."""
    row = {"deployment": "demo", "cell": "demo_rep-1_0badcafe", "step": 2, "replicas": 1}
    row |= {"restarted_seconds": 2.0, "recover_seconds": 3.1, "back_seconds": None}
    row |= {"held_ratio": None, "lost": 30, "status": "recovered"}
    return row | {"words": "recovered after 3.1 s, 30 of 300 requests lost"} | changes


def stability(**changes: Any) -> dict[str, Any]:
    row = {"deployment": "demo", "cell": "demo_rep-1_0badcafe", "step": 2, "unit": "bytes"}
    row |= {"quantity": "service_memory_bytes", "slope_per_hour": 5e7, "level": 1e8}
    return row | {"status": "grows", "words": "+50 % of its level an hour"} | changes


def standard(**changes: Any) -> dict[str, Any]:
    row = {"cell": "demo_rep-1_0badcafe", "step": 2, "standard": "least_requests"}
    row |= {"wanted": 1000.0, "found": 600.0, "unit": "requests", "outcome": "short"}
    return row | {"words": "600 requests in the window, of 1000"} | changes


def made(section: str, *rows: dict[str, Any]) -> Made:
    campaign = fine(1)
    campaign.sections[section] = list(rows)
    return campaign


FIRES = {
    "slowed-by-the-stressor": ("contention", contention()),
    "fails-beside-the-stressor": ("contention", contention(error_ratio_beside=0.04)),
    "stays-dead": ("recovery", recovery(status="stays dead", recover_seconds=None)),
    "a-kill-costs-requests": ("recovery", recovery()),
    "memory-leaks": ("stability", stability()),
    "latency-drifts": ("stability", stability(quantity="latency_seconds", unit="s")),
    "short-of-standards": ("standards", standard()),
}
NEARLY = {
    "slowed-by-the-stressor": ("contention", contention(ci_low=0.09)),
    "fails-beside-the-stressor": (
        "contention",
        contention(error_ratio_without=0.035, error_ratio_beside=0.04),
    ),
    # it was to stay dead: nobody started it again
    "stays-dead": ("recovery", recovery(status="stays dead", restarted_seconds=None)),
    "a-kill-costs-requests": (
        "recovery",
        recovery(replicas=2, held_ratio=0.995, back_seconds=3.0, lost=1),
    ),
    "memory-leaks": ("stability", stability(status="steady")),
    "latency-drifts": ("stability", stability()),
    "short-of-standards": ("standards", standard(outcome="kept", found=1000.0)),
}

SCENARIOS_FIRE = {rule: partial(made, *rows) for rule, rows in FIRES.items()}
SCENARIOS_NEARLY = {rule: partial(made, *rows) for rule, rows in NEARLY.items()}
