"""The job in which the driver itself runs, when it was submitted as one.

Such a job is the first allocation of its run: its nodes serve one cell after the other
while its batch script drives the campaign. It ends with the driver, never before.
"""

from __future__ import annotations

import os

VARIABLE = "ESCALADE_DRIVER_JOB"
"""Set in the batch script of a driver, and inherited by the stages that it starts."""
HERE = "here"
"""Its value in the batch script, which can't know its job's id before it is submitted."""


def own_job() -> str | None:
    """Give the id of the job that this process drives from; None for any other process."""
    told = os.environ.get(VARIABLE)
    return os.environ.get("SLURM_JOB_ID") if told == HERE else told or None


def claim() -> str | None:
    """Write the id into the environment: stages may run in other jobs, with other ids."""
    if job := own_job():
        os.environ[VARIABLE] = job
    return job
