"""Alerts as a rule file of Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable

    from escalade.monitoring.rules.alerts import Alert

GROUP = "escalade"


def render(alerts: Iterable[Alert]) -> str:
    """Give the rule file; the same alerts give the same bytes.

    Parameters
    ----------
    alerts
        In the order in which Prometheus shows them.

    Returns
    -------
    str
        YAML, for `rule_files` of prometheus.yml.
    """
    rules = [_rule(alert) for alert in alerts]
    content = {"groups": [{"name": GROUP, "rules": rules}]}
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as they stand."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def _rule(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expression,
        "for": alert.hold,
        "labels": {"severity": alert.severity},
        "annotations": {"summary": alert.summary, "action": alert.action},
    }
