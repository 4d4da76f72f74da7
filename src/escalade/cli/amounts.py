"""What a whole campaign amounts to, as `escalade plan` says it: cells, steps, requests, time, disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.campaign.plan import (
    BYTES_PER_CELL,
    BYTES_PER_REQUEST,
    BYTES_PER_SECOND_OF_CELL,
    describe,
)
from escalade.cli.progress import duration

if TYPE_CHECKING:
    from escalade.campaign.cost import Cost
    from escalade.campaign.run import CampaignRun

LOCAL = "local (this machine)"
DISK_BASIS = (
    f"an estimate: {BYTES_PER_CELL / 1e3:g} kB a cell, {BYTES_PER_REQUEST} B a request, "
    f"{BYTES_PER_SECOND_OF_CELL / 1e3:g} kB a second of a monitored cell, as measured with the demo's "
    "recipe at scrapes every second; more GPUs or metrics take more, and the request log of a "
    "closed loop comes on top"
)


def amounts(opened: CampaignRun, cost: Cost | None) -> dict[str, Any]:
    """Give what the campaign amounts to, measured cells included but for the node-hours.

    Parameters
    ----------
    opened
        The campaign.
    cost
        Of what is left to measure, on a cluster; None on this machine.

    Returns
    -------
    dict
        JSON content: counts; times in s; bytes; node-hours by partition. `requests` is None
        where nobody knows them beforehand: in a closed loop, in a search.
    """
    cells, left = opened.plan.cells, opened.unfinished
    requests = [cell.requests for cell in cells]
    known = [count for count in requests if count is not None]
    return {
        "cells": len(cells),
        "cells_to_measure": len(left),
        "steps": sum(cell.most_steps for cell in cells),
        "steps_are_at_most": any(cell.search for cell in cells),
        "requests": sum(known) if len(known) == len(requests) else None,
        "load_seconds": sum(cell.load_seconds for cell in cells),
        "expected_seconds": opened.plan.expected_seconds,
        "longest_seconds": _longest(opened),
        "node_hours": _node_hours(opened, cost),
        "disk_bytes": opened.plan.disk_bytes,
        "disk_basis": DISK_BASIS,
    }


def _longest(opened: CampaignRun) -> float:
    """Give the wall time if every cell takes its longest, in s."""
    plan = opened.plan
    lanes = min(plan.campaign.execution.parallel_cells, len(plan.cells))
    more = sum(cell.longest_seconds - cell.expected_seconds for cell in plan.cells)
    return plan.expected_seconds + more / lanes


def _node_hours(opened: CampaignRun, cost: Cost | None) -> dict[str, dict[str, float]]:
    if cost is not None:
        return {
            name: {"expected": hours.expected, "at_most": hours.at_most}
            for name, hours in cost.node_hours.items()
        }
    if not opened.unfinished:
        return {}
    lanes = min(opened.plan.campaign.execution.parallel_cells, len(opened.unfinished))
    expected = sum(cell.expected_seconds for cell in opened.unfinished) / lanes
    longest = sum(cell.longest_seconds for cell in opened.unfinished) / lanes
    return {LOCAL: {"expected": expected / 3600, "at_most": longest / 3600}}


def amount_lines(opened: CampaignRun, cost: Cost | None) -> list[str]:
    """Say the same in lines of text."""
    found = amounts(opened, cost)
    lanes = opened.plan.campaign.execution.parallel_cells
    requests = found["requests"]
    asked = "an unknown number of requests" if requests is None else f"{requests:,} requests"
    about = "at most" if found["steps_are_at_most"] else "about"
    size = f"{found['disk_bytes'] / 1e6:.1f} MB in {opened.folder.path}"
    expected, longest = (duration(found[f"{name}_seconds"]) for name in ("expected", "longest"))
    lines = [
        f"{describe(opened.plan.cells)} in {lanes} lane{'s' * (lanes != 1)}: {about} {expected} and {size}.",
        f"{asked} in {duration(found['load_seconds'])} of load; {longest} if every cell takes its longest.",
    ]
    if cost is None and found["node_hours"]:
        hours = found["node_hours"][LOCAL]
        lines.append(
            f"node-hours left, {LOCAL}: {hours['expected']:.2g}, at most {hours['at_most']:.2g}."
        )
    return [*lines, f"disk: {DISK_BASIS}."]
