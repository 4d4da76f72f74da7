"""A campaign that is driven by jobs: the first one is submitted, each may submit the next.

The driver's job is an allocation like any other, whose batch script is `escalade run`: the
cells of its lane run on its nodes, one after the other, so that no node is taken for the
driver alone. What does not fit its time limit is left to a successor, which waits for it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from escalade.campaign.cluster import of_the_same_lane, request_for
from escalade.campaign.run import STATE_ROOT
from escalade.campaign.site import VARIABLE as SITE_VARIABLE
from escalade.campaign.site import load_site
from escalade.errors import InfrastructureError, InputError
from escalade.files import append_line
from escalade.runtime.slurm.own import HERE, VARIABLE
from escalade.runtime.slurm.script import sbatch_script
from escalade.runtime.toolbox import FOLDER_VARIABLE

if TYPE_CHECKING:
    from escalade.campaign.invocation import Invocation
    from escalade.campaign.run import CampaignRun
    from escalade.runtime.slurm.commands import Slurm
    from escalade.runtime.slurm.request import AllocationRequest
    from escalade.runtime.slurm.text import Job

ANALYSIS_SECONDS = 180.0
"""Time for KPIs, verdicts and report after the last cell [assumed; 15 s for four cells here]."""
WARN_SECONDS = 120.0
"""How long before its end a driver stops what runs."""
BEYOND_SECONDS = ANALYSIS_SECONDS + WARN_SECONDS + 60.0
"""What a driver's job has besides its cells; the signal may come 60 s early."""
_FILE = "submissions.jsonl"
_PASSED_ON = (SITE_VARIABLE, FOLDER_VARIABLE, "XDG_CONFIG_HOME")


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that drives a campaign.

    Parameters
    ----------
    job
        Its id.
    at
        When it was submitted, Unix time in s.
    config, profile
        As `escalade run` takes them, from the folder in which it was submitted.
    log
        Receives what the driver says.
    after
        The job that it goes on from; None for the first one.
    """

    job: str
    at: float
    config: str
    profile: str
    log: str
    after: str | None = None


def submit(
    run: CampaignRun, call: Invocation, slurm: Slurm, *, after: str | None = None
) -> Submission:
    """Submit a driver for the cells that are left, and enter it in the campaign's list.

    Parameters
    ----------
    run
        The campaign; its unfinished cells say how long the job may take.
    call
        What is asked for.
    slurm
        The cluster.
    after
        The job that has to be over first.

    Raises
    ------
    InputError
        When the plan breaks a limit of the site, or Slurm refuses the job.
    InfrastructureError
        When the controller does not answer, or the list can't be written: then the
        job is cancelled again.
    """
    log = run.folder.path / "logs" / f"driver-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    request = replace(driver_request(run, _command(call), log.resolve()), after=after)
    folder = STATE_ROOT / run.name
    folder.mkdir(parents=True, exist_ok=True)
    job = slurm.submit(sbatch_script(request), folder)
    submission = Submission(job, time.time(), str(call.config), call.profile, str(log), after)
    try:
        append_line(folder / _FILE, json.dumps(asdict(submission)))
    except OSError as error:
        slurm.cancel([job])
        raise InfrastructureError(
            f"{folder / _FILE} can't be written: {error.strerror or error}. Job {job} is "
            "cancelled, for nobody would find it again."
        ) from error
    return submission


def driver_request(run: CampaignRun, command: tuple[str, ...], log: Path) -> AllocationRequest:
    """Give what is asked of Slurm for a driver: the allocation of its first lane, and some time.

    Raises
    ------
    InputError
        When a limit of the site is broken.
    """
    campaign = run.plan.campaign
    first = run.unfinished[0]
    request = request_for(
        first,
        campaign,
        load_site(campaign.execution.site),
        command,
        log,
        following=of_the_same_lane(first, run.unfinished, campaign.execution.parallel_cells),
        beyond_seconds=BEYOND_SECONDS,
    )
    return replace(
        request.jobs()[0], name=f"{campaign.campaign}.driver"[:64], warn_seconds=WARN_SECONDS
    )


def latest(campaign: str) -> Submission | None:
    """Give the driver of a campaign that was submitted last; None without any."""
    found = submissions(campaign)
    return found[-1] if found else None


def submissions(campaign: str) -> list[Submission]:
    """Give the drivers of a campaign in the order in which they were submitted."""
    try:
        lines = (STATE_ROOT / campaign / _FILE).read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(Submission(**json.loads(line)))
        except (ValueError, TypeError):  # a line cut short by a crash
            continue
    return found


def job_of(submission: Submission, slurm: Slurm) -> tuple[Job, ...]:
    """Ask Slurm for the components of a driver's job."""
    return slurm.jobs([submission.job])[submission.job]


def is_over(parts: tuple[Job, ...]) -> bool:
    """Tell whether a job holds nothing any more, or is not known at all."""
    return all(part.state.ended or part.gone for part in parts)


def refuse_second(campaign: str, slurm: Slurm) -> None:
    """Insist that no submitted driver of the campaign waits or runs.

    Raises
    ------
    InputError
        Naming the job.
    """
    last = latest(campaign)
    if last is not None and not is_over(parts := job_of(last, slurm)):
        raise InputError(
            f"Campaign {campaign!r} has a driver already: job {last.job} is {parts[0].state}. "
            f"`escalade watch {campaign}` follows it, `escalade cancel {campaign}` ends it."
        )


def _command(call: Invocation) -> tuple[str, ...]:
    """Give what the batch script becomes: `escalade run` in this folder, told whose job it is."""
    told = [f"{name}={os.environ[name]}" for name in _PASSED_ON if os.environ.get(name)]
    here = ("env", "-C", str(Path.cwd()), f"{VARIABLE}={HERE}", *told)
    return (*here, sys.executable, "-P", "-m", *call.words("run"))
