"""Starts of a service's copies, side by side: ports, steps, and waiting until each is ready."""

from __future__ import annotations

import contextlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from escalade.errors import EscaladeError, ServiceFailedError
from escalade.files import tail
from escalade.runtime.endpoints import free_port
from escalade.runtime.steps import StepSpec
from escalade.services.containers import in_login_shell
from escalade.services.images import ran_from
from escalade.services.probe import port_taken, wait_ready
from escalade.services.processes import listens
from escalade.services.recipes import ServedModel
from escalade.services.variables import recorded_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from threading import Event

    from escalade.runtime.allocation import AllocationState
    from escalade.runtime.launcher import Launcher
    from escalade.services.catalogue import ResolvedModel
    from escalade.services.parameters import Value
    from escalade.services.preparation import Made
    from escalade.services.recipes import Command, Recipe
    from escalade.services.replicas import Share

_PORTS_TRIED = 3
_LOG_LINES = 20
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Started:
    """A copy that is ready.

    Parameters
    ----------
    url
        Where it answers.
    pid
        Its process; None of a service that was there already.
    argv
        Its command line.
    ready_seconds
        From its start until it was ready.
    spec, command
        Its step, and what that runs; None of a service that was there already.
    """

    url: str
    pid: int | None
    argv: tuple[str, ...]
    ready_seconds: float
    spec: StepSpec | None = None
    command: Command | None = None


@dataclass(frozen=True)
class Start:
    """One start of a copy of a service; its step is ended again when it fails.

    Parameters
    ----------
    launcher, allocation, recipe, setup, binds
        As `escalade.services.loader.start_service` gets them.
    log
        Of this copy.
    timeout_seconds
        How long it may take until it is ready.
    made
        Its folder and secret.
    share
        Which copy it is, and what it gets of its node.
    called_off
        Set when another copy failed: this one is not awaited any more.
    """

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

    def facts(self, started: Started) -> dict[str, Any]:
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

    def origin(self, started: Started) -> dict[str, Any]:
        """Say what it runs from, and with which settings; nothing of a service that was there already."""
        if started.command is None:
            return {}
        program, image = started.command.argv[0], started.command.image
        here = self.allocation, self.share.place
        ran = self.launcher.call(*here, ran_from, image, program, list(self.setup))
        found = self.launcher.call(*here, recorded_variables, started.pid)
        return {**ran, **({"environment": found} if found else {})}

    def await_there(self, parameters: Mapping[str, Value]) -> Started:
        """Wait for a service that is there already."""
        url = self.recipe.address(parameters)
        seconds = self._wait(url, lambda: None)
        return Started(url, None, (), seconds)

    def stop(self) -> None:
        """End what was started."""
        if not self.recipe.external:
            with contextlib.suppress(EscaladeError):
                self.launcher.stop(self.allocation, self.share.step)

    def anywhere(self, parameters: Mapping[str, Value], models: Sequence[ResolvedModel]) -> Started:
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

    def _on_port(self, port: int, command: Command, url: str) -> Started:
        began = time.monotonic()
        spec = self._spec(command)
        state = self.launcher.start(self.allocation, spec)
        try:
            self._await(url, port, state.pid)
        except ServiceFailedError as failure:
            self.stop()
            raise ServiceFailedError(failure.cause, tail(self.log, _LOG_LINES)) from None
        return Started(url, state.pid, command.argv, time.monotonic() - began, spec, command)

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


def start_all(
    starts: Sequence[Start], parameters: Mapping[str, Value], models: Sequence[ResolvedModel]
) -> list[Started]:
    """Start all copies side by side; when one fails the others are ended, and its error is raised."""
    if len(starts) == 1:
        return [starts[0].anywhere(parameters, models)]
    failed: list[EscaladeError] = []

    def one(start: Start) -> Started | None:
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
