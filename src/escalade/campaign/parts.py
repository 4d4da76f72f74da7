"""Component benchmarks of a campaign: measured once its cells are over, by a rule of their own."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from escalade.campaign import events
from escalade.errors import InputError
from escalade.suites import stored
from escalade.suites.measure import measure_components

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.campaign.layout import CampaignFolder
    from escalade.campaign.models import Campaign
    from escalade.campaign.run import CampaignRun
    from escalade.suites.components import Component

STAGE = "measure_components"


def measure_parts(run: CampaignRun) -> None:
    """Measure the campaign's components and write their tables.

    What was measured before stays, wherever that was: like a cell, it is not measured again for
    an analysis on another machine. On a cluster nothing is measured outside a job.
    """
    campaign = run.plan.campaign
    told: set[tuple[str, int]] = set()

    def tell(component: Component, repetition: int, *_: float) -> None:
        if (component.name, repetition) not in told:
            told.add((component.name, repetition))
            of = f", repetition {repetition}" * (component.repetitions > 1)
            events.append(run.events, "", STAGE, "note", f"component {component.name}{of}")

    measure_components(
        campaign.components,
        stored.ComponentsFolder(run.folder.components),
        elsewhere=True,
        hindrance=_hindrance(campaign),
        tell=tell,
    )
    write_parts(run.folder, campaign)


def write_parts(folder: CampaignFolder, campaign: Campaign) -> None:
    """Make the tables of a campaign's components from their samples; nothing where it has none."""
    names = [component.name for component in campaign.components]
    if names:
        stored.write_tables(stored.ComponentsFolder(folder.components), names, campaign.campaign)


def wrong_parts(folder: CampaignFolder, campaign: Campaign) -> Sequence[str]:
    """Say which components failed or could not be used, and why."""
    if not campaign.components:
        return []
    try:
        content = stored.read_summary(stored.ComponentsFolder(folder.components))
    except InputError as error:
        return [str(error)]
    wrong = (stored.FAILED, stored.UNUSABLE)
    return [str(entry["reason"]) for entry in content["components"] if entry["status"] in wrong]


def _hindrance(campaign: Campaign) -> str:
    """Say why this is no place to measure; "" where it is one."""
    if campaign.execution.launcher == "local" or "SLURM_JOB_ID" in os.environ:
        return ""
    return (
        f"the rule runs on {socket.gethostname()}, outside any job. Name an executor in the profile "
        "(executor: slurm), or drive the campaign by `escalade submit`"
    )
