"""What the nodes of a job are: asked when it runs, before anything is started there."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any

from escalade.runtime.allocation import Place
from escalade.runtime.slurm import routes, steps
from escalade.runtime.slurm.node import node_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from escalade.runtime.slurm.queue import Order
    from escalade.runtime.slurm.text import Job


def places_of(job: str, components: Sequence[Job], order: Order, folder: Path) -> list[Place]:
    """Ask every node of a job for what the allocation has of it: the client's first.

    Parameters
    ----------
    job
        Its id.
    components
        As Slurm tells of them.
    order
        What was asked for; where it names no interface, the address of a node is the
        first that the client reaches, from each of its nodes.
    folder
        Where nodes leave notes for each other.

    Raises
    ------
    InfrastructureError
        When a node does not answer, or can't be reached by the client.
    """
    shared = len(components) == 1
    places: list[Place] = []
    for component, wanted in zip(components, order.request.components, strict=True):
        group = None if shared else component.het_offset
        for node in component.nodes:
            own = component.id if order.request.apart else None
            asked = Place(node, node, (), ("?",) * wanted.gpus, group, wanted.cpus, own)
            facts = steps.call(job, asked, node_facts, order.interface)
            clients = places[: order.request.clients]
            address = _address(job, asked, facts["addresses"], clients, folder)
            if shared and not places:
                places.append(_place(asked, facts, address, "client_cpus"))
            places.append(_place(asked, facts, address, "service_cpus" if shared else "cpus"))
    return places


def _address(
    job: str, asked: Place, candidates: list[str], clients: list[Place], folder: Path
) -> str:
    """Choose an address of a node: nothing is tried where there is no choice."""
    if not clients:  # the client itself: the driver asks its Prometheus
        if len(candidates) == 1:
            return candidates[0]
        return _reached(job, asked, candidates, folder, routes.first_reached)
    if clients[0].node == asked.node:
        return clients[0].address
    reach = partial(_first_reached_by_all, job, clients)
    return _reached(job, asked, candidates, folder, reach)


def _first_reached_by_all(
    job: str, clients: list[Place], candidates: list[str], port: int, token: str
) -> str | None:
    """Call `routes.first_reached` on every node of the client; None when they have none in common."""
    left = list(candidates)
    while left:
        found: str | None = steps.call(job, clients[0], routes.first_reached, left, port, token)
        if found is None:
            return None
        others = (
            steps.call(job, other, routes.first_reached, [found], port, token)
            for other in clients[1:]
        )
        if all(others):
            return found
        left = left[left.index(found) + 1 :]
    return None


def _reached(job: str, asked: Place, candidates: list[str], folder: Path, reach: Any) -> str:
    plain = dataclasses.replace(asked, gpus=())
    return routes.choose(asked.node, candidates, folder, partial(steps.calling, job, plain), reach)


def _place(asked: Place, facts: dict[str, Any], address: str, cpus: str) -> Place:
    return Place(
        node=asked.node,
        address=address,
        cpus=tuple(facts[cpus]),
        gpus=tuple(facts["gpus"]),
        group=asked.group,
        slurm_cpus=asked.slurm_cpus,
        job=asked.job,
    )
