"""What a Prometheus knows beside samples: targets, metrics, rules and alerts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from escalade.monitoring.answers import name_of
from escalade.monitoring.faults import MalformedAnswerError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Known = TypeVar("Known")

_NEVER = "0001-01-01"  # Go's zero time
_FRACTION = re.compile(r"(\.\d{6})\d+")  # Go gives nanoseconds


@dataclass(frozen=True, slots=True)
class TargetHealth:
    """What Prometheus knows about one of its targets.

    Parameters
    ----------
    job, address, path
        As configured: the key by which a target is found again.
    labels
        The labels that its samples get.
    health
        "up", "down" or "unknown" (not scraped yet).
    last_error
        Why the last scrape failed; "" when it did not.
    last_scrape
        When it was last scraped, in Unix seconds; None when it never was.
    last_scrape_seconds
        How long that took; None when it never was.
    """

    job: str
    address: str
    path: str
    labels: Mapping[str, str]
    health: str
    last_error: str
    last_scrape: float | None = None
    last_scrape_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class MetricFacts:
    """What the targets say about a metric.

    Parameters
    ----------
    kind
        "counter", "gauge", "histogram", "summary", "info", "stateset" or "unknown".
    help
        Its description.
    unit
        "" for most: few exporters tell.
    """

    kind: str
    help: str
    unit: str


@dataclass(frozen=True, slots=True)
class RuleState:
    """One rule and how it is.

    Parameters
    ----------
    group, name
        By which it is called.
    kind
        "alerting" or "recording".
    expression
        PromQL.
    health
        "ok", "err" or "unknown" (not evaluated yet).
    last_error
        Why it could not be evaluated; "" when it could.
    state
        Of an alerting rule "inactive", "pending" or "firing"; "" of a recording one.
    """

    group: str
    name: str
    kind: str
    expression: str
    health: str
    last_error: str
    state: str


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that is pending or firing.

    Parameters
    ----------
    name
        Of its rule.
    state
        "pending" or "firing".
    labels, annotations
        As the rule gives them.
    since
        When its expression became true, in Unix seconds.
    value
        What the expression gave, as text.
    """

    name: str
    state: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    since: float | None
    value: str


def read_targets(data: Any, url: str) -> list[TargetHealth]:
    """Read the `data` of /api/v1/targets."""
    return _read(lambda: [_target(target) for target in data["activeTargets"]], url, "targets")


def read_metadata(data: Any, url: str) -> dict[str, MetricFacts]:
    """Read the `data` of /api/v1/metadata; of several targets' words the first count."""

    def facts() -> dict[str, MetricFacts]:
        return {
            str(name): MetricFacts(said[0]["type"], said[0]["help"], said[0].get("unit", ""))
            for name, said in data.items()
            if said
        }

    return _read(facts, url, "metrics")


def read_rules(data: Any, url: str) -> list[RuleState]:
    """Read the `data` of /api/v1/rules."""

    def states() -> list[RuleState]:
        return [
            RuleState(
                group=group["name"],
                name=rule["name"],
                kind=rule["type"],
                expression=rule["query"],
                health=rule["health"],
                last_error=rule.get("lastError", ""),
                state=rule.get("state", ""),
            )
            for group in data["groups"]
            for rule in group["rules"]
        ]

    return _read(states, url, "rules")


def read_alerts(data: Any, url: str) -> list[Alert]:
    """Read the `data` of /api/v1/alerts."""

    def alerts() -> list[Alert]:
        return [
            Alert(
                name=alert["labels"]["alertname"],
                state=alert["state"],
                labels=dict(alert["labels"]),
                annotations=dict(alert["annotations"]),
                since=unix(alert.get("activeAt") or _NEVER),
                value=str(alert["value"]),
            )
            for alert in data["alerts"]
        ]

    return _read(alerts, url, "alerts")


def read_series(data: Any, url: str) -> list[tuple[str, str]]:
    """Read the `data` of /api/v1/series: metric and canonical labels of each."""
    return _read(lambda: [name_of(labels) for labels in data], url, "series")


def read_words(data: Any, url: str) -> list[str]:
    """Read the `data` of /api/v1/label/…/values."""
    return _read(lambda: [str(word) for word in list(data)], url, "values")


def unix(text: str) -> float | None:
    """Read a time as Go writes it, in Unix seconds; None for its zero time.

    Examples
    --------
    >>> unix("2026-11-23T00:00:00.123456789Z")
    1795392000.123456
    >>> unix("0001-01-01T00:00:00Z")
    """
    if text.startswith(_NEVER):
        return None
    return datetime.fromisoformat(_FRACTION.sub(r"\1", text)).timestamp()


def _target(target: Mapping[str, Any]) -> TargetHealth:
    found = target["discoveredLabels"]
    last = unix(target.get("lastScrape") or _NEVER)
    return TargetHealth(
        job=found["job"],
        address=found["__address__"],
        path=found["__metrics_path__"],
        labels=dict(target["labels"]),
        health=target["health"],
        last_error=target["lastError"],
        last_scrape=last,
        last_scrape_seconds=None if last is None else float(target["lastScrapeDuration"]),
    )


def _read(read: Callable[[], Known], url: str, what: str) -> Known:
    try:
        return read()
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise MalformedAnswerError(
            f"{url}: the list of {what} lacks {error}. Is this a Prometheus 2.x or 3.x?"
        ) from error
