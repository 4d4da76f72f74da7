"""Exporters that a session starts: on its own node, or on the nodes of another job.

They are steps of the session's allocation, and end with it. On the nodes of another job each is
an srun in that job, so that it ends with the job too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.errors import InfrastructureError, InputError
from escalade.monitoring.exporters import (
    listen_options,
    node_exporter_command,
    own_exporter_command,
)
from escalade.runtime import tools
from escalade.runtime.allocation import AllocationState, Place
from escalade.runtime.endpoints import free_port, wait_http
from escalade.runtime.local import LocalLauncher
from escalade.runtime.slurm import steps
from escalade.runtime.slurm.script import clean_environment
from escalade.runtime.spool import Spool
from escalade.runtime.steps import StepSpec

if TYPE_CHECKING:
    from escalade.monitoring.sessions.record import Page

KINDS = ("node", "gpu", "process")
_STEPS = "exporter."
_READY_SECONDS = 15.0
_ANY = "0.0.0.0"  # noqa: S104 - on another job's node nobody knows which address is reached


def step_name(page: Page) -> str:
    """Name the step of an exporter; names of nodes are letters, digits, dots and hyphens."""
    node = "".join(sign if sign.isalnum() or sign in ".-" else "_" for sign in page.name)
    return f"{_STEPS}{page.kind}.{node}"


def deploy(held: dict[str, Any], page: dict[str, Any], logs: str, address: str) -> dict[str, Any]:
    """Start an exporter, on the node of the session's Prometheus.

    Parameters
    ----------
    held
        The session's allocation, as JSON.
    page
        What is wanted: `kind`, `job`, `node`, `gpus`, and `step`, the name of its step.
    logs
        Folder of its log.
    address
        Where an exporter of this node listens.

    Returns
    -------
    dict
        `port`: the one that it listens on.

    Raises
    ------
    InfrastructureError
        When it does not come up; nothing of it is left running.
    """
    launcher, allocation = LocalLauncher(), AllocationState.from_json(held)
    kind, job = page["kind"], page["job"]
    log = Path(logs) / f"{page['step']}.log"
    if job is None:
        port = free_port(address)
        argv = (*_command(kind, allocation), *listen_options(kind, address, port))
    else:
        if kind == "process":
            raise InputError(
                "An exporter of processes reads the steps of the session's own allocation; it "
                "can't be started in another job."
            )
        place = Place(page["node"], page["node"], (), ("?",) * page["gpus"])
        port = steps.call(job, place, free_port, _ANY)
        dirty = sorted(set(os.environ) - set(clean_environment(os.environ)))
        unset = [word for variable in dirty for word in ("-u", variable)]
        srun = steps.srun(job, place, page["step"], gpus=kind == "gpu")
        own = (*_command(kind, allocation), *listen_options(kind, _ANY, port))
        argv = ("env", *unset, *srun, *own)
    _free_name(launcher, allocation, page["step"])
    launcher.start(allocation, StepSpec(page["step"], argv, "exporter", log))

    def watch() -> str | None:
        state = launcher.state(allocation, page["step"])
        return None if state.running else f"the exporter {state.describe()}; its log is {log}"

    where = page["node"] if job else address
    try:
        wait_http(f"http://{where}:{port}/metrics", _READY_SECONDS, watch)
    except InfrastructureError:
        launcher.stop(allocation, page["step"])
        raise
    return {"port": port}


def withdraw(held: dict[str, Any], step: str) -> bool:
    """End an exporter, on the node of the session's Prometheus; False when it never ran."""
    launcher, allocation = LocalLauncher(), AllocationState.from_json(held)
    try:
        launcher.stop(allocation, step)
    except InputError:
        return False
    return True


def withdraw_others(held: dict[str, Any], names: list[str]) -> list[str]:
    """End the exporters of other names, on the node of the session's Prometheus; name them."""
    launcher, allocation = LocalLauncher(), AllocationState.from_json(held)
    known = [name for name in Spool(allocation.steps).notes("request") if name.startswith(_STEPS)]
    lost = [name for name in known if name not in names]
    running = [name for name in lost if launcher.state(allocation, name).running]
    for name in running:
        launcher.stop(allocation, name)
    return running


def states(held: dict[str, Any], names: list[str]) -> dict[str, str]:
    """Say of exporters how they are: "runs", "was killed by SIGKILL"."""
    launcher, allocation = LocalLauncher(), AllocationState.from_json(held)
    said = {}
    for name in names:
        try:
            said[name] = launcher.state(allocation, name).describe()
        except InputError:
            said[name] = "was not started"
    return said


def order(page: Page) -> dict[str, Any]:
    """Give what `deploy` has to know of a page."""
    return {
        "kind": page.kind,
        "job": page.job,
        "node": page.node,
        "gpus": page.gpus,
        "step": step_name(page),
    }


def _command(kind: str, allocation: AllocationState) -> tuple[str, ...]:
    if kind == "node":
        return node_exporter_command(tools.find("node_exporter").path)
    if kind == "gpu":
        return own_exporter_command("gpu.exporter")
    return (*own_exporter_command("monitoring.process_exporter"), "--steps", str(allocation.steps))


def _free_name(launcher: LocalLauncher, allocation: AllocationState, name: str) -> None:
    """Clear what an earlier exporter of this name left."""
    try:
        launcher.stop(allocation, name)
    except InputError:
        return
