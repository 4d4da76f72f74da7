"""Alerting rules of Prometheus, made from limits."""

from escalade.monitoring.rules.alerts import Alert, alerts
from escalade.monitoring.rules.rendering import render

__all__ = ["Alert", "alerts", "render"]
