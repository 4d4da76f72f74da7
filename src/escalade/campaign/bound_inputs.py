"""Collecting what a cell's upper bounds are computed from, before its service starts: bounds.json.

What can't be had is said there and keeps no cell from being measured: a bound is missing then.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Any

from escalade.campaign.bounds_file import BOUNDS_SCHEMA
from escalade.campaign.configuration import beside, recipes_of
from escalade.campaign.state import read_allocation
from escalade.errors import EscaladeError, InfrastructureError
from escalade.files import read_json, tail, write_json
from escalade.gpu.peaks import peaks
from escalade.runtime.launcher import launcher_for
from escalade.runtime.steps import StepSpec
from escalade.services.catalogue import load_catalogue, resolve_model
from escalade.services.gguf import read_weights

if TYPE_CHECKING:
    from escalade.campaign.run import CellRun
    from escalade.services.recipes import Recipe

STEP_NAME = "hardware-probe"
PROBE_SECONDS = 30.0
"""Longest time for the probe, which takes about one."""
_LOOK_SECONDS = 0.02
logger = logging.getLogger(__name__)


def collect_bound_inputs(here: CellRun) -> None:
    """Write bounds.json: what the recipe declares, the CPUs' measured figures, the model, the GPUs."""
    deployment, campaign = here.cell.deployment, here.run.plan.campaign
    recipe = recipes_of(campaign, here.run.source)[deployment.recipe]
    service = read_allocation(here.state).service
    settled = recipe.settled(deployment.parameters, len(service.cpus))
    declared = {} if recipe.bounds is None else recipe.bounds.settled(settled)
    if recipe.bounds is not None and "replicas" in declared:
        varied = recipe.bounds.replicas_parameter
        alike = {name: value for name, value in settled.items() if name != varied}
        declared["replicated"] = {"recipe": recipe.name, "models": list(deployment.models), **alike}
    write_json(
        here.folder.bounds,
        {
            "schema": BOUNDS_SCHEMA,
            "recipe": declared,
            **_measured(here, recipe, declared),
            **_model(here, recipe),
            **_gpus(here, recipe),
        },
    )


def _measured(here: CellRun, recipe: Recipe, declared: dict[str, Any]) -> dict[str, Any]:
    """Measure what the service's CPUs can do, or say why not."""
    generates = declared.get("tokens", {}).get("device") == "cpu"
    if not generates and not declared.get("scan", {}).get("exact"):
        return _nothing("cpu", "no bound of this recipe needs it")
    if recipe.external:
        return _nothing("cpu", "the service was there already: its CPUs are not at hand")
    if not here.run.plan.campaign.bounds.measure:
        return _nothing("cpu", "bounds.measure is false")
    try:
        return {"cpu": _probe(here), "cpu_note": None}
    except EscaladeError as error:
        logger.warning("memory bandwidth was not measured: %s", error)
        return _nothing("cpu", f"it could not be measured: {error}")


def _probe(here: CellRun) -> dict[str, Any]:
    """Run the probe where the service will run, and wait for it.

    Raises
    ------
    InfrastructureError
        When it fails or takes too long.
    """
    allocation = read_allocation(here.state)
    launcher, place = launcher_for(allocation), allocation.service
    out, log = here.state / "hardware.json", here.folder.logs / "hardware-probe.log"
    cpus = ",".join(map(str, place.cpus))
    options = ("--cpus", cpus, "--out", str(out.resolve()))
    spec = StepSpec(
        name=STEP_NAME,
        argv=(sys.executable, "-m", "escalade.hardware.probe", *options),
        role="exporter",
        log=log,
        cpus=place.cpus,
        on=place,
    )
    launcher.start(allocation, spec)
    deadline = time.monotonic() + PROBE_SECONDS
    while (state := launcher.state(allocation, STEP_NAME)).running:
        if time.monotonic() > deadline:
            launcher.stop(allocation, STEP_NAME)
            raise InfrastructureError(f"the probe took over {PROBE_SECONDS:g} s")
        time.sleep(_LOOK_SECONDS)
    if state.exit_code != 0:
        why = next(iter(tail(log, 1)), "")
        raise InfrastructureError(f"the probe {state.describe()}: {why}" if why else "it failed")
    return {**read_json(out, "figures of the CPUs"), "node": place.node}


def _model(here: CellRun, recipe: Recipe) -> dict[str, Any]:
    """Read what a token reads of the model, where its file is at hand."""
    models = here.cell.deployment.models
    if recipe.bounds is None or recipe.bounds.tokens is None:
        return _nothing("model", "no bound of this recipe needs it")
    if len(models) != 1:
        return _nothing(
            "model", f"the catalogue has no file of it: the deployment names {len(models)} models"
        )
    try:
        found = resolve_model(load_catalogue(beside(here.run.source, "models.yaml")), models[0])
        weights = read_weights(found.path).to_json()
    except EscaladeError as error:
        return _nothing("model", str(error))
    return {"model": {"name": found.name, "file": found.path.name, **weights}, "model_note": None}


def _gpus(here: CellRun, recipe: Recipe) -> dict[str, Any]:
    tokens = None if recipe.bounds is None else recipe.bounds.tokens
    if tokens is None or tokens.device != "gpu":
        return _nothing("gpus", "no bound of this recipe needs them")
    allocation = read_allocation(here.state)
    try:
        found, note = launcher_for(allocation).call(allocation, allocation.service, peaks)
    except EscaladeError as error:
        return _nothing("gpus", f"they could not be read: {error}")
    return {"gpus": found or None, "gpus_note": note}


def _nothing(name: str, why: str) -> dict[str, Any]:
    return {name: None, f"{name}_note": why}
