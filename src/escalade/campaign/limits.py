"""A request against what the site allows: each refusal names the limit, the value and the key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from escalade.campaign.site import Limits, Site
    from escalade.runtime.slurm.request import ComponentRequest


def limits_of(component: ComponentRequest, site: Site) -> Iterator[tuple[str, str, Limits]]:
    """Give every set of limits that a component is under: what it is called, its key, the limits."""
    key = f"execution.slurm.{component.name}"
    partition = site.limits.partitions.get(component.partition or "")
    if partition is not None:
        yield f"Partition {component.partition} of site {site.site}", f"{key}.partition", partition
    qos = site.limits.qos.get(component.qos or "")
    if qos is not None:
        yield f"QOS {component.qos} of site {site.site}", f"{key}.qos", qos


def jobs_allowed(component: ComponentRequest, site: Site) -> list[tuple[str, int]]:
    """Give the limits on jobs of one user at a time: (name, jobs)."""
    return [
        (where, limits.max_jobs)
        for where, _, limits in limits_of(component, site)
        if limits.max_jobs is not None
    ]


def hours_allowed(component: ComponentRequest, site: Site) -> list[tuple[str, str, float]]:
    """Give the limits on a job's time: (name, key that chose it, hours)."""
    return [
        (where, key, limits.max_hours)
        for where, key, limits in limits_of(component, site)
        if limits.max_hours is not None
    ]


def check_component(component: ComponentRequest, site: Site) -> None:
    """Insist on the limits on nodes, CPUs, memory and GPUs.

    Raises
    ------
    InputError
        Naming limit, value and key.
    """
    cpus, memory = component.cpus or 0, component.memory_mb or 0
    for where, key, limits in limits_of(component, site):
        for name, asked, allowed, what in (
            ("nodes", component.nodes, limits.max_nodes, "nodes a job"),
            ("gpus", component.gpus, limits.gpus, "GPUs a node"),
            ("gpus", component.gpus * component.nodes, limits.max_gpus, "GPUs a job"),
            ("cpus", cpus, limits.cores, "CPUs a node"),
            ("memory_mb", memory, limits.memory_mb, "MiB a node"),
        ):
            if allowed is not None and asked > allowed:
                raise InputError(
                    f"{where} has at most {allowed} {what}, and execution.slurm.{component.name} "
                    f"asks for {asked} (key {name}{_inherited(component)}). Ask for less, or "
                    f"change {key}. The limits are in {site.source}."
                )


def _inherited(component: ComponentRequest) -> str:
    return "; what `all` leaves out is the service's" if component.name == "all" else ""
