"""What every launcher offers: an allocation for a cell, and steps that run in it.

An allocation is a place to run things (a holder process on a laptop, a held job
on a cluster); a step is one program in it. Their records, which the state files
of a campaign hold, are in `allocation` and `steps`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from escalade.errors import InputError
from escalade.runtime.allocation import AllocationState
from escalade.runtime.local import LocalLauncher
from escalade.runtime.slurm.launcher import SlurmLauncher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from escalade.runtime.allocation import Place
    from escalade.runtime.driver import RunFolder
    from escalade.runtime.slurm.queue import Order
    from escalade.runtime.steps import StepSpec, StepState

T = TypeVar("T")


class Launcher(Protocol):
    """Holds allocations and runs steps in them."""

    def allocate(
        self, cell: str, folder: Path, run: RunFolder, order: Order | None = None
    ) -> AllocationState:
        """Get a place for `cell`, held until it is released or the run's lease is stale."""
        ...

    def start(self, allocation: AllocationState, spec: StepSpec) -> StepState:
        """Start a step and wait until it runs, has ended, or could not be started."""
        ...

    def state(self, allocation: AllocationState, name: str) -> StepState:
        """Tell what became of a step."""
        ...

    def stop(self, allocation: AllocationState, name: str) -> StepState:
        """End a step with everything it started, and wait for that."""
        ...

    def release(self, allocation: AllocationState, *, keep: bool = False) -> None:
        """End every step and give the allocation back; harmless when repeated.

        With `keep` what is costly to get, a job, is kept for the next cell of the run.
        """
        ...

    def alive(self, allocation: AllocationState) -> bool:
        """Tell whether the allocation is still held."""
        ...

    def notes(self, allocation: AllocationState, place: Place) -> Path:
        """Give the spool folder whose `started` notes name the processes on a place."""
        ...

    def end_of(self, allocation: AllocationState) -> str:
        """Say why an allocation that is not held any more has ended."""
        ...

    def call(
        self, allocation: AllocationState, place: Place, function: Callable[..., T], *arguments: Any
    ) -> T:
        """Call a function of a module on a place; arguments and answer are plain JSON."""
        ...

    def prefix(self, allocation: AllocationState, place: Place, name: str) -> tuple[str, ...]:
        """Give what stands before a command that the caller runs on a place; () for here.

        The command reads what the caller writes to its standard input, and ends with it.
        """
        ...


def launcher_for(wanted: str | AllocationState) -> Launcher:
    """Give the launcher of that name, or the one that made an allocation.

    Raises
    ------
    InputError
        When there is no launcher of that name.
    """
    launchers: dict[str, type[Launcher]] = {"local": LocalLauncher, "slurm": SlurmLauncher}
    name = wanted.launcher if isinstance(wanted, AllocationState) else wanted
    if name not in launchers:
        raise InputError(f"Launcher {name!r} is unknown; expected one of {', '.join(launchers)}.")
    return launchers[name]()
