"""What `escalade plan` says about a cluster: node-hours, jobs, limits, scripts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from rich.table import Table

from escalade.campaign.configuration import beside, recipes_of
from escalade.campaign.cost import UNNAMED, Cost, cost_of
from escalade.campaign.rendering import render_script, render_steps
from escalade.campaign.site import load_site
from escalade.cli.progress import duration
from escalade.services.loader import load_catalogue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from escalade.campaign.cost import PlannedAllocation
    from escalade.campaign.run import CampaignRun
    from escalade.campaign.site import Site


def cost_and_site(opened: CampaignRun) -> tuple[Cost, Site] | None:
    """Give what the campaign costs on its site; None where no cluster takes part.

    Raises
    ------
    InputError
        When the plan breaks a limit of the site.
    """
    execution = opened.plan.campaign.execution
    if execution.launcher != "slurm":
        return None
    site = load_site(execution.site)
    return cost_of(opened.unfinished, opened.plan.campaign, site), site


def cost_json(cost: Cost, site: Site) -> dict[str, Any]:
    """Give the same as JSON content."""
    return {
        "site": site.site,
        "site_file": site.source,
        "topology": cost.topology.kind,
        "reason": cost.topology.reason,
        "allocations": [
            {
                "lane": it.lane,
                "cells": [cell.name for cell in it.cells],
                "time_limit_seconds": it.time_limit_seconds,
                "expected_seconds": it.expected_seconds,
            }
            for it in cost.allocations
        ],
        "jobs": cost.jobs,
        "longest_seconds": cost.longest_seconds,
        "node_hours": {
            name: {"expected": hours.expected, "at_most": hours.at_most}
            for name, hours in cost.node_hours.items()
        },
        "missing": list(cost.missing),
    }


def print_cost(cost: Cost, site: Site, console: Console) -> None:
    """Print components, node-hours and jobs."""
    print_line = partial(console.print, highlight=False, soft_wrap=True, markup=False)
    print_line(f"\nSlurm, site {site.site} ({site.source})")
    if not cost.allocations:
        print_line("Nothing would be submitted.")
        return
    print_line(f"topology {cost.topology.kind}: {cost.topology.reason}")
    console.print(_components(cost))
    console.print(_node_hours(cost))
    count = len(cost.allocations)
    print_line(
        f"{count} allocation{'s' * (count != 1)}, {cost.jobs} job{'s' * (cost.jobs != 1)} as Slurm "
        f"counts them, the longest {duration(cost.longest_seconds)}; waiting in the queue and "
        "repeats of failed cells come on top. A part of a node counts as a node."
    )
    for sentence in cost.missing:
        print_line(f"missing: {sentence}")


def rendered(opened: CampaignRun, cost: Cost, site: Site) -> Iterator[str]:
    """Give the batch scripts and the srun lines, in the order in which they would be used.

    A script that differs from an earlier one in its name and log only is named and
    not written again.
    """
    yield "# Variables stand for what is known once a job runs: $JOB, its nodes, files of a step."
    yield "# Ports are examples, since free ones are taken. Nothing of this was started.\n"
    seen: dict[float, PlannedAllocation] = {}
    for allocation in cost.allocations:
        like = seen.setdefault(allocation.time_limit_seconds, allocation)
        names = ", ".join(cell.name for cell in allocation.cells)
        yield f"# ---- lane {allocation.lane}: one allocation for {names}"
        if like is allocation:
            logs = opened.folder.cell(allocation.cells[0].name).logs.resolve()
            yield render_script(
                allocation,
                opened.plan.campaign,
                site,
                state=opened.state.resolve(),
                log=logs / "allocation.log",
            )
        else:
            yield f"# as that for {like.cells[0].name}, but for its name and log\n"
    yield from _steps(opened, cost, site)


def _steps(opened: CampaignRun, cost: Cost, site: Site) -> Iterator[str]:
    campaign = opened.plan.campaign
    recipes = recipes_of(campaign, opened.source)
    catalogue = load_catalogue(beside(opened.source, "models.yaml"))
    first_of = {cell.deployment.name: cell for cell in reversed(opened.unfinished)}
    for cell in reversed(first_of.values()):
        yield f"# ---- steps of {cell.name}, from the driver"
        recipe = recipes[cell.deployment.recipe]
        for step in render_steps(cell, campaign, recipe, catalogue, cost=cost, site=site):
            yield f"# {step.what}\n{step.line}\n"


def _components(cost: Cost) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("component", "partition", "account", "QOS"):
        table.add_column(name, overflow="fold")
    for name in ("nodes", "CPUs", "memory", "GPUs"):
        table.add_column(name, justify="right", no_wrap=True)
    for part in cost.components:
        memory = {None: "–", 0: "all"}.get(part.memory_mb, f"{part.memory_mb} MiB")
        table.add_row(
            part.name,
            part.partition or UNNAMED,
            part.account or "–",
            part.qos or "–",
            f"{part.nodes}{' whole' * part.exclusive}",
            str(part.cpus or ("all" if part.exclusive else "–")),
            memory,
            str(part.gpus),
        )
    return table


def _node_hours(cost: Cost) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("node-hours in partition", overflow="fold")
    for name in ("expected", "at most"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, hours in cost.node_hours.items():
        table.add_row(name, f"{hours.expected:.2f}", f"{hours.at_most:.2f}")
    return table
