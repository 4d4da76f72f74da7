"""The loader: starts a service with its models and says where it is and what it took."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING, Any

from escalade.errors import ServiceFailedError
from escalade.services.catalogue import ModelCatalogue, ResolvedModel, load_catalogue, resolve_model
from escalade.services.memory import Memory
from escalade.services.planning import LoadPlan, check_models, plan_load
from escalade.services.preparation import CellInputs, Preparation
from escalade.services.recipes import ServedModel
from escalade.services.replicas import STEP_NAME, Share, shares
from escalade.services.starting import Start, Started, start_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from escalade.runtime.allocation import AllocationState
    from escalade.runtime.launcher import Launcher
    from escalade.services.parameters import Value
    from escalade.services.recipes import Recipe

__all__ = [
    "STEP_NAME",
    "CellInputs",
    "LoadPlan",
    "ModelCatalogue",
    "ResolvedModel",
    "check_models",
    "load_catalogue",
    "plan_load",
    "resolve_model",
    "start_service",
]


def start_service(
    launcher: Launcher,
    allocation: AllocationState,
    recipe: Recipe,
    *,
    parameters: Mapping[str, Value],
    catalogue: ModelCatalogue,
    profile: str,
    models: Sequence[str],
    log: Path,
    ready_timeout_seconds: float | None = None,
    setup: Sequence[str] = (),
    binds: Sequence[str] = (),
    cell: CellInputs | None = None,
    replicas: int = 1,
    gpus: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Start a service, wait until it is ready, and say where it is and what it took.

    Several copies are started side by side, and all have to become ready. A port that somebody else takes in the moment before the start costs another
    try with another port, three in all. A service that is there already is awaited
    only. What the recipe prepares is put into it then.

    Parameters
    ----------
    launcher, allocation
        Where it runs, on the allocation's CPUs for the service.
    recipe
        Kind of service.
    parameters
        Those that the deployment sets.
    catalogue, profile, models
        What it serves, within which memory.
    log
        File for its output.
    ready_timeout_seconds
        How long it may take until it is ready; the recipe's own limit by default.
    setup
        Shell lines of the site before the command, such as module loads.
    binds
        Folders of the site that a container sees.
    cell
        What recipes need that prepare something, or use a folder or a secret.
    replicas
        Number of copies, see `escalade.services.replicas`.
    gpus
        GPUs by node, where the allocation does not name them.

    Returns
    -------
    dict
        Content of `service.json`: outcome "ready", `replicas` with number, step (None: not
        started here), url, node, pid, log and the request for its step of each copy, url of the
        first, metrics_path, metric_names, agreement, workload, workload_parameters, and
        under `service` what `environment.json` keeps: recipe, parameters, argv, version,
        ready_seconds, memory, models; `image` or `binary`, see `escalade.services.images.ran_from`; `environment`, see `escalade.services.variables`;
        `prepared` where something was, and `external_url` of a service that was there already, and `replicas` with what each of several got.

    Raises
    ------
    InputError
        When parameters, models or a model's file can't be used.
    ToolMissingError
        When something that the recipe needs is not installed.
    ServiceFailedError
        When it ends while it starts, or is not ready in time; nothing of it is left.
    """
    recipe.check_parameters(parameters, "the deployment")
    check_models(catalogue, recipe, profile, models, "the deployment")
    recipe.check_needs(elsewhere=allocation.job is not None)
    served = [resolve_model(catalogue, name) for name in models]
    version = recipe.installed_version()
    names = recipe.metric_names(version)
    timeout = ready_timeout_seconds or recipe.probe.timeout_seconds
    inputs = cell or CellInputs()
    found = shares(allocation.services, replicas, gpus)
    called_off = Event()
    starts = [
        Start(
            *(launcher, allocation, recipe, _log_of(log, share), timeout),
            *(tuple(setup), tuple(binds)),
            inputs.make(recipe, launcher, allocation, share.place, share.step),
            share,
            called_off,
        )
        for share in found
    ]
    first = starts[0]
    memory = Memory(launcher, allocation, found)
    started = (
        [first.await_there(parameters)]
        if recipe.external
        else start_all(starts, parameters, served)
    )
    settled = recipe.settled(parameters, len(found[0].cpus))
    told = recipe.workload_parameters(
        [ServedModel(model.name, model.path) for model in served],
        settled,
        first.made.of_the_cell(),
    )
    watched = None if recipe.external else found[0].step
    preparation = Preparation(launcher, allocation, watched, log.with_name("prepare.log"), inputs)
    try:
        prepared = preparation.run(recipe.prepare, started[0].url, told) if recipe.prepare else {}
    except ServiceFailedError:
        first.stop()
        raise
    took = memory.taken([each.pid for each in started])
    return {
        "schema": 1,
        "outcome": "ready",
        "url": started[0].url,
        "replicas": [start.facts(each) for start, each in zip(starts, started, strict=True)],
        "metrics_path": recipe.metrics.path if recipe.metrics else None,
        "metric_names": names,
        "agreement": _agreement(recipe, names),
        "workload": recipe.workload.kind,
        "workload_parameters": told,
        "service": {
            "recipe": recipe.name,
            "parameters": settled,
            "argv": list(started[0].argv),
            "version": version,
            "ready_seconds": round(max(each.ready_seconds for each in started), 3),
            **_memory(served, took[0], memory.of),
            **first.origin(started[0]),
            **({"prepared": prepared} if recipe.prepare else {}),
            **({"external_url": started[0].url} if recipe.external else {}),
            **({"replicas": _each(starts, started, took)} if replicas > 1 else {}),
        },
    }


def _log_of(log: Path, share: Share) -> Path:
    """Name the log of a copy: `service.log`, or `service-2.log`."""
    return log if share.of == 1 else log.with_stem(f"{log.stem}-{share.number}")


def _each(
    starts: Sequence[Start], started: Sequence[Started], took: Sequence[int | None]
) -> list[dict[str, Any]]:
    """Say for `environment.json` what each of several copies got, and took."""
    return [
        {
            "replica": start.share.number,
            "node": start.share.place.node,
            "cpus": list(start.share.cpus),
            "gpus": None if start.share.gpus is None else list(start.share.gpus),
            "ready_seconds": round(each.ready_seconds, 3),
            "measured_bytes": measured,
        }
        for start, each, measured in zip(starts, started, took, strict=True)
    ]


def _agreement(recipe: Recipe, names: Mapping[str, str]) -> dict[str, str] | None:
    if recipe.agreement is None:
        return None
    return {"quantity": recipe.agreement.quantity, "metric": names[recipe.agreement.metric]}


def _memory(models: Sequence[ResolvedModel], measured_bytes: int | None, of: str) -> dict[str, Any]:
    """Put measured beside declared memory; only a single model can be told from the service."""
    declared = sum(model.declared_bytes for model in models)
    ratio = None if measured_bytes is None or not declared else measured_bytes / declared - 1.0
    return {
        "memory": {
            "declared_bytes": declared if models else None,
            "measured_bytes": measured_bytes,
            "measured_of": of,
            "difference_ratio": None if ratio is None else round(ratio, 4),
        },
        "models": [
            {
                "name": model.name,
                "path": str(model.path),
                "sha256": model.sha256,
                "size_bytes": model.size_bytes,
                "declared_bytes": model.declared_bytes,
                "measured_bytes": measured_bytes if len(models) == 1 else None,
            }
            for model in models
        ],
    }
