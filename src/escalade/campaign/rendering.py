"""The batch scripts and srun lines of a plan, written out without starting anything.

What is known only when a job runs stands as a variable: the job (or two), its nodes, what the
frame of a step is to find on its node ($ORDER), and the files of a step ($NOTES, $COUNTERS, $PLAN).
Ports are examples, since free ones are taken; CPUs are those that the site file knows.
"""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from escalade.campaign.cluster import missing_keys, request_for
from escalade.campaign.limits import limits_of
from escalade.errors import InputError
from escalade.runtime.allocation import Place
from escalade.runtime.slurm import hold
from escalade.runtime.slurm.script import sbatch_script, srun_argv
from escalade.services.loader import resolve_model
from escalade.services.recipes import ServedModel
from escalade.services.replicas import shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.campaign.cost import Cost, PlannedAllocation
    from escalade.campaign.models import Campaign
    from escalade.campaign.plan import Cell
    from escalade.campaign.site import Site
    from escalade.runtime.slurm.request import ComponentRequest
    from escalade.services.loader import ModelCatalogue
    from escalade.services.recipes import Recipe
    from escalade.services.replicas import Share

_PYTHON = (sys.executable, "-P", "-m")
_PORTS = {
    "prometheus": 9090,
    "node": 9100,
    "process": 9101,
    "gpu": 9102,
    "load": 9103,
    "service": 8000,
}
_PLAIN = re.compile(r"[\w$%@+=:,./-]+")


@dataclass(frozen=True, slots=True)
class RenderedStep:
    """A step of a cell as srun would start it.

    Parameters
    ----------
    what
        Name of the step.
    line
        For a shell in which the variables are set.
    """

    what: str
    line: str


def render_script(
    allocation: PlannedAllocation, campaign: Campaign, site: Site, *, state: Path, log: Path
) -> str:
    """Write the batch script of an allocation, or its scripts where each component is a job.

    Parameters
    ----------
    allocation
        Of the plan.
    campaign, site
        As in `request_for`; a key that the site requires and nobody gives is left out.
    state
        Folder of the run's state.
    log
        Of the job.
    """
    first, *following = allocation.cells
    lenient = site.model_copy(update={"required": ()})
    request = request_for(
        first,
        campaign,
        lenient,
        hold.command(state / "lease", campaign.execution.slurm.lease_seconds),
        log,
        following=following,
    )
    scripts = []
    for job in request.jobs():
        notes = [f"# {sentence}" for sentence in missing_keys(job.components, site)]
        head, _, body = sbatch_script(job).partition("\n")
        scripts.append("\n".join([head, *notes, body]))
    return "\n".join(scripts)


def render_steps(
    cell: Cell,
    campaign: Campaign,
    recipe: Recipe,
    catalogue: ModelCatalogue,
    *,
    cost: Cost,
    site: Site,
) -> list[RenderedStep]:
    """Write the srun lines of a cell: Prometheus, exporters, service, and its load generator."""
    clients, service = _sides(cost)
    steps = _monitoring(cell, campaign, clients, service) if cell.monitored else []
    for share in _shares(cell, service, cost.components[-1], site):
        side = replace(service, node=share.place.node)
        argv = _service(cell, campaign, recipe, catalogue, share=share)
        steps.append(side.step(share.step, argv, gpus=True))
    steps += [side.step("load", _load(), stdin=True) for side in clients]
    return steps


def _monitoring(
    cell: Cell, campaign: Campaign, clients: Sequence[_Side], service: _Side
) -> list[RenderedStep]:
    client = clients[0]
    steps = [client.step("prometheus", _prometheus(cell, client.node))]
    for side in dict.fromkeys((service, *clients)):
        steps += [
            side.step(f"{name}-exporter", argv) for name, argv in _exporters(side.node).items()
        ]
    if campaign.load.run_as == "step":
        steps += [side.step("load-exporter", _counters(side.node)) for side in clients]
    if service.gpus:
        argv = _own("gpu.exporter", "gpu", service.node)
        steps.append(service.step("gpu-exporter", argv, gpus=True))
    return steps


@dataclass(frozen=True, slots=True)
class _Side:
    """Where in an allocation a step runs."""

    node: str
    group: int | None
    gpus: int
    job: str = "$JOB"

    def step(
        self, what: str, argv: Sequence[str], *, gpus: bool = False, stdin: bool = False
    ) -> RenderedStep:
        framed = (*_PYTHON, "escalade.runtime.slurm.frame", "$ORDER", "--", *argv)
        words = srun_argv(
            self.job,
            framed,
            het_group=self.group,
            nodelist=self.node,
            cpus=None,
            memory_mb=None,
            gpus=self.gpus if gpus else 0,
            name=what,
            chdir=None,
            stdin=stdin,
        )
        return RenderedStep(what, " ".join(_word(word) for word in words))


def _sides(cost: Cost) -> tuple[list[_Side], _Side]:
    """Give each node of the client, and the service's side; they are one in a shared allocation."""
    gpus = cost.components[-1].gpus
    if len(cost.components) == 1:
        both = _Side("$NODE", None, gpus)
        return [both], both
    further = range(2, cost.components[0].nodes + 1)
    nodes = ["$CLIENT_NODE", *(f"$CLIENT_NODE_{number}" for number in further)]
    if cost.topology.kind == "pair":
        clients = [_Side(node, None, 0, "$CLIENT_JOB") for node in nodes]
        return clients, _Side("$SERVICE_NODE", None, gpus, "$SERVICE_JOB")
    return [_Side(node, 0, 0) for node in nodes], _Side("$SERVICE_NODE", 1, gpus)


def _prometheus(cell: Cell, node: str) -> tuple[str, ...]:
    folder = f"cells/{cell.name}/prometheus"
    return (
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={node}:{_PORTS['prometheus']}",
    )


def _exporters(node: str) -> dict[str, tuple[str, ...]]:
    process = (*_own("monitoring.process_exporter", "process", node), "--steps", "$NOTES")
    return {
        "node": ("node_exporter", f"--web.listen-address={node}:{_PORTS['node']}"),
        "process": process,
    }


def _counters(node: str) -> tuple[str, ...]:
    return (*_own("load.exporter", "load", node), "--folder", "$COUNTERS")


def _own(module: str, port: str, node: str) -> tuple[str, ...]:
    return (*_PYTHON, f"escalade.{module}", "--address", node, "--port", str(_PORTS[port]))


def _shares(cell: Cell, service: _Side, component: ComponentRequest, site: Site) -> list[Share]:
    """Share out the service's nodes among its copies; they are numbered as the client's are."""
    cpus, gpus = range(_cpus(component, site)), range(service.gpus)
    further = range(2, component.nodes + 1)
    nodes = [service.node, *(f"{service.node}_{number}" for number in further)]
    places = [Place(node, node, tuple(cpus), tuple(map(str, gpus))) for node in nodes]
    return shares(places, cell.deployment.replicas)


def _service(
    cell: Cell, campaign: Campaign, recipe: Recipe, catalogue: ModelCatalogue, *, share: Share
) -> tuple[str, ...]:
    """Make the recipe's own command, behind `env` where it sets variables."""
    command = recipe.make_command(
        cell.deployment.parameters,
        host=share.place.node,
        port=_PORTS["service"] + share.number - 1,
        models=[_served(catalogue, name) for name in cell.deployment.models],
        service_cpus=len(share.cpus),
        gpus=share.gpu_count,
        binds=campaign.execution.slurm.binds,
    )
    variables = [f"CUDA_VISIBLE_DEVICES={','.join(share.gpus)}"] if share.gpus else []
    variables += [f"{name}={value}" for name, value in command.environment.items()]
    return (*(("env", *variables) if variables else ()), *command.argv)


def _served(catalogue: ModelCatalogue, name: str) -> ServedModel:
    """Give the model's file, or a variable for it where it is not on this machine."""
    try:
        return ServedModel(name, resolve_model(catalogue, name).path)
    except InputError:
        return ServedModel(name, Path("$MODEL_FILE"))


def _cpus(component: ComponentRequest, site: Site) -> int:
    cores = [limits.cores for *_, limits in limits_of(component, site) if limits.cores]
    return component.cpus or min(cores, default=1)


def _load() -> tuple[str, ...]:
    """Give the command that is told on its standard input which steps to run."""
    return (*_PYTHON, "escalade.load.client")


def _word(word: str) -> str:
    """Quote a word for the shell, and leave variables for it to fill in."""
    return word if _PLAIN.fullmatch(word) else shlex.quote(word)
