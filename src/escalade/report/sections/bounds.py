"""Upper bounds on the page: sentences, a table, and what the bounds are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from escalade.analysis.bounds.bound import said
from escalade.report import words
from escalade.report.charts.bound_lines import TOKENS
from escalade.report.marks import Marks
from escalade.report.tables import Table
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.report.data import ReportData


@dataclass(frozen=True)
class Shown:
    """What the page says of upper bounds."""

    sentences: tuple[str, ...]
    table: Table
    inputs: Table

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return bool(self.sentences)


def bounds_shown(data: ReportData, marks: Marks | None = None) -> Shown:
    """Give the sentences on what came closest to each bound, and the tables behind them."""
    rows, marks = data.bounds, marks or Marks()
    warned = tuple(_marked(row, marks) for row in rows)
    return Shown(
        tuple(_sentence(row, data) for row in _closest(rows)),
        replace(_table(rows), warnings=warned),
        _inputs_table(rows),
    )


def exceeded(data: ReportData) -> list[tuple[dict[str, Any], str]]:
    """Give row and sentence of every bound of which more was attained than there is."""
    return [(row, _sentence(row, data)) for row in data.bounds if row.get("exceeded")]


def _marked(row: dict[str, Any], marks: Marks) -> tuple[int, ...]:
    where = words.clean(row.get("cell") or row.get("deployment"))
    step = known(row.get("step"))
    name = words.clean(row.get("name"))
    return marks.of_bound(where, int(step) if math.isfinite(step) else 0, name)


def _closest(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give of every kind of bound of a cell the row that came closest to it, or that says what is missing."""
    best: dict[tuple[str, ...], dict[str, Any]] = {}
    for row in rows:
        # tokens of all slots stand for those of the steps
        if row.get("name") in TOKENS and row.get("step") is not None:
            continue
        key = tuple(str(row.get(part)) for part in ("cell", "deployment", "name", "kind"))
        before = best.get(key)
        if before is None or _share(row) > _share(before):
            best[key] = row
    return list(best.values())


def _share(row: dict[str, Any]) -> float:
    ratio = known(row.get("ratio"))
    return ratio if math.isfinite(ratio) else -math.inf


def _sentence(row: dict[str, Any], data: ReportData) -> str:
    several = len(data.facts) > 1
    where = [words.clean(row.get("cell") or row.get("deployment"))] if several else []
    where += [f"step {row['step']}"] if row.get("step") else []
    said_of = words.clean(row.get("words") or "")
    return words.sentence(f"{', '.join(where)}: {said_of}" if where else said_of)


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    columns = ("Cell", "Step", "What", "Bound by", "Bound", "Attained", "Share")
    written = []
    for row in rows:
        unit = words.clean(row.get("unit") or "")
        value, attained = known(row.get("value")), known(row.get("attained"))
        written.append(
            (
                words.clean(row.get("cell") or f"{row.get('deployment')}, all of it"),
                str(row.get("step") or "all"),
                words.clean(row.get("name")).replace("_", " "),
                words.clean(row.get("kind")),
                said(value, unit) if math.isfinite(value) else NOTHING,
                said(attained, unit) if math.isfinite(attained) else NOTHING,
                words.single(known(row.get("ratio")), "ratio"),
            )
        )
    return Table(columns, tuple(written))


def _inputs_table(rows: Sequence[dict[str, Any]]) -> Table:
    """List every input once, with who says it."""
    found: dict[tuple[str, str, str, str], None] = {}
    for row in rows:
        for each in row.get("inputs") or ():
            value, unit = known(each.get("value")), words.clean(each.get("unit") or "")
            shown = said(value, unit).strip() if math.isfinite(value) else NOTHING
            name = words.clean(each.get("name")).replace("_", " ")
            cell = words.clean(row.get("cell") or row.get("deployment"))
            found[cell, name, shown, words.clean(each.get("source"))] = None
    return Table(("Cell", "Input", "Value", "Source"), tuple(found))
