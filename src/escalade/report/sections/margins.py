"""One line per objective and deployment: verdict, value with interval, n, and how far the limit is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.axis import at, level
from escalade.report.sections.objectives import objective
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.data import ReportData
    from escalade.report.marks import Marks


@dataclass(frozen=True)
class Margin:
    """An objective where it has to hold, or at the highest step where it does."""

    objective: str
    where: str
    at: str
    verdict: str
    counts: bool
    value: str
    interval: str
    n: str
    margin: str
    worse: str
    warnings: tuple[int, ...] = ()


def margins(data: ReportData, marks: Marks) -> list[Margin]:
    """Give the lines, in the order of the objectives and of the deployments.

    Over all repetitions where there is such a verdict, else of each run. An objective that names its
    rate is told there, another one at the highest step that passes, without one at the lowest step.
    """
    grouped: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    joint = {_key(row)[:2] for row in data.slos if row.get("cell") is None}
    for row in data.slos:
        key = _key(row)
        if row.get("cell") is None or key[:2] not in joint:
            grouped.setdefault(key, []).append(row)
    return [_line(_chosen(rows), data, marks) for rows in grouped.values()]


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return (
        words.clean(row.get("slo")),
        words.clean(row.get("deployment")),
        words.clean(row.get("cell") or ""),
    )


def _chosen(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    counting = [row for row in rows if row.get("counts")]
    passed = [row for row in rows if row.get("verdict") == "PASS"]
    if counting:
        return counting[0]
    if passed:
        return max(passed, key=lambda row: _or(level(row).value))
    return min(rows, key=lambda row: _or(level(row).value))


def _line(row: Mapping[str, Any], data: ReportData, marks: Marks) -> Margin:
    unit = words.clean(row.get("unit") or "")
    value = known(row.get("value"))
    low, high = words.bounds(row.get("ci_low"), row.get("ci_high"))
    scale = words.scale_for(unit, (value,))
    number, interval = words.span(value, low, high, scale)
    number = words.with_unit(number, scale.label) if math.isfinite(value) else NOTHING
    n = known(row.get("n"))
    return Margin(
        objective=objective(row),
        where=_where(row, data),
        at=at(level(row)).removeprefix("at "),
        verdict=str(row.get("verdict") or "NOT_RUN"),
        counts=bool(row.get("counts")),
        value=number,
        interval=interval,
        n=words.plain(n, 0) if n > 0 else "",
        margin=_away(row, "margin", unit),
        worse=_away(row, "margin_worse", unit),
        warnings=marks.of_verdict(
            row,
            (cell.name for cell in data.deployments.get(words.clean(row.get("deployment")), ())),
        ),
    )


def _where(row: Mapping[str, Any], data: ReportData) -> str:
    deployment = words.clean(row.get("deployment"))
    cells = data.deployments.get(deployment, ())
    if row.get("cell") is None:
        return f"{deployment}, over {len(cells)} repetitions"
    mine = [cell for cell in cells if cell.name == words.clean(row.get("cell"))]
    if not mine or len(cells) < 2:
        return f"{deployment}, this run only"
    return f"{deployment}, repetition {mine[0].repetition} only"


def _away(row: Mapping[str, Any], name: str, unit: str) -> str:
    """Write a margin in the metric's unit and in per cent of the limit: "0.55 s (37 %)"; of INVALID none."""
    away, share = known(row.get(name)), known(row.get(f"{name}_ratio"))
    if row.get("verdict") == "INVALID" or not math.isfinite(known(row.get("margin"))):
        return NOTHING
    if not math.isfinite(away):
        return "not bounded"
    if unit == "ratio":  # per cent of per cent would be read as the same thing
        return f"{words.plain(100 * away)} points ({words.plain(100 * share, 0)} % of the limit)"
    return f"{words.single(away, unit)} ({words.plain(100 * share, 0)}{words.NO_BREAK}%)"


def _or(value: float) -> float:
    return value if math.isfinite(value) else 0.0
