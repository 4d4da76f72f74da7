"""What was held for a campaign, and how long: from the notes beside each cell and each lost attempt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.analysis.verdicts.cost import LOCAL, NOT_RECORDED, Holding, Part
from escalade.errors import EscaladeError
from escalade.files import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.measured.cell import CellData
    from escalade.campaign.layout import CampaignFolder


def holdings_of(folder: CampaignFolder, cells: Sequence[CellData]) -> tuple[list[Holding], int]:
    """Read how long each cell and each lost attempt at it held its nodes.

    Cells of earlier releases have no note: their own begin and end stand for it.

    Returns
    -------
    tuple of list of Holding and int
        And the number of attempts that do not tell: they ended before they had nodes.

    Raises
    ------
    InputError
        When the note of a cell is damaged.
    """
    found: list[Holding] = []
    untold = 0
    for cell in cells:
        place = folder.cell(cell.name)
        note = read_json(place.held, "allocation of a cell") if place.held.exists() else {}
        own = _holding(cell, note, cell.cell.get("ended_at"))
        found += [own] if own is not None else []
        untold += own is None
        for attempt in sorted(place.attempts.glob("*/")):
            lost = _lost(cell, attempt / "lost.json")
            found += [lost] if lost is not None else []
            untold += lost is None
    return found, untold


def _lost(cell: CellData, path: Any) -> Holding | None:
    try:
        note = read_json(path, "cost of an attempt")
    except EscaladeError:
        return None
    return _holding(cell, note, note.get("until"), lost=True) if isinstance(note, dict) else None


def _holding(
    cell: CellData, note: Mapping[str, Any], end: Any, *, lost: bool = False
) -> Holding | None:
    """Put a note into the words of the analysis; None when it does not tell begin and end."""
    start = _time(note.get("held_at", None if lost else cell.cell.get("started_at")))
    until = _time(end)
    if not start <= until:  # also of what is not known
        return None
    run = note.get("run") or {}
    job = note.get("job", (cell.environment.get("allocation") or {}).get("job"))
    return Holding(
        cell=cell.name,
        start=start,
        end=until,
        parts=_parts(cell, note, job),
        job=None if job is None else str(job),
        run=str(run.get("id") or ""),
        run_start=_time(run.get("began_at")),
        driving=bool(note.get("driving")),
        lost=lost,
    )


def _parts(cell: CellData, note: Mapping[str, Any], job: Any) -> tuple[Part, ...]:
    allocation = cell.environment.get("allocation") or {}
    if job is None:
        cpus = (cell.environment.get("node") or {}).get("cpus")
        gpus = cell.environment.get("gpus")
        return (Part("all", LOCAL, 1, cpus, None if gpus is None else len(gpus)),)
    if components := note.get("components"):
        return tuple(
            Part(
                str(each["name"]),
                str(each.get("partition") or "the default"),
                int(each.get("nodes") or 1),
                each.get("cpus"),
                each.get("gpus"),
            )
            for each in components
        )
    nodes = note.get("nodes") or {
        allocation.get("client_node"),
        *allocation.get("service_nodes", ()),
    }
    return (Part("all", NOT_RECORDED, max(1, len(set(nodes) - {None}))),)


def _time(value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if number else math.nan
