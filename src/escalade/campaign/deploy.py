"""Bringing up what a cell needs: an allocation, Prometheus, exporters, the service."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.campaign import events
from escalade.campaign.bound_inputs import collect_bound_inputs
from escalade.campaign.cluster import of_the_same_lane, request_for, seconds_of
from escalade.campaign.configuration import beside, recipes_of
from escalade.campaign.profiling import start_recorders
from escalade.campaign.site import load_site
from escalade.campaign.state import (
    ALLOCATION,
    EXPORTERS,
    PROMETHEUS,
    SERVICE,
    UNMONITORED,
    read_allocation,
    read_exporters,
    read_prometheus,
    replicas_of,
    words_of,
)
from escalade.errors import EscaladeError, InfrastructureError, ServiceFailedError
from escalade.files import tail, write_json, write_table
from escalade.gpu.dcgm import why_not
from escalade.gpu.nvml import gpus
from escalade.load.prompts import read_prompts
from escalade.load.schedule import draw_schedule
from escalade.monitoring import manager
from escalade.monitoring.exporters import (
    listen_options,
    node_exporter_command,
    own_exporter_command,
)
from escalade.monitoring.registry import Registry, Target
from escalade.runtime import tools
from escalade.runtime.driver import RunFolder
from escalade.runtime.endpoints import free_port, wait_http
from escalade.runtime.launcher import launcher_for
from escalade.runtime.scratch import make_scratch
from escalade.runtime.slurm import hold, jobs
from escalade.runtime.slurm.own import own_job
from escalade.runtime.slurm.queue import Order
from escalade.runtime.steps import StepSpec
from escalade.services import loader

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from escalade.campaign.run import CellRun
    from escalade.load.schedule import StepPlan
    from escalade.runtime.allocation import AllocationState, Place
    from escalade.services.recipes import Recipe

_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a folder of this user's alone is made in it
EXPORTER_SECONDS = 15.0
FIRST_SCRAPE_SECONDS = 30.0
logger = logging.getLogger(__name__)


def allocate(here: CellRun) -> None:
    """Set aside what an earlier attempt left, draw the schedule, and get the allocation."""
    here.folder.set_aside(schedule=here.cell.search is not None)
    write_table(here.folder.schedule, schedule_of(here, here.cell.steps))
    launcher = launcher_for(here.run.plan.campaign.execution.launcher)
    run = RunFolder.open(here.run.state)
    order = _order(here, run)
    allocation = launcher.allocate(here.cell.name, here.state / "allocation", run, order)
    write_json(here.state / ALLOCATION, allocation.to_json())
    write_json(here.folder.held, _held(here, allocation, order))


def _held(here: CellRun, allocation: AllocationState, order: Order | None) -> dict[str, Any]:
    """Note what is held from now on: the cost of a campaign is made of these notes."""
    parts = () if order is None else order.request.components
    return {
        "held_at": time.time(),
        "job": allocation.job,
        "nodes": allocation.nodes,
        "components": [
            {key: getattr(part, key) for key in ("name", "partition", "nodes", "cpus", "gpus")}
            for part in parts
        ],
        "run": {"id": here.run.state.name, "began_at": here.run.began_at()},
        "driving": allocation.job is not None and own_job() in jobs.parts(allocation.job),
    }


def schedule_of(here: CellRun, steps: Sequence[StepPlan]) -> pd.DataFrame:
    """Draw what is sent in some steps of a cell; a step's requests do not depend on later ones."""
    parts = here.run.plan.campaign.workload.parts
    frame = draw_schedule(steps, here.cell.seed)
    told = any(step.parameters.get("payloads") for step in steps)  # by a trace
    for place, part in enumerate(parts):
        if part.prompts is None:
            continue
        own = frame["workload"] == place if len(parts) > 1 else None
        prompts = read_prompts(Path(part.prompts))
        frame = prompts.assigned(frame, here.cell.seed, keep=told, own=own)
    return frame


def start_prometheus(here: CellRun) -> None:
    """Start the cell's own Prometheus; its targets come when they are there."""
    if not here.cell.monitored:
        write_json(here.state / PROMETHEUS, UNMONITORED)
        return
    allocation = read_allocation(here.state)
    execution = here.run.plan.campaign.execution
    state = manager.start(
        launcher_for(allocation),
        allocation,
        folder=here.folder.prometheus,
        registry=Registry(),
        log=here.folder.logs / "prometheus.log",
        local=execution.slurm.local_folder if execution.launcher == "slurm" else None,
        scrape_interval_seconds=here.run.plan.campaign.monitoring.scrape_interval_seconds,
    )
    write_json(here.state / PROMETHEUS, state.to_json())


def deploy_exporters(here: CellRun) -> None:
    """Start node and process exporter on every node, and the GPU exporter where there is a GPU.

    A cell without monitoring gets none, and is told which GPUs there are all the same.
    """
    allocation = read_allocation(here.state)
    launcher = launcher_for(allocation)
    found, note = launcher.call(allocation, allocation.service, gpus)
    known = {"gpus": [dict(gpu) for gpu in found], "gpu_note": note}
    if not here.cell.monitored:
        none: dict[str, Any] = {"targets": [], "live": None, "versions": {}}
        write_json(here.state / EXPORTERS, {**UNMONITORED, **none, **known})
        return
    node_exporter = tools.find("node_exporter")
    targets = []
    for place, labels in _nodes(allocation):
        commands = {
            "node": node_exporter_command(node_exporter.path),
            "process": (
                *own_exporter_command("monitoring.process_exporter"),
                "--steps",
                str(launcher.notes(allocation, place)),
            ),
        }
        if found and place in allocation.services:
            if dcgm := _dcgm(here, place, labels):
                targets.append(dcgm)
            else:
                commands["gpu"] = own_exporter_command("gpu.exporter")
        targets += [_start_exporter(here, place, name, commands[name], labels) for name in commands]
    live, target = _live_metrics(here)
    recorders = start_recorders(here) if found else {}
    content = {
        "targets": [*targets, *target],
        "live": live,
        "versions": {"node": {"version": node_exporter.version}},
        **recorders,
        **known,
    }
    write_json(here.state / EXPORTERS, content)


def load_models(here: CellRun) -> None:
    """Start the service with its models, and wait until Prometheus scrapes every target.

    Before that its place is idle: then is measured what bounds the service. A service that fails is recorded, not raised: it is a result of the cell.
    """
    collect_bound_inputs(here)
    try:
        service = _start_service(here)
    except ServiceFailedError as failure:
        logger.warning("the service failed: %s", failure.cause)
        failed = {"outcome": "service_failed", "cause": failure.cause, "log_tail": failure.log_tail}
        write_json(here.state / SERVICE, failed)
        return
    try:
        if here.cell.monitored:
            _scrape_all(here, service)
    except InfrastructureError as error:
        if (ended := _service_end(here, service)) is None:
            raise
        logger.warning("the service ended before it was scraped: %s", error)
        service = ended
    write_json(here.state / SERVICE, service)


def release_allocation(state: Path, *, keep: bool = False) -> None:
    """Stop everything of a cell; harmless when there is nothing.

    With `keep` a job is kept for the next cell.
    """
    if not (state / ALLOCATION).exists():
        return
    allocation = read_allocation(state)
    try:
        launcher_for(allocation).release(allocation, keep=keep)
    except EscaladeError:
        logger.exception("the allocation of %s could not be released", allocation.cell)
        raise


def _order(here: CellRun, run: RunFolder) -> Order | None:
    """Say what a cluster is asked for; None on one machine."""
    campaign = here.run.plan.campaign
    if campaign.execution.launcher == "local":
        return None
    slurm = campaign.execution.slurm
    lane = of_the_same_lane(here.cell, here.run.unfinished, campaign.execution.parallel_cells)
    request = request_for(
        here.cell,
        campaign,
        load_site(campaign.execution.site),
        hold.command(run.lease, slurm.lease_seconds),
        (here.folder.logs / "allocation.log").resolve(),
        following=lane,
    )
    needed = seconds_of(here.cell, campaign)
    most = None if slurm.cells_per_allocation == "auto" else slurm.cells_per_allocation
    return Order(request, slurm.queue_timeout_seconds, needed, slurm.interface, most)


def _start_service(here: CellRun) -> dict[str, Any]:
    deployment = here.cell.deployment
    recipe = recipes_of(here.run.plan.campaign, here.run.source)[deployment.recipe]
    allocation = read_allocation(here.state)
    slurm = here.run.plan.campaign.execution.slurm
    return loader.start_service(
        launcher_for(allocation),
        allocation,
        recipe,
        parameters=deployment.parameters,
        catalogue=loader.load_catalogue(beside(here.run.source, "models.yaml")),
        profile=deployment.profile,
        models=deployment.models,
        log=here.folder.logs / "service.log",
        ready_timeout_seconds=deployment.ready_timeout_seconds,
        setup=slurm.setup if allocation.job else (),
        binds=slurm.binds if allocation.job else (),
        cell=_inputs(here, recipe, local=slurm.local_folder if allocation.job else None),
        replicas=deployment.replicas,
        gpus=_gpus_by_node(allocation) if deployment.replicas > 1 else None,
    )


def _gpus_by_node(allocation: AllocationState) -> dict[str, list[str]]:
    """Name the GPUs of the service's nodes as CUDA_VISIBLE_DEVICES does, where the places do not."""
    launcher = launcher_for(allocation)
    unnamed = [place for place in allocation.services if not place.gpus]
    return {
        place.node: [
            gpu["uuid"] if gpu["uuid"].startswith("MIG-") else str(gpu["index"])
            for gpu in launcher.call(allocation, place, gpus)[0]
        ]
        for place in unnamed
    }


def _inputs(here: CellRun, recipe: Recipe, *, local: str | None) -> loader.CellInputs:
    parts = here.run.plan.campaign.workload.parts
    own = [part.parameters for part in parts if part.kind == recipe.workload.kind]

    def say(sentence: str) -> None:
        events.append(here.run.events, here.cell.name, "load_models", "note", sentence)

    return loader.CellInputs(
        seed=here.cell.seed,
        parameters=own[0] if own else {},
        prepared=here.folder.prepared,
        private=here.state,
        local=local,
        say=say,
    )


def _scrape_all(here: CellRun, service: dict[str, Any]) -> None:
    prometheus = read_prometheus(here.state)
    registry = Registry()
    for target in read_exporters(here.state)["targets"]:
        registry.add(Target(**target))
    if service.get("metrics_path"):
        copies = replicas_of(service)
        for copy in copies:
            address = copy["url"].removeprefix("http://").rstrip("/")
            labels = {"replica": str(copy["number"])} if len(copies) > 1 else {}
            registry.add(Target("service", address, service["metrics_path"], labels))
    manager.reload(prometheus, registry)
    manager.await_up(prometheus, registry, FIRST_SCRAPE_SECONDS)


def _service_end(here: CellRun, service: dict[str, Any]) -> dict[str, Any] | None:
    """Give the service's failure when it is the service that is gone, else None."""
    allocation = read_allocation(here.state)
    for copy in replicas_of(service):
        if copy["step"] is None:  # it was not started here
            continue
        state = launcher_for(allocation).state(allocation, copy["step"])
        if not state.running:
            cause = f"{words_of(copy, service)} {state.describe()} before the first step"
            return {"outcome": "service_failed", "cause": cause, "log_tail": tail(Path(state.log))}
    return None


def _nodes(allocation: AllocationState) -> list[tuple[Place, dict[str, str]]]:
    """Give one place for each node, the service's first, and the labels of its targets."""
    if len(allocation.nodes) == 1:
        return [(allocation.service, {})]
    named = [("service", place) for place in allocation.services]
    named += [("client", place) for place in allocation.clients]
    first = {place.node: (side, place) for side, place in reversed(named)}
    return [
        (place, {"node": place.node, "place": side}) for side, place in reversed(first.values())
    ]


def _dcgm(here: CellRun, place: Place, labels: dict[str, str]) -> dict[str, Any] | None:
    """Give the target of DCGM's exporter on a node, where it can stand for our own."""
    monitoring = here.run.plan.campaign.monitoring
    if (port := monitoring.dcgm_port) is None:
        return None
    allocation = read_allocation(here.state)
    seconds = monitoring.scrape_interval_seconds
    call = launcher_for(allocation).call
    if why := call(allocation, place, why_not, place.address, port, seconds):
        logger.info("DCGM's exporter is not scraped on %s: %s", place.node, why)
        return None
    logger.info("DCGM's exporter on %s is scraped in place of ours", place.node)
    at = f"{place.address}:{port}"
    return {"job": "gpu", "address": at, "path": "/metrics", "labels": labels}


def _start_exporter(
    here: CellRun,
    place: Place,
    name: str,
    command: tuple[str, ...],
    labels: dict[str, str],
    *,
    scratch: str | None = None,
) -> dict[str, Any]:
    allocation = read_allocation(here.state)
    launcher = launcher_for(allocation)
    port = launcher.call(allocation, place, free_port, place.address)
    at = f"{place.address}:{port}"
    spec = StepSpec(
        name=f"{name}-exporter.{labels['node']}" if labels else f"{name}-exporter",
        argv=(*command, *listen_options(name, place.address, port)),
        role="exporter",
        log=here.folder.logs / f"{name}-exporter.log",
        cpus=next((own.cpus for own in allocation.clients if own.node == place.node), None),
        on=place,
        gpus=name == "gpu",
        scratch=scratch,
    )
    launcher.start(allocation, spec)

    def watch() -> str | None:
        state = launcher.state(allocation, spec.name)
        return None if state.running else f"the exporter {state.describe()}; its log is {spec.log}"

    wait_http(f"http://{at}/metrics", EXPORTER_SECONDS, watch)
    return {"job": name, "address": at, "path": "/metrics", "labels": labels}


def _live_metrics(here: CellRun) -> tuple[str | None, list[dict[str, Any]]]:
    """Start the exporter of the load generator's counters on every node of the client.

    Gives the counters' folder, which is the same on all of them, and the targets. Without them
    the cell lacks a picture, not a figure: what keeps them from starting is said, no more.
    """
    allocation = read_allocation(here.state)
    if here.run.load_as_job:
        return None, []  # the workers run on a node that is not known yet
    launcher = launcher_for(allocation)
    arguments = (_SHARED_MEMORY, f"{allocation.id}-load")
    targets = []
    try:
        for place in allocation.clients:
            alone = len(allocation.nodes) == 1
            labels = {} if alone else {"node": place.node, "place": "client"}
            folder = launcher.call(allocation, place, make_scratch, *arguments)
            command = (*own_exporter_command("load.exporter"), "--folder", folder)
            targets.append(_start_exporter(here, place, "load", command, labels, scratch=folder))
    except InfrastructureError as error:
        logger.warning("there are no live metrics of the load generator: %s", error)
        return None, targets
    return folder, targets
