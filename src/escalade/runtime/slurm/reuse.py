"""Which held job serves the next cell, and what becomes of those that may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError
from escalade.runtime.slurm import jobs
from escalade.runtime.slurm.own import own_job
from escalade.runtime.slurm.pool import Pool

if TYPE_CHECKING:
    from escalade.runtime.allocation import Place
    from escalade.runtime.driver import RunFolder
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
        if (own := own_job()) in jobs.parts(job):
            return _take_own(run, str(own), (job, places), order, queue)
        full = order.most_cells is not None and jobs.cells(run.jobs, job) >= order.most_cells
        if not full and queue.seconds_left(job) >= order.needed_seconds:
            jobs.record(run.jobs, job, cell)
            return job, places
        queue.end(job)
        jobs.ended(run.jobs, job)
    return None


def let_go(run: RunFolder, job: str, places: list[Place], queue: Queue) -> None:
    """End the jobs of a cell that are still there, and offer the driver's own to the next one."""
    own = own_job() if own_job() in jobs.parts(job) else None
    if own == job:
        give_back(run, job, places)
        return
    others = [part for part in jobs.parts(job) if part in jobs.left(run.jobs)]
    if others:
        queue.end(",".join(others))
        jobs.ended(run.jobs, ",".join(others))
    if own is not None:
        give_back(run, own, [])


def give_back(run: RunFolder, job: str, places: list[Place]) -> None:
    """Offer a job to the next cell again."""
    Pool(run.held).put(job, places)


def _take_own(
    run: RunFolder, own: str, offered: tuple[str, list[Place]], order: Order, queue: Queue
) -> tuple[str, list[Place]]:
    """Take the driver's own job, with the one beside it as long as that lasts."""
    job, places = offered
    left = queue.seconds_left(own)
    if left < order.needed_seconds:
        give_back(run, job, places)
        raise InfrastructureError(
            f"Job {own}, which drives this campaign, ends in {left:.0f} s, and this cell may take "
            f"{order.needed_seconds:.0f} s: it is left to the next job."
        )
    if own != job and queue.seconds_left(job) < order.needed_seconds:
        let_go(run, job, places, queue)
        Pool(run.held).take(own)
        return own, []
    return job, places
