"""The table of performance targets: component, metric, target, current figure, status."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.tables import Table
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.report.data import ReportData

SIGNS = {"met": "✓", "missed": "✗", "undecided": "?", "not measured": "–"}
_COLUMNS = ("Target", "Component", "Metric", "Where", "Wanted", "Current", "Status", "Why")
_SIDES = {"at most": "≤", "at least": "≥"}


def targets_table(data: ReportData) -> Table:
    """Set what was promised against what was measured; empty where nothing was promised."""
    rows = [row for row in data.verdicts.get("targets") or [] if isinstance(row, dict)]
    return Table(_COLUMNS if rows else (), tuple(_row(row) for row in rows))


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    stat, metric = str(row.get("stat")), str(row.get("metric"))
    name = words.title(metric)
    figure = name if stat == "value" else f"{words.clean(stat)} of {name[:1].lower()}{name[1:]}"
    of = f" of {words.clean(row['workload'])}" if row.get("workload") else ""
    unit, bound = words.clean(row.get("unit") or ""), known(row.get("bound"))
    status = words.clean(row.get("status"))
    return (
        words.clean(row.get("target")),
        words.clean(row.get("component") or row.get("benchmark") or row.get("deployment")),
        f"{figure}{of}",
        _where(row),
        f"{_SIDES.get(str(row.get('direction')), '')} {words.single(bound, unit)}".strip(),
        _current(row, unit),
        f"{SIGNS.get(status, '')} {status}",
        words.sentence(words.clean(row.get("reason") or "")),
    )


def _where(row: Mapping[str, Any]) -> str:
    if row.get("benchmark"):
        run = row.get("repetition")
        runs = "all repetitions" if run is None else f"repetition {run}"
        return f"benchmark {words.clean(row['benchmark'])}, {runs}"
    place = words.clean(row.get("cell") or f"{row.get('deployment')}, all repetitions")
    if row.get("target_qps") is not None:
        return f"{place}, at {words.rate(known(row['target_qps']))}/s"
    return f"{place}, step {row['step']}" if row.get("step") else place


def _current(row: Mapping[str, Any], unit: str) -> str:
    low, high = words.bounds(row.get("ci_low"), row.get("ci_high"))
    found = words.amount(known(row.get("current")), low, high, unit)
    lowest = known(row.get("ci_low"))
    if (
        found == NOTHING
        and math.isfinite(lowest)
        and str(row.get("metric")).endswith("capacity_qps")
    ):
        return f"at least {words.single(lowest, unit)}"
    return found
