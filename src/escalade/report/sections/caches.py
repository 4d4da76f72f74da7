"""How often caches hit at each step: those that a service counts, an engine's prefix cache, and prompts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.catalogue import CACHES
from escalade.analysis.kpis.readings import labels_in
from escalade.report import words
from escalade.report.estimates import Estimate
from escalade.report.tables import Table, printed
from escalade.report.words import bound, known

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.report.data import ReportData

RATIO, LOOKUPS, EXPIRED = (metric.name for metric in CACHES)
PROMPTS = "cached_token_ratio"
_COLUMNS = ("Cache", "Hit rate", "95 % interval", "Lookups", "Expired entries", "Why")


def caches_table(data: ReportData) -> Table:
    """List every cache at every step; empty where no service has one that counts.

    Prompts of which the answers say that a part was cached are a line of their own: that share
    is taken from the request log, the others from what the service counts.
    """
    found: dict[tuple[str, int, str], dict[str, Mapping[Any, Any]]] = {}
    table = data.kpis
    rows = table[table["metric"].isin({RATIO, LOOKUPS, EXPIRED, PROMPTS})] if len(table) else table
    for row in rows.to_dict("records"):
        step = known(row.get("step"))
        metric = str(row["metric"])
        if not math.isfinite(step) or (metric == PROMPTS and not known(row.get("value")) > 0):
            continue
        name = "prompts, as the answers say" if metric == PROMPTS else _name(row)
        place = words.clean(row.get("cell")), int(step), name
        found.setdefault(place, {})[RATIO if metric == PROMPTS else metric] = row
    lines = [
        (cell.name, str(step.number), words.rate(step.place), *_line(name, figures))
        for cell in data.facts
        for step in cell.steps
        for (of, number, name), figures in found.items()
        if (of, number) == (cell.name, step.number)
    ]
    return Table(("Cell", "Step", data.axis.column, *_COLUMNS) if lines else (), tuple(lines))


def _name(row: Mapping[Any, Any]) -> str:
    """Name a cache by its labels: "llm, fast", "prefix, in tokens"."""
    labels = labels_in(str(row.get("source") or ""))
    if labels == {"cache_type": "prefix"}:
        return "prefix, in tokens"
    return words.clean(", ".join(labels[key] for key in sorted(labels))) or "the service's"


def _line(name: str, figures: Mapping[str, Mapping[Any, Any]]) -> tuple[str, ...]:
    ratio = _estimate(figures.get(RATIO))
    value, interval = printed(ratio)
    counts = (_estimate(figures.get(metric)).value for metric in (LOOKUPS, EXPIRED))
    return (
        name,
        value,
        interval,
        *(words.plain(count, 0) for count in counts),
        words.sentence(ratio.reason) if ratio.reason and RATIO in figures else "",
    )


def _estimate(row: Mapping[Any, Any] | None) -> Estimate:
    if row is None:
        return Estimate()
    return Estimate(
        value=known(row.get("value")),
        low=bound(row.get("ci_low")),
        high=bound(row.get("ci_high")),
        unit=words.clean(row.get("unit") or ""),
        n=known(row.get("n")),
        quality=words.clean(row.get("quality") or "ok"),
    )
