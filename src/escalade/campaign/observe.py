"""A campaign seen from outside: who drives it, and how far it is.

Everything is read from the campaign's folders and asked of Slurm; whoever looks on
disturbs nothing, and may do so from another machine that sees the same folders.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from escalade.campaign import events
from escalade.campaign.configuration import recipes_of
from escalade.campaign.layout import CampaignFolder, is_over
from escalade.campaign.models import Campaign
from escalade.campaign.plan import plan_campaign
from escalade.campaign.run import OPENED, STATE_ROOT, CampaignRun
from escalade.campaign.state import read_allocation
from escalade.campaign.submission import Submission, job_of, latest
from escalade.campaign.submission import is_over as job_is_over
from escalade.errors import EscaladeError, InputError
from escalade.files import read_json
from escalade.runtime.driver import driver_identity, read_driver
from escalade.runtime.slurm.commands import Slurm, SlurmUnreachableError
from escalade.services.validation import nearest, validated

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.runtime.slurm.text import Job

Standing = Literal["waits", "runs", "ended", "unknown"]


@dataclass(frozen=True)
class Driver:
    """Who drives a campaign.

    Parameters
    ----------
    standing
        Whether it waits in a queue, runs, has ended, or can't be seen from here.
    words
        The same as a clause, as in "job 12 runs on node1, 0:47:00 left".
    submission
        The job; None for a process.
    """

    standing: Standing
    words: str
    submission: Submission | None = None


def campaigns() -> list[str]:
    """Name the campaigns that have a run or a submission here."""
    return sorted(path.name for path in STATE_ROOT.glob("*") if path.is_dir())


def insist_on(campaign: str) -> None:
    """Insist that a campaign was run or submitted from this folder.

    Raises
    ------
    InputError
        Naming those that were.
    """
    known = campaigns()
    if campaign not in known:
        raise InputError(
            f"Nothing of a campaign {campaign!r} was started in this folder. "
            f"{nearest(campaign, known) if known else 'No other was either.'}"
        )


def latest_run(campaign: str) -> Path | None:
    """Give the folder of the run that began last; None without any."""
    begun = (STATE_ROOT / campaign).glob(f"*/{OPENED}")
    newest = max(begun, key=lambda path: path.stat().st_mtime, default=None)
    return None if newest is None else newest.parent


def observed(state: Path) -> CampaignRun:
    """Open a run as it was begun, with the cells that it had to measure.

    Raises
    ------
    InputError
        When its folder can't be read.
    """
    opened: Any = read_json(state / OPENED, "campaign of a run")
    campaign = validated(Campaign, opened["campaign"], str(state / OPENED))
    source = str(opened["source"])
    plan = plan_campaign(campaign, recipes_of(campaign, source))
    folder = CampaignFolder(STATE_ROOT.parent / campaign.execution.results / campaign.campaign)
    run = CampaignRun(source, plan, folder, state, ())
    touched = {event.cell for event in events.read(run.events)[0]}
    unfinished = (
        cell
        for cell in plan.cells
        if cell.name in touched or not is_over(folder.cell(cell.name), 1, retry_failed=False)
    )
    return replace(run, unfinished=tuple(unfinished))


def driver_of(campaign: str) -> Driver:
    """Say who drives a campaign, by Slurm where it was submitted, else by the latest run."""
    submission, state = latest(campaign), latest_run(campaign)
    if submission is not None and (state is None or not _by_hand(submission, state)):
        return _job(submission)
    if state is None:
        return Driver("ended", "nothing has run yet")
    return _process(state)


def counts(run: CampaignRun) -> tuple[int, int, int]:
    """Count the cells of a campaign: (measured, failed, left)."""
    outcomes = []
    for cell in run.plan.cells:
        path = run.folder.cell(cell.name).cell
        if path.exists():
            outcomes.append(read_json(path, "outcome of a cell").get("outcome") == "finished")
    return sum(outcomes), len(outcomes) - sum(outcomes), len(run.plan.cells) - len(outcomes)


def where(run: CampaignRun, cell: str) -> str:
    """Say on which nodes a cell runs; empty before it has its allocation."""
    try:
        allocation = read_allocation(run.cell_state(cell))
    except EscaladeError:
        return ""
    job = f"job {allocation.job}, " if allocation.job else ""
    return f"{job}{', '.join(allocation.nodes)}"


def _by_hand(submission: Submission, state: Path) -> bool:
    """Tell whether the latest run was started by hand after the latest submission."""
    driver = read_driver(state)
    return driver.get("job") is None and float(driver["begun_at"]) > submission.at


def _job(submission: Submission) -> Driver:
    slurm = Slurm(timeout_seconds=20.0, patience_seconds=5.0)
    try:
        parts = job_of(submission, slurm)
    except SlurmUnreachableError as error:
        return Driver("unknown", f"job {submission.job}: {error}", submission)
    first = parts[0]
    if job_is_over(parts):
        how = "is over" if first.gone else f"has ended: {first.state}"
        return Driver(
            "ended", f"job {submission.job} {how}; its log is {submission.log}", submission
        )
    if all(part.state.running for part in parts):
        nodes = ", ".join(dict.fromkeys(node for part in parts for node in part.nodes))
        return Driver("runs", f"job {submission.job} runs on {nodes}{_left(first)}", submission)
    return Driver("waits", f"job {submission.job} {_waiting(first, slurm)}", submission)


def _left(job: Job) -> str:
    seconds = job.time_left_seconds
    if seconds is None or seconds == float("inf"):
        return ""
    minutes = int(seconds) // 60
    return f", {minutes // 60}:{minutes % 60:02} h left"


def _waiting(job: Job, slurm: Slurm) -> str:
    reason = f" ({job.reason})" if job.reason not in ("", "None") else ""
    words = f"is {job.state}{reason}"
    try:
        position, count = slurm.position(job)
    except EscaladeError:
        return words
    return f"{words}, number {position} of {count} in partition {job.partition}" if count else words


def _process(state: Path) -> Driver:
    driver = read_driver(state)
    words = f"process {driver['pid']} on {driver.get('host', driver['node'])}"
    if (state / "over.json").exists():
        return Driver("ended", f"{words} has ended")
    identity = driver_identity(state)
    if identity is None:
        return Driver("unknown", f"{words} can't be seen from here")
    return (
        Driver("runs", f"{words} runs") if identity.alive() else Driver("ended", f"{words} is gone")
    )
