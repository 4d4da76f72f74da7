"""Verdicts: PASS, FAIL, INCONCLUSIVE, INVALID or NOT_RUN for every objective.

PASS and FAIL need the whole interval on one side of the limit and every gate
that can invalidate passed. What the state of the service would have made look
better or worse than it is, it can't decide: see `decisions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity.bottleneck import bottlenecks
from escalade.analysis.capacity.capacity import deployment_capacity, ladder_capacity
from escalade.analysis.capacity.headroom import headroom
from escalade.analysis.gates.grade import quality
from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.energy import energy_rows
from escalade.analysis.kpis.steps import GIVEN_UP
from escalade.analysis.measured.cell import Slo
from escalade.analysis.measured.windows import window_of
from escalade.analysis.stats.intervals import MIN_REPETITIONS
from escalade.analysis.verdicts.confirmed import steps_behind
from escalade.analysis.verdicts.decisions import cell_verdicts
from escalade.analysis.verdicts.repetitions import deployment_verdicts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData

__all__ = ["Slo", "judge"]

CONFIRMATION_SECONDS = 600.0
"""A window from which on a verdict is more than exploratory."""
CLOCK_SECONDS = 1e-3
"""Unix times as floats are no finer than a fraction of a microsecond: lengths are not exact."""


def judge(kpis: pd.DataFrame, cells: Sequence[CellData], slos: Sequence[Slo]) -> dict[str, Any]:
    """Judge a campaign.

    Parameters
    ----------
    kpis
        KPI rows of all cells, made with the same `slos`.
    cells
        What was measured, in the order of the plan.
    slos
        Objectives; those with `at_qps` count for the exit code.

    Returns
    -------
    dict
        Content of verdicts.json: note, exploratory, quality, gates, slos, capacity,
        bottlenecks, headroom, energy.
        Deployments with three repetitions or more have rows with cell None
        beside those of their cells, and those are the ones that count.
    """
    gates: list[dict[str, Any]] = []
    verdicts: list[dict[str, Any]] = []
    capacity: list[dict[str, Any]] = []
    for group in _deployments(cells):
        repeated = len(group) >= MIN_REPETITIONS
        rows, fits = [], []
        for cell in group:
            mine = kpis[kpis["cell"] == cell.name]
            checked = cell_gates(cell, mine, slos)
            gates += checked
            rows.append(cell_verdicts(cell, mine, checked, slos, counting=not repeated))
            fits.append(ladder_capacity(mine, checked, sought(cell, slos)))
        searched = any(cell.search for cell in group)  # the repetitions' rates differ
        joined = deployment_verdicts(rows, slos) if repeated and not searched else []
        verdicts += [judged.row for each in rows for judged in each] + joined
        fits += [deployment_capacity(fits, slos)] if repeated else []
        behind = steps_behind(group, kpis, gates, [sought(cell, slos) for cell in group])
        capacity += [{**fit, **of.columns} for fit, of in zip(fits, behind, strict=True)]
    return {
        "schema": 1,
        "note": "this run only" if _once(cells) else None,
        "exploratory": _exploratory(cells),
        "quality": quality(gates, _given_up(cells)),
        "gates": gates,
        "slos": verdicts,
        "capacity": capacity,
        "bottlenecks": bottlenecks(kpis, cells, gates, capacity),
        "headroom": headroom(kpis, cells, gates, capacity),
        "energy": energy_rows(cells),
    }


def _deployments(cells: Sequence[CellData]) -> list[list[CellData]]:
    """Group cells by deployment, in order of appearance; repetitions ascending."""
    groups: dict[str, list[CellData]] = {}
    for cell in cells:
        groups.setdefault(cell.deployment, []).append(cell)
    return [sorted(group, key=lambda cell: cell.repetition) for group in groups.values()]


def sought(cell: CellData, slos: Sequence[Slo]) -> list[Slo]:
    """Give the objectives that the cell's capacity is about: all, or those that it searched for."""
    names = cell.search.get("slos", [slo.name for slo in slos])
    return [slo for slo in slos if slo.name in names]


def _once(cells: Sequence[CellData]) -> bool:
    return any(len(group) < MIN_REPETITIONS for group in _deployments(cells))


def _confirming(cell: CellData) -> list[Mapping[str, Any]]:
    """Give the steps that a verdict rests on: of a search its confirmations."""
    if not cell.search:
        return cell.steps
    kinds = {trial["step"]: trial["kind"] for trial in cell.search["trials"]}
    return [outcome for outcome in cell.steps if kinds.get(outcome["step"]) == "confirm"]


def _given_up(cells: Sequence[CellData]) -> set[tuple[str, int]]:
    """Name the steps that were ended on purpose, before their time."""
    return {
        (cell.name, int(outcome["step"]))
        for cell in cells
        for outcome in cell.steps
        if outcome.get("outcome") == GIVEN_UP
    }


def _exploratory(cells: Sequence[CellData]) -> bool:
    windows = [window_of(outcome) for cell in cells for outcome in _confirming(cell)]
    lengths = [window.seconds for window in windows if window is not None]
    return min(lengths, default=0.0) < CONFIRMATION_SECONDS - CLOCK_SECONDS
