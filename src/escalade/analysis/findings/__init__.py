"""Findings: what the figures of a campaign mean, why, and what to try next.

Each comes from a rule, which is data (`RULES`); docs/findings.md lists them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.analysis.findings.rule import FINE, KINDS, UNSEEN
from escalade.analysis.findings.rules import RULES
from escalade.analysis.findings.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.cell import CellData

__all__ = ["RULES", "findings"]


def findings(
    verdicts: Mapping[str, Any], kpis: pd.DataFrame, cells: Sequence[CellData]
) -> list[dict[str, Any]]:
    """Look at every deployment with every rule.

    Parameters
    ----------
    verdicts
        Content of verdicts.json: gates, slos, capacity, bottlenecks, and what else is there.
    kpis
        KPI rows of all cells.
    cells
        What was measured, in the order of the plan.

    Returns
    -------
    list of dict
        Section `findings` of verdicts.json, ranked: problems, limits, advice, then what could
        not be checked and what was found fine; within a kind in the order of the rules. Each
        has rank (from 1), rule, kind, deployment, title and `measured`; those that fired also
        cells, steps, means, why, next and evidence.
    """
    names = dict.fromkeys(cell.deployment for cell in cells)
    subjects = [
        Subject(name, [cell for cell in cells if cell.deployment == name], kpis, verdicts)
        for name in names
    ]
    rows = [
        rule.row(subject, answer)
        for rule in RULES
        for subject in subjects
        if (answer := rule.check(subject)) is not None
    ]
    ranked = sorted(rows, key=lambda row: KINDS.index(row["kind"]))
    return [{"rank": rank, **row} for rank, row in enumerate(ranked, start=1)]


def fired(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Give the findings that say something is to be looked at."""
    return [row for row in rows if row["kind"] not in (FINE, UNSEEN)]
