"""Pieces of PromQL that dashboards and alerts share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.monitoring.limits import Limits
    from escalade.monitoring.service_names import ServiceNames

SENT = "escalade_load_sent_total"
"""Requests that the load generator sent."""


def selector(names: str | Sequence[str], *matchers: str) -> str:
    """Select the series of a metric, or of the one that a service has under any of some names.

    Parameters
    ----------
    names
        One name or several.
    matchers
        As in `mode="idle"`.

    Returns
    -------
    str
        As in `up{job="node"}`.
    """
    several = [names] if isinstance(names, str) else list(names)
    if len(several) == 1:
        return several[0] + (f"{{{', '.join(matchers)}}}" if matchers else "")
    any_of = f'__name__=~"{"|".join(several)}"'
    return f"{{{', '.join((any_of, *matchers))}}}"


def total(expression: str, *by: str) -> str:
    """Add up series, by labels."""
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum({expression})"


def rate(selected: str, window: str) -> str:
    """Give the growth per second of a counter, over a window as in "1m"."""
    return f"rate({selected}[{window}])"


def quantile(share: float, buckets: str, window: str, *by: str) -> str:
    """Estimate a quantile of what a histogram counted in a window; interpolated in its bucket."""
    return f"histogram_quantile({share:g}, {total(rate(buckets, window), 'le', *by)})"


def above_rate(limits: Limits, names: ServiceNames) -> str:
    """Ask whether the load generator sent, or a service counted, more than the threshold.

    The window is that of an alert: long enough for a Prometheus that scrapes every 15 s.
    """
    counted = total(rate(selector(names["requests_total"]), "1m"), "job", "instance")
    limit = f"> {limits.rate_qps:g}"
    return f"{total(rate(SENT, '1m'))} {limit} or {counted} {limit}"
