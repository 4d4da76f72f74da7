"""The command plan: what a campaign will measure, and what that costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from escalade.campaign.configuration import merged, profile_configuration, read_configuration
from escalade.campaign.design import PAIRED, order_words
from escalade.campaign.presets import given_by_suite
from escalade.campaign.run import open_run
from escalade.campaign.search import searched_slos
from escalade.campaign.standards import shortfalls
from escalade.cli import allocations
from escalade.cli.amounts import amount_lines, amounts
from escalade.cli.arguments import Configuration  # noqa: TC001 - typer reads it
from escalade.cli.progress import duration
from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.campaign.cost import Cost
    from escalade.campaign.models import Campaign
    from escalade.campaign.plan import Cell, Plan
    from escalade.campaign.run import CampaignRun
    from escalade.campaign.site import Site
    from escalade.load.schedule import StepPlan


def plan(
    config: Configuration = Path("config/config.yaml"),
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    profile: Annotated[
        str | None, typer.Option(help="Snakemake profile, such as profiles/slurm or meluxina.")
    ] = None,
    render: Annotated[
        bool, typer.Option("--render", help="Print batch scripts and srun lines too.")
    ] = False,
) -> None:
    """Print cells, steps, requests, duration, disk use and node-hours; nothing is started."""
    content = read_configuration(config)
    if profile is not None:
        content = merged(content, profile_configuration(profile))
    opened = open_run(content, [str(config)])
    cluster = allocations.cost_and_site(opened)
    cost = None if cluster is None else cluster[0]
    if as_json:
        slurm = {} if cluster is None else {"slurm": allocations.cost_json(*cluster)}
        suite = {"suite": given_by_suite(content)} if content.get("suite") else {}
        typer.echo(json.dumps({**_plan_json(opened, cost), **suite, **slurm}, indent=1))
        return
    console = Console()
    console.print(_plan_table(opened))
    _print_totals(opened, cost, console)
    _print_suite(content, opened, console)
    if cluster is not None:
        allocations.print_cost(*cluster, console)
    if render:
        _render(opened, cluster)


def _render(opened: CampaignRun, cluster: tuple[Cost, Site] | None) -> None:
    if cluster is None:
        raise InputError(
            "--render writes what Slurm would get, and execution.launcher is local. Add --profile "
            "profiles/slurm, or another profile that says launcher: slurm."
        )
    for text in allocations.rendered(opened, *cluster):
        typer.echo(text)


def _plan_json(opened: CampaignRun, cost: Cost | None) -> dict[str, object]:
    unfinished = {cell.name for cell in opened.unfinished}
    return {
        "campaign": opened.name,
        "expected_seconds": opened.plan.expected_seconds,
        "disk_bytes": opened.plan.disk_bytes,
        "totals": amounts(opened, cost),
        "stale": opened.plan.stale(opened.folder),
        "components": [part.name for part in opened.plan.campaign.components],
        "short": [each.words for each in shortfalls(opened.plan.campaign)],
        **_design_json(opened.plan.campaign),
        "cells": [
            {
                "cell": cell.name,
                "measured": cell.name not in unfinished,
                **_plan_steps(cell),
                "window_seconds": cell.window_seconds,
                "expected_seconds": cell.expected_seconds,
                "longest_seconds": cell.longest_seconds,
                "disk_bytes": cell.disk_bytes,
            }
            for cell in opened.plan.cells
        ],
    }


def _print_suite(content: dict[str, object], opened: CampaignRun, console: Console) -> None:
    """Say what a preset gave, and which steps fall short of the standards."""
    lines = []
    if content.get("suite"):
        given = given_by_suite(content)
        listed = ", ".join(f"{key}: {value}" for key, value in given.items())
        gives = f"gives {listed}" if given else "gives nothing: every key is written out"
        lines.append(f"suite {content['suite']} {gives}")
    lines += [f"short: {each.words}" for each in shortfalls(opened.plan.campaign)]
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _design_json(campaign: Campaign) -> dict[str, object]:
    if campaign.design != PAIRED:
        return {}
    return {"design": PAIRED, "why": order_words(campaign)}


def _plan_steps(cell: Cell) -> dict[str, object]:
    if cell.search is None:
        return {"steps": len(cell.steps), "requests": cell.requests}
    least, most = cell.step_range
    return {"steps": None, "steps_least": least, "steps_most": most, "requests": None}


def _plan_table(opened: CampaignRun) -> Table:
    table = Table(title=f"Campaign {opened.name}", title_justify="left", box=None, pad_edge=False)
    table.add_column("cell", overflow="fold")
    for name in ("steps", "requests", "expected", "at most", "disk", "state"):
        table.add_column(name, justify="right", no_wrap=True)
    unfinished = {cell.name for cell in opened.unfinished}
    for cell in opened.plan.cells:
        searches = cell.search is not None
        table.add_row(
            cell.name,
            "–".join(map(str, cell.step_range)) if searches else str(len(cell.steps)),
            "unknown" if cell.requests is None else str(cell.requests),
            f"{'≤ ' * searches}{duration(cell.expected_seconds)}",
            duration(cell.longest_seconds),
            f"{cell.disk_bytes / 1e6:.1f} MB",
            "to measure" if cell.name in unfinished else "measured",
        )
    return table


def _ladder(steps: Sequence[StepPlan]) -> str:
    if all(step.target_qps is not None for step in steps):
        rungs = ", ".join(f"{s.target_qps:g} × {s.window_seconds:g} s" for s in steps)
        return f"ladder (requests/s × window): {rungs}"
    rungs = "; ".join(f"{step.words} × {step.window_seconds:g} s" for step in steps)
    if not any(step.open_ended for step in steps):
        return f"ladder (load × longest time): {rungs}"
    return (
        f"ladder (load × window): {rungs}\nThe service sets the rate of a closed loop: the number "
        "of requests is not known beforehand, and their log comes on top of the disk space."
    )


def _what_is_run(whole: Plan) -> str:
    """Name the rungs of the ladder, or say what is searched for and within what."""
    search = whole.cells[0].search
    if search is None:
        return _ladder(whole.cells[0].steps)
    slos = ", ".join(slo.name for slo in searched_slos(whole.campaign))
    return (
        f"search for the rate up to which {slos} hold{'s' * (', ' not in slos)}: from "
        f"{search.start_qps:g} requests/s by factors of {search.factor:g}, then by halves to "
        f"{100 * search.resolution:g} %; within {search.budget_seconds:g} s of load and "
        f"{search.budget_trials} trials a cell, the confirmation among them "
        f"({search.confirmation_seconds:g} s)"
    )


def _print_totals(opened: CampaignRun, cost: Cost | None, console: Console) -> None:
    whole = opened.plan
    console.print(_what_is_run(whole), highlight=False, soft_wrap=True)
    if whole.campaign.design == PAIRED:
        console.print(order_words(whole.campaign), highlight=False, soft_wrap=True)
    for line in amount_lines(opened, cost):
        console.print(line, highlight=False, soft_wrap=True, markup=False)
    if parts := whole.campaign.components:
        names = ", ".join(part.name for part in parts)
        longest = sum(part.longest_seconds for part in parts)
        console.print(
            f"Then {len(parts)} component{'s' * (len(parts) != 1)}: {names}; at most {duration(longest)}.",
            highlight=False,
            soft_wrap=True,
        )
    for name in whole.stale(opened.folder):
        console.print(
            f"stale: {opened.folder.path}/cells/{name} was measured under another definition; "
            "it is kept and takes no part. Remove it when you do not need it.",
            highlight=False,
            soft_wrap=True,
        )
    if not opened.unfinished:
        console.print(
            f"Nothing is left to measure. Report: {opened.folder.report}", highlight=False
        )
