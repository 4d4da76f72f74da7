"""What Snakemake's executor plugin for Slurm is told of a rule that runs as a job of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from escalade.campaign.cluster import components_of, seconds_of
from escalade.campaign.site import load_site

if TYPE_CHECKING:
    from escalade.campaign.models import Campaign
    from escalade.campaign.run import CampaignRun
    from escalade.runtime.slurm.request import ComponentRequest

ANALYSIS_MINUTES = 30
ANALYSIS_MEMORY_MB = 4000

Resources = dict[str, str | int]


def analysis_resources(campaign: Campaign) -> Resources:
    """Give the resources of a rule that reduces cells to tables and pages."""
    if campaign.execution.launcher == "local":
        return {}
    where = _where(_client(campaign))
    return {**where, "runtime": ANALYSIS_MINUTES, "mem_mb": ANALYSIS_MEMORY_MB, "cpus_per_task": 1}


def component_resources(campaign: Campaign) -> Resources:
    """Give the resources of component benchmarks: what the service of a cell gets.

    A node of the service's kind, so that its GPU and its CPUs are what is measured.
    """
    if campaign.execution.launcher == "local" or not campaign.components:
        return {}
    part = components_of(campaign, load_site(campaign.execution.site))[-1]
    longest = sum(component.longest_seconds for component in campaign.components)
    resources: Resources = {**_where(part), "runtime": math.ceil(longest / 60) + 1}
    if part.memory_mb:
        resources["mem_mb"] = part.memory_mb
    if part.cpus:
        resources["cpus_per_task"] = part.cpus
    if part.gpus:
        kind = f"gpu:{part.gpu_type}" if part.gpu_type else "gpu"
        resources["gres"] = f"{kind}:{part.gpus}"
    return resources


def load_resources(run: CampaignRun) -> Resources:
    """Give the resources of the load; none where it is a step of the held allocation."""
    campaign = run.plan.campaign
    if not run.load_as_job:
        return {}
    part = _client(campaign)
    longest = max((seconds_of(cell, campaign) for cell in run.unfinished), default=0.0)
    resources: Resources = {**_where(part), "runtime": math.ceil(longest / 60) + 1}
    if part.memory_mb:
        resources["mem_mb"] = part.memory_mb
    if part.cpus:
        resources["cpus_per_task"] = part.cpus
    return resources


def _client(campaign: Campaign) -> ComponentRequest:
    """Give the client's component, or the one for all."""
    return components_of(campaign, load_site(campaign.execution.site))[0]


def _where(part: ComponentRequest) -> Resources:
    named = {
        "slurm_partition": part.partition,
        "slurm_account": part.account,
        "qos": part.qos,
        "constraint": part.constraint,
    }
    extra = [f"--reservation={part.reservation}"] if part.reservation else []
    if words := " ".join([*extra, *part.extra]):
        named["slurm_extra"] = words
    return {key: value for key, value in named.items() if value is not None}
