"""Findings: what the figures of a campaign mean, why, and what to try next.

Each comes from a rule, which is data (`RULES`); docs/findings.md lists them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.analysis.findings.rule import FINE, KINDS, UNSEEN, Unseen
from escalade.analysis.findings.rules import RULES
from escalade.analysis.findings.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData

__all__ = ["RULES", "findings"]

MONITORING_OFF = "monitoring-off"
"""What the row is called that tells of all rules that a deployment without monitoring has no samples for."""


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
        cells, steps, means, why, next and evidence. What a deployment without monitoring has no
        samples for is one row, `monitoring-off`.
    """
    names = dict.fromkeys(cell.deployment for cell in cells)
    subjects = [
        Subject(name, [cell for cell in cells if cell.deployment == name], kpis, verdicts)
        for name in names
    ]
    rows: list[dict[str, Any]] = []
    unscraped: dict[str, list[str]] = {}
    for rule in RULES:
        for subject in subjects:
            answer = rule.check(subject)
            if isinstance(answer, Unseen) and answer.unscraped:
                unscraped.setdefault(subject.name, []).append(rule.name)
            elif answer is not None:
                rows.append(rule.row(subject, answer))
    rows += [_unscraped(name, rules) for name, rules in unscraped.items()]
    ranked = sorted(rows, key=lambda row: KINDS.index(row["kind"]))
    return [{"rank": rank, **row} for rank, row in enumerate(ranked, start=1)]


def _unscraped(deployment: str, rules: Sequence[str]) -> dict[str, Any]:
    """Tell in one row what could not be checked for want of samples."""
    names = ", ".join(rules)
    return {
        "rule": MONITORING_OFF,
        "kind": UNSEEN,
        "deployment": deployment,
        "title": "Nothing was scraped",
        "measured": f"monitoring is off, so {len(rules)} rules had no samples to look at: {names}",
    }


def fired(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Give the findings that say something is to be looked at."""
    return [row for row in rows if row["kind"] not in (FINE, UNSEEN)]
