"""Memory and latency over the window: slope with interval, and what it means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.report import words
from escalade.report.tables import Table
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from escalade.report.data import ReportData

_COLUMNS = ("Cell", "Step", "What", "Level", "Growth in an hour", "Status", "Why")
_SIGNS = {"steady": "✓", "grows": "✗", "undecided": "?"}
_GROWTH = {"service_memory_bytes": "leaks", "latency_seconds": "drifts"}


def stability_table(data: ReportData) -> Table:
    """List the trends of every step; empty where nobody asked."""
    rows = []
    for row in data.verdicts.get("stability") or []:
        status, unit = words.clean(row.get("status")), words.clean(row.get("unit"))
        quantity = str(row.get("quantity"))
        called = _GROWTH.get(quantity, status) if status == "grows" else status
        slope = words.amount(
            known(row.get("slope_per_hour")),
            *words.bounds(row.get("ci_low"), row.get("ci_high")),
            unit,
        )
        rows.append(
            (
                words.clean(row.get("cell")),
                words.clean(row.get("step")),
                words.title(quantity),
                words.single(known(row.get("level")), unit),
                slope if slope == NOTHING else f"{slope} per hour",
                f"{_SIGNS.get(status, '')} {called}",
                words.sentence(words.clean(row.get("words") or "")),
            )
        )
    return Table(_COLUMNS if rows else (), tuple(rows))
