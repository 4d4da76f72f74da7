"""What a campaign costs on a cluster before anything is submitted: jobs, hours, limits."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.campaign.cluster import (
    ALLOCATION_OVERHEAD_SECONDS,
    cells_together,
    components_of,
    jobs_at_once,
    missing_keys,
    topology_of,
)
from escalade.campaign.limits import check_component
from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.campaign.cluster import Topology
    from escalade.campaign.models import Campaign
    from escalade.campaign.plan import Cell
    from escalade.campaign.site import Site
    from escalade.runtime.slurm.request import ComponentRequest

UNNAMED = "the default"
"""Stands for the partition where none is named."""


@dataclass(frozen=True, slots=True)
class PlannedAllocation:
    """One allocation of the plan.

    Parameters
    ----------
    lane
        Number of its lane, from 1.
    cells
        Those that run in it, one after the other.
    time_limit_seconds
        Asked of Slurm.
    expected_seconds
        How long it is likely held.
    """

    lane: int
    cells: tuple[Cell, ...]
    time_limit_seconds: float
    expected_seconds: float


@dataclass(frozen=True, slots=True)
class NodeHours:
    """Node-hours in one partition; a part of a node counts as a node.

    Parameters
    ----------
    expected
        When everything goes as planned.
    at_most
        When every allocation is held until its time limit.
    """

    expected: float
    at_most: float


@dataclass(frozen=True, slots=True)
class Cost:
    """Jobs and hours of the cells that are not measured yet; repeats of failed cells excluded.

    Parameters
    ----------
    topology
        Of every allocation.
    components
        Of every allocation.
    allocations
        In the order of lanes.
    node_hours
        By partition.
    missing
        What the site requires and nothing gives, one sentence each.
    """

    topology: Topology
    components: tuple[ComponentRequest, ...]
    allocations: tuple[PlannedAllocation, ...]
    node_hours: dict[str, NodeHours]
    missing: tuple[str, ...]

    @property
    def jobs(self) -> int:
        """Number of jobs as Slurm counts them: each component is one."""
        return len(self.allocations) * len(self.components)

    @property
    def longest_seconds(self) -> float:
        """Time limit of the longest allocation, in s; 0 without any."""
        return max((it.time_limit_seconds for it in self.allocations), default=0.0)


def cost_of(cells: Sequence[Cell], campaign: Campaign, site: Site) -> Cost:
    """Lay out the allocations of a campaign and add up what they cost.

    Parameters
    ----------
    cells
        Those that are to be measured, in the plan's order.
    campaign
        Resolved, with the site's defaults in it.
    site
        Its limits.

    Raises
    ------
    InputError
        When the plan breaks a limit of the site: names limit, value and key.
    """
    components = components_of(campaign, site)
    _check(campaign, components, site)
    lanes = campaign.execution.parallel_cells
    allocations = tuple(
        allocation
        for lane in range(lanes)
        for allocation in _of_lane(lane + 1, cells[lane::lanes], campaign, site)
    )
    return Cost(
        topology_of(campaign, site),
        components,
        allocations,
        _node_hours(components, allocations),
        tuple(missing_keys(components, site)),
    )


def _of_lane(
    lane: int, cells: Sequence[Cell], campaign: Campaign, site: Site
) -> list[PlannedAllocation]:
    allocations = []
    while cells:
        together, limit = cells_together(cells, campaign, site)
        expected = ALLOCATION_OVERHEAD_SECONDS + sum(cell.expected_seconds for cell in together)
        allocations.append(PlannedAllocation(lane, together, limit, min(expected, limit)))
        cells = cells[len(together) :]
    return allocations


def _node_hours(
    components: Sequence[ComponentRequest], allocations: Sequence[PlannedAllocation]
) -> dict[str, NodeHours]:
    nodes: dict[str, int] = defaultdict(int)
    for component in components:
        nodes[component.partition or UNNAMED] += component.nodes
    expected = sum(it.expected_seconds for it in allocations) / 3600
    most = sum(it.time_limit_seconds for it in allocations) / 3600
    return {name: NodeHours(count * expected, count * most) for name, count in nodes.items()}


def _check(campaign: Campaign, components: Sequence[ComponentRequest], site: Site) -> None:
    kind = topology_of(campaign, site).kind
    if kind == "split" and not site.limits.heterogeneous_jobs:
        raise InputError(
            f"Site {site.site} runs no heterogeneous jobs (limits.heterogeneous_jobs in "
            f"{site.source}), and execution.slurm.topology is split. Write pair, shared or auto."
        )
    for component in components:
        check_component(component, site)
    for where, allowed, needed in jobs_at_once(campaign, components, site):
        if needed > allowed:
            raise InputError(
                f"{where} allows {allowed} job{'s' * (allowed > 1)} of one user at a time, and "
                f"execution.parallel_cells is {campaign.execution.parallel_cells} with "
                f"{len(components)} component{'s' * (len(components) > 1)} each, that is {needed}. "
                f"Lower it{_or_share(components)}, or choose another QOS. The limits are in "
                f"{site.source}."
            )


def _or_share(components: Sequence[ComponentRequest]) -> str:
    return ", write topology: shared or auto" if len(components) > 1 else ""
