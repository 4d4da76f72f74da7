"""From what was registered to a host that Prometheus reaches.

127.0.0.1 is the machine where the command was typed, a number is a Slurm job: both are turned
into the names and addresses that they may have for others. Which of them is right, the node of
Prometheus finds out by asking the page at each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from escalade.errors import InfrastructureError, InputError
from escalade.monitoring.sessions.probe import Probe, first_good
from escalade.monitoring.sessions.targets import LOOPBACK
from escalade.runtime.allocation import Place
from escalade.runtime.slurm import steps
from escalade.runtime.slurm.commands import Slurm
from escalade.runtime.slurm.node import node_facts
from escalade.runtime.slurm.routes import addresses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from escalade.monitoring.sessions.record import Page
    from escalade.monitoring.sessions.targets import Endpoint
    from escalade.runtime.slurm.text import Job


class Jobs(Protocol):
    """The part of `Slurm` that is used."""

    def jobs(self, ids: Sequence[str]) -> dict[str, tuple[Job, ...]]:
        """Ask how jobs are."""
        ...


def hosts_of(
    endpoint: Endpoint,
    slurm: Jobs | None = None,
    here: Callable[[], list[str]] = addresses,
    there: Callable[[str, str], list[str]] | None = None,
) -> tuple[str, ...]:
    """Give the hosts where a page may be, the likeliest first.

    Parameters
    ----------
    endpoint
        As it was registered.
    slurm
        Tells the nodes of a job.
    here
        Gives the addresses of this machine.
    there
        Gives the addresses of a job's node, asked in a short step of the job.

    Returns
    -------
    tuple of str
        One where a host was named. Of this machine 127.0.0.1 and its addresses: the page
        may listen on one of them only.

    Raises
    ------
    InputError
        When there is no such job, or it does not run.
    """
    if endpoint.loopback:
        return tuple(dict.fromkeys((endpoint.host, *here())))
    if endpoint.job is None:
        return (endpoint.host,)
    found = nodes_of(endpoint.job, slurm)
    ask = there or addresses_in_job
    listed = [host for node in found for host in (node, *ask(endpoint.job, node))]
    return tuple(dict.fromkeys(listed))


def nodes_of(job: str, slurm: Jobs | None = None) -> list[str]:
    """Name the nodes of a job that runs.

    Raises
    ------
    InputError
        When there is no such job, or it does not run.
    """
    components = (slurm or Slurm(patience_seconds=5.0)).jobs([job])[job]
    nodes = [node for component in components for node in component.nodes]
    if not all(component.state.running for component in components) or not nodes:
        words = ", ".join(str(component.state) for component in components)
        raise InputError(
            f"Slurm job {job} has no nodes now: it is {words}. Expected a job that runs; `squeue "
            "--me` lists yours. Register it again once it does, or give host and port."
        )
    return list(dict.fromkeys(nodes))


def addresses_in_job(job: str, node: str) -> list[str]:
    """Ask a node of a job for its addresses; none when it can't be asked."""
    try:
        facts: dict[str, Any] = steps.call(job, Place(node, node, ()), node_facts)
    except InfrastructureError:
        return []
    return [str(address) for address in facts["addresses"]]


def settle(
    pages: Sequence[Page], node: str, call: Callable[..., Any]
) -> tuple[dict[str, str], dict[str, str]]:
    """Find, from the node of Prometheus, at which of its hosts each page is.

    Parameters
    ----------
    pages
        Any; of those with one host that one is taken, whether it answers or not.
    node
        Name of that node: 127.0.0.1 is right for what was registered there, and another page
        than the one that was meant for all else.
    call
        Calls a function on it.

    Returns
    -------
    tuple of dict
        Host by key; and for the pages that answered nowhere, why, by key.
    """
    found, missing, asked = {}, {}, {}
    for page in pages:
        here = page.said_on == node
        hosts = [host for host in page.hosts if here or len(page.hosts) == 1 or not _loopback(host)]
        if (here and hosts and _loopback(hosts[0])) or len(page.hosts) == 1:
            found[page.key] = hosts[0]
        elif hosts:
            asked[page.key] = [hosts, page.port, page.path]
        else:
            missing[page.key] = (
                f"{page.given} was registered on {page.said_on}, which has no address that other "
                "machines reach. Give a host name."
            )
    if asked:
        for (key, (_, port, _)), answers in zip(
            asked.items(), call(first_good, list(asked.values())), strict=True
        ):
            said = [Probe.from_json(answer) for answer in answers]
            if said and said[-1].good:
                found[key] = said[-1].host
            else:
                tried = "; ".join(f"{it.host}:{port} {it.why_not}" for it in said)
                missing[key] = f"it answers at none of its addresses from {node}: {tried}"
    return found, missing


def _loopback(host: str) -> bool:
    return host in LOOPBACK or host.startswith("127.")
