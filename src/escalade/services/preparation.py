"""What the start of a service has of its cell, and what is put into the service before the load."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from escalade.errors import EscaladeError, InputError, ServiceFailedError
from escalade.files import read_json, tail, write_json
from escalade.runtime.scratch import make_scratch
from escalade.runtime.steps import StepSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from escalade.runtime.allocation import AllocationState, Place
    from escalade.runtime.launcher import Launcher
    from escalade.services.readiness import Prepare
    from escalade.services.recipes import Recipe

STEP_NAME = "prepare"
"""Name of the step that prepares."""
SUMMARY = "summary.json"
"""What the step says of what it put there, in the folder of the prepared files."""
_LOOK_SECONDS = 0.1
_SAY_SECONDS = 2.0
_LOG_LINES = 20


@dataclass(frozen=True)
class Made:
    """What was made for one start: a folder on the service's node, a file with a secret."""

    scratch: str | None = None
    secret_file: str | None = None
    prepared: str | None = None

    def of_the_cell(self) -> dict[str, str]:
        """Give what the workload's parameters may hold."""
        known = {"prepared": self.prepared, "secret_file": self.secret_file}
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True)
class CellInputs:
    """What the start of a service has of its cell.

    Parameters
    ----------
    seed
        Of the cell; what is prepared is drawn from it.
    parameters
        The campaign's own for the workload, over those of the recipe.
    prepared
        Folder for what the workload needs of the preparation; it is kept with the results.
    private
        Folder for what is not kept: the secret.
    local
        Where folders on a node's own disk are made.
    say
        Called with a sentence now and then while something is prepared.
    """

    seed: int = 0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    prepared: Path | None = None
    private: Path | None = None
    local: str | None = None
    say: Callable[[str], object] = lambda _: None

    def make(
        self,
        recipe: Recipe,
        launcher: Launcher,
        allocation: AllocationState,
        place: Place,
        name: str,
    ) -> Made:
        """Make what the recipe uses, for a service that runs on `place` as the step `name`.

        Raises
        ------
        InputError
            When the caller gave no place for it.
        """
        uses = {name: recipe.uses(name) for name in ("scratch", "secret_file", "prepared")}
        uses["prepared"] |= recipe.prepare is not None
        if self.prepared is None or self.private is None:
            if any(uses.values()):
                raise InputError(f"Recipe {recipe.name} needs a cell to be started in.")
            return Made()
        scratch = secret = None
        if uses["scratch"]:
            root = self.local or tempfile.gettempdir()
            folder = f"{allocation.id}-{name}"
            scratch = launcher.call(allocation, place, make_scratch, root, folder)
        if uses["secret_file"]:
            secret = str(_new_secret(self.private / "secret"))
        prepared = str(self.prepared.resolve()) if uses["prepared"] else None
        return Made(scratch, secret, prepared)


@dataclass(frozen=True)
class Preparation:
    """The step that puts something into a service.

    Parameters
    ----------
    launcher, allocation
        Where it runs: on the client's place.
    service
        Name of the service's step, whose end ends the preparation; None: not started here.
    log
        Gets its output.
    inputs
        What it has of the cell.
    """

    launcher: Launcher
    allocation: AllocationState
    service: str | None
    log: Path
    inputs: CellInputs

    def run(self, prepare: Prepare, url: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Prepare the service, and wait for it.

        Parameters
        ----------
        prepare
            What the recipe says.
        url
            Of the service.
        parameters
            Of the recipe for the workload.

        Returns
        -------
        dict
            What the module says of what it put there, and `seconds`.

        Raises
        ------
        ServiceFailedError
            When it fails, takes too long, or the service ends meanwhile.
        """
        if self.inputs.prepared is None or self.inputs.private is None:
            raise InputError("A service can only be prepared for a cell.")
        plan = self.inputs.private / "prepare.json"
        content = {
            "url": url,
            "seed": self.inputs.seed,
            "parameters": {**parameters, **self.inputs.parameters},
            "folder": str(self.inputs.prepared.resolve()),
        }
        write_json(plan, content)
        began = time.monotonic()
        spec = StepSpec(
            name=STEP_NAME,
            argv=(sys.executable, "-m", prepare.module, str(plan.resolve())),
            role="load",
            log=self.log,
            cpus=self.allocation.client.cpus,
            on=self.allocation.client,
        )
        self.launcher.start(self.allocation, spec)
        try:
            self._await_end(began, prepare.timeout_seconds)
        except ServiceFailedError:
            with contextlib.suppress(EscaladeError):
                self.launcher.stop(self.allocation, STEP_NAME)
            raise
        summary = read_json(self.inputs.prepared / SUMMARY, "what was prepared")
        return {**summary, "seconds": round(time.monotonic() - began, 3)}

    def _await_end(self, began: float, timeout_seconds: float) -> None:
        said, said_at = "", began
        while (state := self.launcher.state(self.allocation, STEP_NAME)).running:
            if self.service is not None:
                service = self.launcher.state(self.allocation, self.service)
                if not service.running:
                    self._fail(f"the service {service.describe()} while it was prepared")
            now = time.monotonic()
            if now - began > timeout_seconds:
                self._fail(f"preparing the service took over {timeout_seconds:g} s")
            if now - said_at > _SAY_SECONDS:
                said_at, last = now, self._last_line()
                if last != said:
                    said = last
                    self.inputs.say(last)
            time.sleep(_LOOK_SECONDS)
        if state.exit_code != 0:
            why = self._last_line() or state.describe()
            self._fail(f"the service could not be prepared: {why}")

    def _last_line(self) -> str:
        return next(iter(tail(self.log, 1)), "")

    def _fail(self, cause: str) -> None:
        raise ServiceFailedError(cause, tail(self.log, _LOG_LINES))


def _new_secret(path: Path) -> Path:
    """Write a new password that only this user can read."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as opened:
        opened.write(secrets.token_hex(16))
    return path.resolve()
