"""What the death of the service cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.report import words
from escalade.report.tables import Table
from escalade.report.words import known

if TYPE_CHECKING:
    from escalade.report.data import ReportData

_COLUMNS = (
    *("Deployment", "Cell", "Step", "Killed at", "Started again after", "Detected after"),
    *("First answer after", "Recovered after", "Lost", "Status", "Remarks"),
)


def recovery_table(data: ReportData) -> Table:
    """List what each kill cost; empty where nobody killed."""
    times = (
        *("killed_seconds", "restarted_seconds", "detect_seconds"),
        *("first_answer_seconds", "recover_seconds"),
    )
    rows = [
        (
            words.clean(row.get("deployment")),
            words.clean(row.get("cell") or "all repetitions"),
            words.clean(row.get("step")),
            *(words.single(known(row.get(name)), "s") for name in times),
            words.plain(known(row.get("lost"))),
            words.clean(row.get("status")),
            words.sentence(words.clean(row.get("words") or "")),
        )
        for row in data.verdicts.get("recovery") or []
    ]
    return Table(_COLUMNS if rows else (), tuple(rows))
