"""The loader: starts a service with its models and says where it is and what it took."""

from __future__ import annotations

import contextlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from threading import Event
from typing import TYPE_CHECKING, Any

from escalade.errors import EscaladeError, ServiceFailedError
from escalade.files import tail
from escalade.runtime.endpoints import free_port
from escalade.runtime.steps import StepSpec
from escalade.services.catalogue import ModelCatalogue, ResolvedModel, load_catalogue, resolve_model
from escalade.services.containers import in_login_shell
from escalade.services.images import ran_from
from escalade.services.planning import LoadPlan, check_models, plan_load
from escalade.services.preparation import CellInputs, Made, Preparation
from escalade.services.probe import port_taken, wait_ready
from escalade.services.processes import listens, resident_bytes
from escalade.services.recipes import ServedModel
from escalade.services.replicas import STEP_NAME, Share, shares

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from escalade.runtime.allocation import AllocationState
    from escalade.runtime.launcher import Launcher
    from escalade.services.parameters import Value
    from escalade.services.recipes import Command, Recipe

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

_PORTS_TRIED = 3
_LOG_LINES = 20
logger = logging.getLogger(__name__)


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
        ready_seconds, memory, models; `image` or `binary`, see `escalade.services.images.ran_from`;
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
        _Start(
            *(launcher, allocation, recipe, _log_of(log, share), timeout),
            *(tuple(setup), tuple(binds)),
            inputs.make(recipe, launcher, allocation, share.place, share.step),
            share,
            called_off,
        )
        for share in found
    ]
    first = starts[0]
    started = (
        [first.await_there(parameters)] if recipe.external else _all(starts, parameters, served)
    )
    settled = recipe.settled(parameters, len(found[0].cpus))
    told = recipe.workload_parameters(models, settled, first.made.of_the_cell())
    watched = None if recipe.external else found[0].step
    preparation = Preparation(launcher, allocation, watched, log.with_name("prepare.log"), inputs)
    try:
        prepared = preparation.run(recipe.prepare, started[0].url, told) if recipe.prepare else {}
    except ServiceFailedError:
        first.stop()
        raise
    took = [
        launcher.call(allocation, share.place, resident_bytes, each.pid)
        for share, each in zip(found, started, strict=True)
    ]
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
            **_memory(served, took[0]),
            **first.origin(started[0]),
            **({"prepared": prepared} if recipe.prepare else {}),
            **({"external_url": started[0].url} if recipe.external else {}),
            **({"replicas": _each(starts, started, took)} if replicas > 1 else {}),
        },
    }


@dataclass(frozen=True)
class _Started:
    url: str
    pid: int | None
    argv: tuple[str, ...]
    ready_seconds: float
    spec: StepSpec | None = None
    command: Command | None = None


@dataclass(frozen=True)
class _Start:
    """One start of a copy of a service; its step is ended again when it fails."""

    launcher: Launcher
    allocation: AllocationState
    recipe: Recipe
    log: Path
    timeout_seconds: float
    setup: tuple[str, ...]
    binds: tuple[str, ...]
    made: Made
    share: Share
    called_off: Event

    def facts(self, started: _Started) -> dict[str, Any]:
        """Say where the copy is, and by what request it can be started again."""
        return {
            "number": self.share.number,
            "step": None if self.recipe.external else self.share.step,
            "url": started.url,
            "node": self.share.place.node,
            "pid": started.pid,
            "log": str(self.log),
            "request": None if started.spec is None else started.spec.to_json(),
        }

    def origin(self, started: _Started) -> dict[str, Any]:
        """Say what it runs from; nothing of a service that was there already."""
        if started.command is None:
            return {}
        program, image = started.command.argv[0], started.command.image
        place = self.share.place
        return self.launcher.call(
            self.allocation, place, ran_from, image, program, list(self.setup)
        )

    def await_there(self, parameters: Mapping[str, Value]) -> _Started:
        """Wait for a service that is there already."""
        url = self.recipe.address(parameters)
        seconds = self._wait(url, lambda: None)
        return _Started(url, None, (), seconds)

    def stop(self) -> None:
        """End what was started."""
        if not self.recipe.external:
            with contextlib.suppress(EscaladeError):
                self.launcher.stop(self.allocation, self.share.step)

    def anywhere(
        self, parameters: Mapping[str, Value], models: Sequence[ResolvedModel]
    ) -> _Started:
        """Try free ports until one is still free when the service listens."""
        served = [ServedModel(model.name, model.path) for model in models]
        place = self.share.place
        for _ in range(_PORTS_TRIED):
            port = self.launcher.call(self.allocation, place, free_port, place.address)
            command = self.recipe.make_command(
                parameters,
                host=place.address,
                port=port,
                models=served,
                service_cpus=len(self.share.cpus),
                gpus=self.share.gpu_count,
                binds=self.binds,
                scratch=self.made.scratch or "",
                secret_file=self.made.secret_file or "",
            )
            try:
                return self._on_port(
                    port, command, self.recipe.address(parameters, place.address, port)
                )
            except ServiceFailedError as failure:
                if not port_taken(place.address, port):
                    raise
                logger.warning("port %d was taken in between: %s", port, failure.cause)
        raise ServiceFailedError(
            f"{self.share.words} found its port taken {_PORTS_TRIED} times, each time another one that "
            "had been free",
            tail(self.log, _LOG_LINES),
        )

    def _on_port(self, port: int, command: Command, url: str) -> _Started:
        began = time.monotonic()
        spec = self._spec(command)
        state = self.launcher.start(self.allocation, spec)
        try:
            self._await(url, port, state.pid)
        except ServiceFailedError as failure:
            self.stop()
            raise ServiceFailedError(failure.cause, tail(self.log, _LOG_LINES)) from None
        return _Started(url, state.pid, command.argv, time.monotonic() - began, spec, command)

    def _await(self, url: str, port: int, pid: int | None) -> None:
        self._wait(url, self._ended)
        if not self.launcher.call(self.allocation, self.share.place, listens, pid, port):
            raise ServiceFailedError(f"another process answers on port {port}")

    def _wait(self, url: str, watch: Callable[[], str | None]) -> float:
        probe = self.recipe.probe
        answers = probe.answers or (HTTPStatus.OK,)
        return wait_ready(url, probe.path, self.timeout_seconds, watch, answers)

    def _spec(self, command: Command) -> StepSpec:
        return StepSpec(
            name=self.share.step,
            argv=(*_seeing(self.share), *in_login_shell(self.setup, command.argv)),
            role="service",
            log=self.log,
            environment=command.environment,
            cpus=self.share.cpus,
            on=self.share.place,
            gpus=True,
            scratch=self.made.scratch,
        )

    def _ended(self) -> str | None:
        if self.called_off.is_set():
            return f"{self.share.words} was called off: another one failed"
        state = self.launcher.state(self.allocation, self.share.step)
        return None if state.running else f"{self.share.words} {state.describe()} while it started"


def _all(
    starts: Sequence[_Start], parameters: Mapping[str, Value], models: Sequence[ResolvedModel]
) -> list[_Started]:
    """Start all copies side by side; when one fails the others are ended, and its error is raised."""
    if len(starts) == 1:
        return [starts[0].anywhere(parameters, models)]
    failed: list[EscaladeError] = []

    def one(start: _Start) -> _Started | None:
        try:
            return start.anywhere(parameters, models)
        except EscaladeError as error:
            failed.append(_of_copy(error, start.share))
            start.called_off.set()
            return None

    with ThreadPoolExecutor(len(starts)) as pool:
        started = list(pool.map(one, starts))
    if failed:
        for start in starts:
            start.stop()
        raise failed[0]
    return [each for each in started if each is not None]


def _of_copy(error: EscaladeError, share: Share) -> EscaladeError:
    """Name the copy whose error it is."""
    if isinstance(error, ServiceFailedError) and share.words not in error.cause:
        return ServiceFailedError(f"{share.words}: {error.cause}", error.log_tail)
    return error


def _seeing(share: Share) -> tuple[str, ...]:
    """Give what stands before a command that is to see a part of its node's GPUs."""
    return () if share.gpus is None else ("env", f"CUDA_VISIBLE_DEVICES={','.join(share.gpus)}")


def _log_of(log: Path, share: Share) -> Path:
    """Name the log of a copy: `service.log`, or `service-2.log`."""
    return log if share.of == 1 else log.with_stem(f"{log.stem}-{share.number}")


def _each(
    starts: Sequence[_Start], started: Sequence[_Started], took: Sequence[int | None]
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


def _memory(models: Sequence[ResolvedModel], measured_bytes: int | None) -> dict[str, Any]:
    """Put measured beside declared memory; only a single model can be told from the service."""
    declared = sum(model.declared_bytes for model in models)
    ratio = None if measured_bytes is None or not declared else measured_bytes / declared - 1.0
    return {
        "memory": {
            "declared_bytes": declared if models else None,
            "measured_bytes": measured_bytes,
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
