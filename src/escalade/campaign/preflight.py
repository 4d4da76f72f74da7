"""Before anything starts: what a campaign needs is there, or one message says what is not."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from escalade.campaign.configuration import beside, recipes_of
from escalade.campaign.cost import cost_of
from escalade.campaign.login_node import login_node, refuse_load_here, submit_words
from escalade.campaign.site import load_site
from escalade.errors import InfrastructureError, InputError
from escalade.runtime import tools
from escalade.services.loader import load_catalogue, resolve_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from escalade.campaign.run import CampaignRun

NEEDED = ("prometheus", "promtool", "node_exporter")
SPARE_BYTES = 200_000_000
"""Left on the disk beyond what the campaign itself is expected to write."""


def preflight(run: CampaignRun, say: Callable[[str], None], *, submits: bool = False) -> None:
    """Check models, tools, disk and the cluster's limits for the cells that are to be measured.

    Parameters
    ----------
    run
        The run.
    say
        Called with a sentence when something takes time, such as fetching a tool.
    submits
        The driver is going to be a job, not this process.

    Raises
    ------
    InputError
        When a model file or something that a recipe needs is missing, or the site
        does not allow what the plan asks for.
    InfrastructureError
        When a tool can't be had or the disk is too full.
    """
    if not run.unfinished:
        return
    refuse_load_here(run)
    _check_cluster(run)
    if not submits:
        _advise(run, say)
    recipes = recipes_of(run.plan.campaign, run.source)
    catalogue = load_catalogue(beside(run.source, "models.yaml"))
    for deployment in run.plan.campaign.deployments:
        recipes[deployment.recipe].check_needs()
        for model in deployment.models:
            resolve_model(catalogue, model)
    _check_disk(run)
    of_recipes = [name for recipe in recipes.values() for name in recipe.needs.tools]
    monitored = any(cell.monitored for cell in run.unfinished)
    for name in (*(NEEDED if monitored else ()), *dict.fromkeys(of_recipes)):
        tools.ensure(name, say=say)


def _check_cluster(run: CampaignRun) -> None:
    execution = run.plan.campaign.execution
    if execution.launcher == "slurm":
        cost = cost_of(run.unfinished, run.plan.campaign, load_site(execution.site))
        if cost.missing:
            raise InputError("\n".join(cost.missing))


def _advise(run: CampaignRun, say: Callable[[str], None]) -> None:
    """Tell who drives from a login node that the driver could be a job."""
    execution = run.plan.campaign.execution
    if execution.launcher != "slurm":
        return
    site = load_site(execution.site)
    if (host := login_node(site)) is not None:
        say(
            f"This is {host}, a login node: the driver ends when you log out. "
            f"{submit_words(run, site)} would run it as a job."
        )


def _check_disk(run: CampaignRun) -> None:
    needed = sum(cell.disk_bytes for cell in run.unfinished) + SPARE_BYTES
    place = _existing(run.folder.path)
    free = shutil.disk_usage(place).free
    if free < needed:
        raise InfrastructureError(
            f"{place.resolve()} has {free / 1e6:.0f} MB left, and this campaign needs about "
            f"{needed / 1e6:.0f} MB. Free some space, or set execution.results to another disk."
        )


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
