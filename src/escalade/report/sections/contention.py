"""What stressors cost, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.report import words
from escalade.report.tables import Table
from escalade.report.words import known

if TYPE_CHECKING:
    from escalade.report.data import ReportData

_COLUMNS = (
    *("Deployment", "Stressor", "Against", "Step", "Rate (/s)", "p90 without", "p90 beside"),
    *("Mean difference", "Status", "Remarks"),
)


def contention_table(data: ReportData) -> Table:
    """Set each step beside a stressor against the same without; empty where there is none."""
    rows = [
        (
            words.clean(row.get("deployment")),
            words.clean(row.get("stressor")),
            words.clean(row.get("against")),
            words.clean(row.get("step")),
            words.rate(known(row.get("target_qps"))),
            words.single(known(row.get("p90_without")), "s"),
            words.single(known(row.get("p90_beside")), "s"),
            words.amount(
                known(row.get("difference_seconds")),
                *words.bounds(row.get("ci_low"), row.get("ci_high")),
                "s",
            ),
            words.clean(row.get("status")),
            words.sentence(words.clean(row.get("words") or "")),
        )
        for row in data.verdicts.get("contention") or []
    ]
    return Table(_COLUMNS if rows else (), tuple(rows))
