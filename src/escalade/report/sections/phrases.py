"""Parts that sentences about a statistic share: how they begin, and the numbers of a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENTS = {
    "latency_seconds": ("requests", "end within"),
    "query_latency_seconds": ("queries", "end within"),
    "ttft_seconds": ("answers", "begin within"),
    "itl_seconds": ("tokens", "follow the one before within"),
    "tpot_seconds": ("answers", "take per token at most"),
}
"""What a time is of, and the verb that says it."""


def beginning(metric: str, stat: str, workload: object = None) -> str:
    """Give the beginning of a sentence about a statistic: "90 % of requests of chat end within"."""
    share = words.percentile(stat)
    things, verb = EVENTS.get(metric, ("", ""))
    of = f" of {words.clean(workload)}" if workload else ""
    things = things and f"{things}{of}"
    if share is not None and things:
        who = f"half of the {things}" if share == 50 else f"{words.plain(share)} % of {things}"
        return f"{who} {verb}"
    if metric == "error_ratio":
        return f"the share of failed requests{of} is"
    name = f"{words.title(metric).lower()}{of}"
    return f"the {name} is" if stat == "value" else f"the {stat} of {name} is"


def numbers(row: Mapping[str, Any]) -> tuple[float, float, float]:
    """Give value, lower and upper bound of a verdict; NaN for what it does not have."""
    return known(row.get("value")), *words.bounds(row.get("ci_low"), row.get("ci_high"))
