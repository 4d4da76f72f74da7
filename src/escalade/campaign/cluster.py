"""What a cell asks a cluster for: components, topology, time, and which cells share it."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from escalade.campaign.limits import check_component, hours_allowed, jobs_allowed
from escalade.campaign.site import site_file
from escalade.errors import InputError
from escalade.runtime.slurm.request import AllocationRequest, ComponentRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from escalade.campaign.models import Campaign
    from escalade.campaign.plan import Cell
    from escalade.campaign.site import Site

ALLOCATION_OVERHEAD_SECONDS = 60.0
"""Start of the holding step and release, per allocation [assumed; a second on the test cluster]."""
MOST_SECONDS_BY_DEFAULT = 24 * 3600.0
"""How long an allocation of several cells is asked for where no limit is known."""
_JOB_NAME = 64
_HASH = 9


Kind = Literal["split", "pair", "shared"]


@dataclass(frozen=True, slots=True)
class Topology:
    """Whether client and service have components or jobs of their own, and why.

    Parameters
    ----------
    kind
        "split", "pair" or "shared".
    reason
        One sentence.
    """

    kind: Kind
    reason: str


def topology_of(campaign: Campaign, site: Site) -> Topology:
    """Give the topology that the campaign asks for, or decide by the site's limits."""
    wanted = campaign.execution.slurm.topology
    if wanted != "auto":
        return Topology(wanted, f"execution.slurm.topology is {wanted}.")
    apart = not site.limits.heterogeneous_jobs
    split = _components(campaign, "split")
    for where, allowed, needed in jobs_at_once(campaign, split, site):
        if needed > allowed:
            return Topology(
                "shared",
                f"{where} allows {allowed} job{'s' * (allowed > 1)} at a time, and split "
                f"allocations would be {needed} (each component counts as one).",
            )
    if apart:
        return Topology("pair", f"Site {site.site} runs no heterogeneous jobs: two plain ones.")
    return Topology("split", f"No limit of site {site.site} that is known speaks against it.")


def components_of(campaign: Campaign, site: Site) -> tuple[ComponentRequest, ...]:
    """Give the components of an allocation: client and service, or one for all."""
    return _components(campaign, topology_of(campaign, site).kind)


def jobs_at_once(
    campaign: Campaign, components: Sequence[ComponentRequest], site: Site
) -> list[tuple[str, int, int]]:
    """Count the jobs that all lanes have at a time: (limit's name, jobs allowed, jobs needed)."""
    lanes = campaign.execution.parallel_cells
    counted: Counter[tuple[str, int]] = Counter()
    for component in components:
        counted.update(jobs_allowed(component, site))
    return [(where, allowed, lanes * count) for (where, allowed), count in counted.items()]


def seconds_of(cell: Cell, campaign: Campaign) -> float:
    """Give the time that must be left for a cell to be started: its longest and the margin, in s."""
    return cell.longest_seconds * (1 + campaign.execution.slurm.time_margin_ratio)


def of_the_same_lane(cell: Cell, unfinished: Sequence[Cell], lanes: int) -> tuple[Cell, ...]:
    """Give the cells that a lane has after this one when the lanes take turns."""
    names = [other.name for other in unfinished]
    return tuple(unfinished[names.index(cell.name) :: lanes][1:])


def cells_together(
    cells: Sequence[Cell], campaign: Campaign, site: Site, *, beyond_seconds: float = 0.0
) -> tuple[tuple[Cell, ...], float]:
    """Give the first cells that share one allocation, and its time limit in s.

    Parameters
    ----------
    cells
        Those of one lane in their order, at least one.
    campaign
        The campaign, whose `cells_per_allocation` and `time_limit_seconds` count.
    site
        Its limits on the time.
    beyond_seconds
        Time that the allocation has to have besides its cells.

    Raises
    ------
    InputError
        When not even the first cell fits.
    """
    slurm = campaign.execution.slurm
    overhead = ALLOCATION_OVERHEAD_SECONDS + beyond_seconds
    most = _most_seconds(cells[0], campaign, site, overhead)
    wanted = len(cells) if slurm.cells_per_allocation == "auto" else slurm.cells_per_allocation
    total, count = overhead, 0
    for cell in cells[:wanted]:
        if count and total + seconds_of(cell, campaign) > most:
            break
        total += seconds_of(cell, campaign)
        count += 1
    limit = slurm.time_limit_seconds or min(math.ceil(total / 60) * 60, most)
    return tuple(cells[:count]), limit


def request_for(
    cell: Cell,
    campaign: Campaign,
    site: Site,
    command: Sequence[str],
    log: Path,
    *,
    following: Sequence[Cell] = (),
    beyond_seconds: float = 0.0,
) -> AllocationRequest:
    """Give what is asked of Slurm for a cell, and for those after it that share the allocation.

    Parameters
    ----------
    cell
        The cell that the allocation begins with.
    campaign
        Resolved, with the site's defaults in it.
    site
        Its limits are insisted on.
    command
        What the batch script becomes.
    log
        Receives what it writes.
    following
        Further cells of the lane, as `of_the_same_lane` gives them; as many of them
        as fit are counted into the time limit.
    beyond_seconds
        As in `cells_together`.

    Raises
    ------
    InputError
        When a limit of the site is broken, or the site requires what is not given.
    """
    components = components_of(campaign, site)
    _, seconds = cells_together((cell, *following), campaign, site, beyond_seconds=beyond_seconds)
    for component in components:
        check_component(component, site)
    if missing := missing_keys(components, site):
        raise InputError("\n".join(missing))
    return AllocationRequest(
        name=job_name(campaign.campaign, cell),
        components=components,
        apart=topology_of(campaign, site).kind == "pair",
        time_limit_seconds=seconds,
        log=log,
        command=tuple(command),
        setup=campaign.execution.slurm.setup,
    )


def missing_keys(components: Sequence[ComponentRequest], site: Site) -> list[str]:
    """Name what the site requires of a job and nothing gives: one sentence per key."""
    lacking = {
        key: [part.name for part in components if getattr(part, key) is None]
        for key in site.required
    }
    return [
        f"Site {site.site} takes no job without {key}, and none is given for {' and '.join(names)}: set "
        f"`{key}` in {site_file()} (`escalade init --site {site.site}` writes it)."
        for key, names in lacking.items()
        if names
    ]


def job_name(campaign: str, cell: Cell) -> str:
    """Name the job so that squeue shows campaign and cell; its end, the hash, is kept."""
    whole = f"{campaign}.{cell.name}"
    return whole if len(whole) <= _JOB_NAME else whole[: _JOB_NAME - _HASH] + whole[-_HASH:]


def _components(campaign: Campaign, kind: Kind) -> tuple[ComponentRequest, ...]:
    slurm = campaign.execution.slurm
    if kind == "shared":
        return (slurm.all.request("all"),)
    return slurm.client.request("client"), slurm.service.request("service")


def _most_seconds(first: Cell, campaign: Campaign, site: Site, overhead: float) -> float:
    """Give the longest that an allocation may be asked for; refuse when the first cell needs more."""
    needed = overhead + seconds_of(first, campaign)
    allowed = [
        (hours * 3600 // 60 * 60, where, key)  # Slurm counts minutes
        for component in components_of(campaign, site)
        for where, key, hours in hours_allowed(component, site)
    ]
    seconds, where, key = min(allowed, default=(math.inf, "", ""))
    if (stated := campaign.execution.slurm.time_limit_seconds) is not None:
        if stated > seconds:
            raise InputError(
                f"execution.slurm.time_limit_seconds is {stated:g} ({stated / 3600:.1f} h), and "
                f"{where} allows {seconds / 3600:g} h. Lower it, or change {key}."
            )
        if stated < needed:
            raise InputError(
                f"execution.slurm.time_limit_seconds is {stated:g}, and cell {first.name} may take "
                f"{needed:.0f} s with its margin, so that no cell would be started. Raise it, or "
                "leave it out."
            )
        return stated
    if seconds < needed:
        raise InputError(
            f"Cell {first.name} may take {needed / 3600:.1f} h with its margin, and {where} allows "
            f"{seconds / 3600:g} h. Shorten load.ladder or load.drain_timeout_seconds, or change "
            f"{key}."
        )
    return seconds if math.isfinite(seconds) else max(needed, MOST_SECONDS_BY_DEFAULT)
