"""Upper bounds on the page: sentences, a table, and lines in the charts of throughput."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.bound import said
from escalade.report import drawing, words
from escalade.report.drawing import COLOURS
from escalade.report.tables import Table
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes

    from escalade.report.data import ReportData

_OFF_SCALE = 3.0
"""A bound this many times above everything measured is named, not drawn."""
REQUESTS = ("request_rate", "query_rate", "capacity")
TOKENS = ("token_rate",)
"""Bounds that belong to the charts of throughput and of tokens."""


@dataclass(frozen=True)
class Level:
    """A bound as a chart shows it: one height for all rates."""

    value: float
    label: str


@dataclass(frozen=True)
class Shown:
    """What the page says of upper bounds."""

    sentences: tuple[str, ...]
    table: Table
    inputs: Table


def bounds_shown(data: ReportData) -> Shown:
    """Give the sentences on what came closest to each bound, and the tables behind them."""
    rows = data.bounds
    return Shown(
        tuple(_sentence(row, data) for row in _closest(rows)), _table(rows), _inputs_table(rows)
    )


def levels_of(data: ReportData, deployment: str, names: Sequence[str]) -> list[Level]:
    """Give the bounds of a deployment that are one height over all rates: the median of its cells."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in data.bounds:
        value = known(row.get("value"))
        # tokens have a bound for each step, by what was in flight, and one for all slots
        whole = row.get("name") not in TOKENS or row.get("step") is None
        mine = words.clean(row.get("deployment")) == deployment and row.get("name") in names
        if mine and whole and math.isfinite(value):
            key = words.clean(row.get("name")), words.clean(row.get("kind"))
            found.setdefault(key, []).append(value)
    return [
        Level(statistics.median(values), f"bound, {kind}") for (_, kind), values in found.items()
    ]


def within(levels: Iterable[Level], highest: float) -> list[Level]:
    """Give those that can be drawn with what was measured."""
    return [level for level in levels if level.value <= _OFF_SCALE * highest]


def draw_levels(axes: Axes, levels: Sequence[Level], unit: str) -> None:
    """Draw each bound as a line; one beyond the panel is named at its upper edge."""
    top = axes.get_ylim()[1]
    beyond = 0
    for level in levels:
        text = f"{level.label}: {said(level.value, unit)}"
        place, offset = (0.0, level.value), 4.0
        coordinates: Any = ("axes fraction", "data")
        if level.value <= top:
            axes.axhline(level.value, color=COLOURS["ink"], lw=1.2, linestyle=(0, (8, 2, 1, 2)))
        else:
            text, place, coordinates = f"↑ {text}", (0.0, 1.0), "axes fraction"
            offset, beyond = -11.0 - 14.0 * beyond, beyond + 1
        axes.annotate(
            text,
            place,
            xycoords=coordinates,
            xytext=(5, offset),
            textcoords="offset points",
            fontsize=drawing.SMALL,
            zorder=6,
        )


def exceeded(data: ReportData) -> list[tuple[str, str]]:
    """Give cell and sentence of every bound of which more was attained than there is."""
    return [
        (words.clean(row.get("cell") or row.get("deployment")), _sentence(row, data))
        for row in data.bounds
        if row.get("exceeded")
    ]


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
