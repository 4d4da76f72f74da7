"""What one submitted driver does of a campaign: the cells that fit its time, and the next job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.campaign.cluster import seconds_of
from escalade.campaign.design import PAIRED, whole_pairs
from escalade.campaign.submission import BEYOND_SECONDS, Submission, submit
from escalade.runtime.slurm.commands import Slurm
from escalade.runtime.slurm.own import claim
from escalade.runtime.slurm.queue import Queue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.campaign.invocation import Invocation
    from escalade.campaign.plan import Cell
    from escalade.campaign.run import CampaignRun


class Turn:
    """The turn of a driver that is a job.

    Parameters
    ----------
    job
        The driver's own.
    run
        The campaign as the driver finds it.
    slurm
        The cluster.
    """

    def __init__(self, job: str, run: CampaignRun, slurm: Slurm) -> None:
        self._job = job
        self._slurm = slurm
        self._left_at_first = len(run.unfinished)
        self._begun = 0

    @classmethod
    def of(cls, run: CampaignRun) -> Turn | None:
        """Give the turn of this process; None when it is not in a job of its own."""
        job = claim()
        return None if job is None else cls(job, run, Slurm())

    def cells(self, run: CampaignRun) -> tuple[Cell, ...]:
        """Give the first unfinished cells that end before this job does."""
        campaign = run.plan.campaign
        seconds = Queue(self._slurm).seconds_left(self._job) - BEYOND_SECONDS
        each = campaign.execution.slurm.cells_per_allocation
        lanes = campaign.execution.parallel_cells
        most = len(run.unfinished) if each == "auto" else max(0, each * lanes - self._begun)
        chosen = fitting(
            [seconds_of(cell, campaign) for cell in run.unfinished[:most]], lanes, seconds
        )
        if campaign.design == PAIRED:
            chosen = whole_pairs(run.unfinished, chosen)
        self._begun += chosen
        return run.unfinished[:chosen]

    def progressed(self, run: CampaignRun) -> bool:
        """Tell whether a cell was finished in this turn; without one a successor would not help."""
        return len(run.unfinished) < self._left_at_first

    def hand_over(self, run: CampaignRun, call: Invocation) -> Submission:
        """Submit the job that goes on when this one is over.

        Raises
        ------
        InputError
            When Slurm refuses it.
        InfrastructureError
            When the controller does not answer.
        """
        return submit(run, call, self._slurm, after=self._job)


def fitting(needed: Sequence[float], lanes: int, seconds: float) -> int:
    """Count the first cells that fit when lanes take turns.

    Parameters
    ----------
    needed
        Time of each cell, in s.
    lanes
        How many cells run side by side.
    seconds
        Time that every lane has.
    """
    taken = [0.0] * lanes
    for position, cell in enumerate(needed):
        taken[position % lanes] += cell
        if taken[position % lanes] > seconds:
            return position
    return len(needed)
