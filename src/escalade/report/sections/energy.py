"""Energy per request and per token by scope, as sentences and a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.axis import at
from escalade.report.facts import VALID
from escalade.report.tables import Table, printed
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts

SCOPES = {
    "package": "CPU package",
    "dram": "DRAM",
    "gpu": "GPU board",
    "node": "whole node",
}
PER_REQUEST, PER_TOKEN = "energy_joules_per_request", "energy_joules_per_token"
WATTS = "power_watts"
_PLAIN = words.Scale(1.0, "")


@dataclass(frozen=True)
class EnergyView:
    """The section on energy; `table` is empty where nothing was measured."""

    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    """What is to be known of the figures in the table."""
    remarks: tuple[str, ...]
    """Why scopes have no figure."""
    table: Table
    accounted: Table
    """What Slurm's accounting has: whole nodes, over a whole cell."""


def energy_view(data: ReportData) -> EnergyView:
    """Give the section: what was measured, and why the other scopes have no figure."""
    sentences = [text for name in data.deployments if (text := energy_sentence(data, name))]
    return EnergyView(
        tuple(sentences), tuple(_notes(data)), tuple(_absent(data)), _table(data), _accounted(data)
    )


def _accounted(data: ReportData) -> Table:
    """List what Slurm's accounting has of the service's steps, each by itself."""
    columns = (
        *("Cell", "Job step", "Scope", "Source", "Nodes", "Energy", "Over", "Mean power"),
        "Nodes by name",
    )
    found = data.verdicts.get("energy_accounted") or []
    rows = [
        (
            words.clean(row.get("cell")),
            words.clean(f"{row.get('step')} ({row.get('name')})"),
            words.clean(row.get("scope")),
            f"Slurm, {words.clean(row.get('source'))}",
            words.plain(known(row.get("nodes")), 0),
            words.single(known(row.get("joules")), "J"),
            words.single(known(row.get("seconds")), "s"),
            words.single(known(row.get("mean_watts")), "W"),
            words.clean(row.get("hosts")),
        )
        for row in found
        if isinstance(row, dict)
    ]
    return Table(columns if rows else (), tuple(rows))


def labels_of(data: ReportData, cells: Sequence[CellFacts], metric: str) -> list[str]:
    """Give the labels (scope and method) that a metric has in some cells, each once."""
    found = {
        label: None
        for cell in cells
        for step in cell.steps
        for (name, _, label) in data.estimates.get((cell.name, step.number), {})
        if name == metric
    }
    return list(found)


def scopes_of(data: ReportData, cells: Sequence[CellFacts]) -> list[str]:
    """Name the scopes that were measured in some cells, in the order of `SCOPES`."""
    names = {cell.name for cell in cells}
    there = {
        str(row.get("scope"))
        for row in _rows(data)
        if row.get("cell") in names and row.get("method")
    }
    return [scope for scope in SCOPES if scope in there]


def energy_sentence(data: ReportData, deployment: str) -> str:
    """Say what a request and a token take at the highest valid step; empty where nothing was measured."""
    cells = data.deployments[deployment]
    told = []
    for scope in scopes_of(data, cells):
        place = _highest(data, cells, scope)
        if place is None:
            continue
        cell, number = place
        step = next(step for step in cell.steps if step.number == number)
        parts = []
        for metric, thing in ((PER_REQUEST, "a request"), (PER_TOKEN, "an output token")):
            gross = data.scoped(cell.name, number, metric, "gross", scope)
            net = data.scoped(cell.name, number, metric, "net", scope)
            if gross.known:
                also = f" ({words.single(net.value, 'J')} net of idle)" if net.known else ""
                parts.append(f"{thing} takes {words.single(gross.value, 'J')}{also}")
        run = "this run only" if len(cells) == 1 else f"repetition {cell.repetition}"
        told.append(f"{at(step.level)} {words.listed(parts)} ({SCOPES[scope]}, {run})")
    if not told:
        return ""
    several = f"{deployment}: " if len(data.deployments) > 1 else ""
    return words.sentence(f"{several}{'; '.join(told)}")


def _highest(
    data: ReportData, cells: Sequence[CellFacts], scope: str
) -> tuple[CellFacts, int] | None:
    there = [
        (step.place, -cell.repetition, cell, step.number)
        for cell in cells
        for step in cell.steps
        if step.state == VALID
        and data.scoped(cell.name, step.number, PER_REQUEST, "gross", scope).known
    ]
    if not there:
        return None
    *_, cell, number = max(there, key=lambda each: each[:2])
    return cell, number


def _rows(data: ReportData) -> list[dict[str, Any]]:
    return [row for row in data.verdicts.get("energy") or [] if isinstance(row, dict)]


def _absent(data: ReportData) -> list[str]:
    """Say once for each scope and reason that it was not measured."""
    found: dict[tuple[str, str], None] = {}
    for row in _rows(data):
        if not row.get("method"):
            found[str(row.get("scope")), words.clean(row.get("words") or "")] = None
    return [words.sentence(f"{SCOPES.get(scope, scope)}: {why}") for scope, why in found]


def _notes(data: ReportData) -> list[str]:
    """Say once for each scope and reason which steps have figures with a caveat, or none."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for cell in data.facts:
        for scope in scopes_of(data, [cell]):
            for step in cell.steps:
                power = data.scoped(cell.name, step.number, WATTS, "mean", scope)
                per = data.scoped(cell.name, step.number, PER_REQUEST, "gross", scope)
                per_request = per.no_interval and f"energy per request has {per.no_interval}"
                for why in filter(None, (power.reason, per_request)):
                    key = cell.name, scope, why.removeprefix("flagged: ")
                    found.setdefault(key, []).append(step.number)
    return [
        f"{name}, {SCOPES[scope]}, {words.steps(steps)}: {why}."
        for (name, scope, why), steps in found.items()
    ]


def _table(data: ReportData) -> Table:
    columns = (
        *("Cell", "Step", data.axis.column, "Scope and method", "Power", "Idle"),
        *("J per request", "net", "J per output token", "net"),
    )
    rows = []
    for told in _rows(data):
        if not told.get("method"):
            continue
        cell = next((c for c in data.facts if c.name == told.get("cell")), None)
        if cell is not None:
            rows += _lines(cell, told, data)
    return Table(columns, tuple(rows))


def _lines(cell: CellFacts, told: Mapping[str, Any], data: ReportData) -> list[tuple[str, ...]]:
    scope, idle = str(told.get("scope")), known(told.get("idle_watts"))
    lines = []
    for step in cell.steps:
        power = data.scoped(cell.name, step.number, WATTS, "mean", scope)
        figures = [
            data.scoped(cell.name, step.number, metric, stat, scope)
            for metric in (PER_REQUEST, PER_TOKEN)
            for stat in ("gross", "net")
        ]
        if not power.known and not power.reason:
            continue
        lines.append(
            (
                cell.name,
                str(step.number),
                words.rate(step.place),
                f"{SCOPES.get(scope, scope)}, {words.clean(told.get('method') or '')}",
                words.single(power.value, "W"),
                f"{words.single(idle, 'W')}, {words.clean(told.get('words') or '')}"
                if math.isfinite(idle)
                else f"{NOTHING} ({words.clean(told.get('words') or '')})",
                *(" ".join(filter(None, printed(estimate, _PLAIN))) for estimate in figures),
            )
        )
    return lines
