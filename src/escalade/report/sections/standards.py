"""Which of the campaign's standards were kept: a sentence, and the rows behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.tables import Table

if TYPE_CHECKING:
    from escalade.report.data import ReportData

_COLUMNS = ("Standard", "Cell", "Step", "Outcome", "Found")


def standards_view(data: ReportData) -> dict[str, Any]:
    """Give the sentence and the table; without standards neither."""
    rows = [row for row in data.verdicts.get("standards") or [] if isinstance(row, dict)]
    short = [row for row in rows if row.get("outcome") != "kept"]
    if not rows:
        said = ""
    elif short:
        said = f"Standards: {len(short)} of {len(rows)} checks fall short or can't be told; the figures stand, and are weaker for it."
    else:
        said = f"Standards: all {len(rows)} checks are kept."
    table = Table(
        _COLUMNS,
        tuple(
            (
                words.clean(row.get("standard")).replace("_", " "),
                words.clean(row.get("cell") or "campaign"),
                words.clean(row.get("step") or ""),
                words.clean(row.get("outcome")),
                words.clean(row.get("words")),
            )
            for row in (*short, *(row for row in rows if row not in short))
        ),
    )
    return {"said": said, "table": table, "short": bool(short)}
