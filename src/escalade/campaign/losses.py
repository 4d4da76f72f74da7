"""Attempts that came to nothing: how many, and what they cost in node-hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.errors import EscaladeError
from escalade.files import read_json

if TYPE_CHECKING:
    from escalade.campaign.run import CampaignRun


@dataclass(frozen=True, slots=True)
class Losses:
    """What was set aside of a campaign's cells.

    Parameters
    ----------
    attempts
        Number of attempts that left something behind and no result that counts.
    node_hours
        Nodes of their allocations times hours, of those that tell; from the allocation
        to the last thing that was written.
    untold
        How many of them do not tell: they ended before they had nodes, or are older.
    """

    attempts: int
    node_hours: float
    untold: int

    def describe(self) -> str:
        """Say it in one sentence; empty when nothing was lost."""
        if not self.attempts:
            return ""
        many = f"{self.attempts} attempt{'s' * (self.attempts > 1)}"
        unknown = f", {self.untold} of them without nodes" if self.untold else ""
        return f"{many} came to nothing: {self.node_hours:.2f} node-hours{unknown}"


def losses_of(run: CampaignRun) -> Losses:
    """Add up the attempts of all cells of the plan that were set aside."""
    hours, told, count = 0.0, 0, 0
    for cell in run.plan.cells:
        for attempt in sorted(run.folder.cell(cell.name).attempts.glob("*/")):
            count += 1
            try:
                lost = read_json(attempt / "lost.json", "cost of an attempt")
                hours += len(lost["nodes"]) * (float(lost["until"]) - float(lost["held_at"])) / 3600
                told += 1
            except (EscaladeError, KeyError, TypeError, ValueError):
                continue
    return Losses(count, hours, count - told)
