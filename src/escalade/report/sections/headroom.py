"""What is left of each resource, at the rate that the objectives allow and at the top valid step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity.headroom import AT_SLO, AT_TOP, QUEUE, VRAM
from escalade.report import words
from escalade.report.sections.bottleneck import resource
from escalade.report.tables import Table
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.data import ReportData

NAMES = {VRAM: "GPU memory", QUEUE: "Queue of the service"}
_PLACES = {AT_SLO: "SLO capacity", AT_TOP: "Top valid step"}


@dataclass(frozen=True)
class Headroom:
    """The table of one cell."""

    name: str
    table: Table


def headroom_groups(data: ReportData) -> list[Headroom]:
    """Give a table for each cell; none for results without the section."""
    cells: dict[str, list[dict[str, Any]]] = {}
    for row in data.verdicts.get("headroom") or []:
        if row.get("place") in _PLACES:
            cells.setdefault(words.clean(row.get("cell") or ""), []).append(row)
    return [Headroom(name, _table(rows)) for name, rows in cells.items()]


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Set the resources of a cell against the places where they were looked at."""
    places = [place for place in _PLACES if any(row.get("place") == place for row in rows)]
    heads = []
    for place in places:
        first = next(row for row in rows if row.get("place") == place)
        rate = words.rate(known(first.get("offered_qps")))
        heads += [f"{_PLACES[place]}: step {first.get('step')}, {rate}/s", "Headroom"]
    found: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(str(row.get("resource")), {})[str(row.get("place"))] = row
    lines = [
        _line(name, [by_place.get(place) for place in places]) for name, by_place in found.items()
    ]
    return Table(("Resource", *heads, "Limit", "Of what, or why not", "From"), tuple(lines))


def _line(name: str, at: Sequence[Mapping[str, Any] | None]) -> tuple[str, ...]:
    there = [row for row in at if row is not None]
    unit = words.clean(there[0].get("unit") or "")
    limit = known(there[0].get("limit"))
    scale = words.scale_for(unit, (limit, *(known(row.get("used")) for row in there)))
    fields = []
    for row in at:
        used = known((row or {}).get("used"))
        left = known((row or {}).get("headroom_ratio"))
        share = f"{words.plain(100 * left, 0)}{words.NO_BREAK}%" if math.isfinite(left) else NOTHING
        fields += [_counted(used, scale), share]
    said = dict.fromkeys(words.clean(row.get("words") or "") for row in there)
    source = words.clean(there[0].get("source") or "")
    return (
        NAMES.get(name) or resource(name),
        *fields,
        _counted(limit, scale),
        "; ".join(said),
        source,
    )


def _counted(value: float, scale: words.Scale) -> str:
    """Write a value with its unit: "1 core", "2 requests"."""
    text = words.single(value, "", scale)
    return text.removesuffix("s") if value == 1 and scale.label in ("cores", "requests") else text
