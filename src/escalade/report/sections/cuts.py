"""What the page of a large campaign leaves out, so that it can be opened and sent, and where that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.data import MOST_DRAWN

if TYPE_CHECKING:
    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts

MOST_GATES = 600
"""Rows up to which the table of gates lists those that passed, too."""
WHERE = "report.json has all of them"


def shown_gates(data: ReportData) -> list[dict[str, Any]]:
    """Give the gates that the page lists: all, or those of a large campaign that did not pass."""
    if len(data.gates) <= MOST_GATES:
        return data.gates
    return [row for row in data.gates if row.get("outcome") != "pass"]


def is_drawn(cell: CellFacts) -> bool:
    """Tell whether a cell has figures and tables of its own on the page."""
    return cell.number <= MOST_DRAWN


def cuts(data: ReportData) -> dict[str, str]:
    """Say what is left out: of the figures per cell, and of the table of gates; empty where nothing is."""
    lost = len(data.facts) - len(data.drawn)
    gates = len(data.gates) - len(shown_gates(data))
    return {
        "drawn": f"Drawn for the first {len(data.drawn)} of {words.counted(len(data.facts), 'cell')}; "
        f"the points of the others are in report.json."
        if lost
        else "",
        "instrument": "Figures of load generator and monitoring are in kpis.csv and report.json."
        if lost
        else "",
        "gates": f"{words.counted(gates, 'gate')} that passed {'is' if gates == 1 else 'are'} not listed; "
        f"{WHERE}."
        if gates
        else "",
    }
