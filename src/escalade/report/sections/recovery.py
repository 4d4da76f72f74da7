"""What the death of the service cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.tables import Table
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.report.data import ReportData

_COLUMNS = (
    *("Deployment", "Cell", "Step", "Killed at", "Started again after", "Detected after"),
    *("First answer after", "Recovered after", "Lost", "Status", "Remarks"),
)
_OF_COPIES = ("Replica", "Back after", "Answered meanwhile")


def recovery_table(data: ReportData) -> Table:
    """List what each kill cost; empty where nobody killed."""
    found = data.verdicts.get("recovery") or []
    times = (
        *("killed_seconds", "restarted_seconds", "detect_seconds"),
        *("first_answer_seconds", "recover_seconds"),
    )
    several = any((known(row.get("replicas"))) > 1 for row in found)
    rows = [
        (
            words.clean(row.get("deployment")),
            words.clean(row.get("cell") or "all repetitions"),
            words.clean(row.get("step")),
            *(words.single(known(row.get(name)), "s") for name in times),
            words.plain(known(row.get("lost"))),
            *(_of_copies(row) if several else ()),
            words.clean(row.get("status")),
            words.sentence(words.clean(row.get("words") or "")),
        )
        for row in found
    ]
    columns = (*_COLUMNS[:9], *(_OF_COPIES if several else ()), *_COLUMNS[9:])
    return Table(columns if rows else (), tuple(rows))


def _of_copies(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Say which copy was killed, when it was back, and what share of the load was answered until then."""
    if not known(row.get("replicas")) > 1:
        return (NOTHING,) * len(_OF_COPIES)
    return (
        f"{words.clean(row.get('replica'))} of {words.clean(row.get('replicas'))}",
        words.single(known(row.get("back_seconds")), "s"),
        words.single(known(row.get("held_ratio")), "ratio"),
    )
