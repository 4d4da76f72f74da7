"""What is left of each resource, at the rate that the objectives allow and at the top valid step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from escalade.analysis.headroom import AT_SLO, QUEUE, VRAM
from escalade.report import words
from escalade.report.sections.bottleneck import resource
from escalade.report.tables import Table
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from escalade.report.data import ReportData

NAMES = {VRAM: "GPU memory", QUEUE: "Queue of the service"}


def headroom_table(data: ReportData) -> Table:
    """Give one line per resource and place; empty for results without the section."""
    rows = []
    for row in data.verdicts.get("headroom") or []:
        used, limit = known(row.get("used")), known(row.get("limit"))
        scale = words.scale_for(words.clean(row.get("unit") or ""), (used, limit))
        left = known(row.get("headroom_ratio"))
        name = str(row.get("resource"))
        place = "SLO capacity" if row.get("place") == AT_SLO else "top valid step"
        rate = words.rate(known(row.get("offered_qps")))
        rows.append(
            (
                words.clean(row.get("cell") or ""),
                f"{place}: step {row.get('step')}, {rate} requests/s",
                NAMES.get(name) or resource(name),
                words.single(used, "", scale),
                words.single(limit, "", scale),
                f"{words.plain(100 * left, 0)}{words.NO_BREAK}%"
                if math.isfinite(left)
                else NOTHING,
                words.clean(row.get("words") or ""),
                words.clean(row.get("source") or ""),
            )
        )
    columns = (
        "Cell",
        "Where",
        "Resource",
        "Used",
        "Limit",
        "Headroom",
        "Of what, or why not",
        "From",
    )
    return Table(columns, tuple(rows))
