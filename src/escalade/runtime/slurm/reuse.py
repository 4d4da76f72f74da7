"""Which held job serves the next cell, and what becomes of those that may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError
from escalade.runtime.slurm import jobs
from escalade.runtime.slurm.own import own_job
from escalade.runtime.slurm.pool import Pool

if TYPE_CHECKING:
    from escalade.runtime.driver import RunFolder
    from escalade.runtime.launcher import Place
    from escalade.runtime.slurm.queue import Order, Queue


def offer_own_job(run: RunFolder) -> None:
    """Offer the driver's own job to the cells of a run; nothing where it has none."""
    if job := own_job():
        give_back(run, job, [])


def take(run: RunFolder, order: Order, cell: str, queue: Queue) -> tuple[str, list[Place]] | None:
    """Take a job of an earlier cell that may serve for this one; cancel one that may not.

    Returns
    -------
    tuple of str and list of Place, or None
        The job and its places; none when it is the driver's own and new. None when a
        job has to be asked for.

    Raises
    ------
    InfrastructureError
        When the driver's own job is free, and ends too early for the cell.
    """
    pool = Pool(run.held)
    for job in pool.jobs():
        places = pool.take(job)
        if places is None:
            continue
        left = queue.seconds_left(job)
        if job == own_job():
            if left >= order.needed_seconds:
                return job, places
            pool.put(job, places)
            raise InfrastructureError(
                f"Job {job}, which drives this campaign, ends in {left:.0f} s, and this cell may "
                f"take {order.needed_seconds:.0f} s: it is left to the next job."
            )
        full = order.most_cells is not None and jobs.cells(run.jobs, job) >= order.most_cells
        if not full and left >= order.needed_seconds:
            jobs.record(run.jobs, job, cell)
            return job, places
        queue.end(job)
        jobs.ended(run.jobs, job)
    return None


def give_back(run: RunFolder, job: str, places: list[Place]) -> None:
    """Offer a job to the next cell again."""
    Pool(run.held).put(job, places)
