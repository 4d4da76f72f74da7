"""How each figure of the page comes about: rows of the catalogue, for the metrics that the page shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.analysis.kpis.catalogue import METRICS
from escalade.analysis.kpis.clock_points import clock_points
from escalade.report import words
from escalade.report.tables import Table

if TYPE_CHECKING:
    from escalade.report.data import ReportData


def formulas(data: ReportData) -> Table:
    """Give formula, clock points, interval and source of each metric that has a row on this page."""
    shown = {name for table in data.estimates.values() for name, _, _ in table}
    return Table(
        ("KPI", "Statistics", "Formula", "Clock points", "95 % interval", "Source"),
        tuple(
            (
                f"{words.title(metric.name)} ({metric.name})",
                ", ".join(metric.stats),
                metric.formula,
                clock_points(metric),
                metric.interval,
                metric.source,
            )
            for metric in METRICS
            if metric.name in shown
        ),
    )
