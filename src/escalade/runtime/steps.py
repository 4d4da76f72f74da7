"""A program in an allocation: what is asked for, and what became of it."""

from __future__ import annotations

import dataclasses
import signal as signals
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from escalade.errors import InfrastructureError, InputError
from escalade.runtime.allocation import Place
from escalade.runtime.fields import known_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

Role = Literal["service", "prometheus", "exporter", "load", "stressor"]
"""What a step is in the measurement; the process exporter adds up by role."""


@dataclass(frozen=True, slots=True)
class StepSpec:
    """A program to run in an allocation.

    Parameters
    ----------
    name
        Unique among the running steps of the allocation; letters, digits, `_`,
        `.` and `-`.
    argv
        The command, never a shell line.
    role
        One of `Role`.
    log
        File that receives standard output and standard error; appended to.
    environment
        Variables added to, or replacing, those of the allocation.
    cwd
        Working directory; that of the allocation when None.
    cpus
        Logical CPUs to run on; all of the allocation's when None.
    stop_seconds
        How long the step has between SIGTERM and SIGKILL.
    on
        Where in the allocation it runs; on the client's place when None.
    gpus
        Whether it sees the GPUs of its place.
    scratch
        Folder on its node that is removed once the step is over.
    """

    name: str
    argv: tuple[str, ...]
    role: Role
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    cpus: tuple[int, ...] | None = None
    stop_seconds: float = 3.0
    on: Place | None = None
    gpus: bool = False
    scratch: str | None = None

    def __post_init__(self) -> None:
        """Refuse what no launcher could run."""
        if not self.name or not all(sign.isalnum() or sign in "_.-" for sign in self.name):
            raise InputError(
                f"Step name {self.name!r} can't name a file: expected letters, digits, _ . -"
            )
        if self.name.startswith("."):
            raise InputError(f"Step name {self.name!r} begins with a dot: such files are hidden.")
        if not self.argv:
            raise InputError(f"Step {self.name!r} has no command.")
        if self.role not in get_args(Role):
            raise InputError(
                f"Step {self.name!r} has the role {self.role!r}; "
                f"expected one of {', '.join(get_args(Role))}."
            )

    def to_json(self) -> dict[str, Any]:
        """Give the spec as plain JSON content."""
        content = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        content["argv"] = list(self.argv)
        content["log"] = str(self.log)
        content["environment"] = dict(self.environment)
        content["cwd"] = None if self.cwd is None else str(self.cwd)
        content["cpus"] = None if self.cpus is None else list(self.cpus)
        content["on"] = None if self.on is None else self.on.to_json()
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        known = known_fields(cls, content, "step request")
        known["argv"] = tuple(known["argv"])
        known["log"] = Path(known["log"])
        known["cwd"] = None if known["cwd"] is None else Path(known["cwd"])
        known["cpus"] = None if known["cpus"] is None else tuple(known["cpus"])
        known["on"] = None if known.get("on") is None else Place.from_json(known["on"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class StepState:
    """What became of a step.

    Parameters
    ----------
    name, role, log
        As in the `StepSpec`.
    pid
        The first process of the step; None when it could not be started.
    started_at, ended_at
        Unix seconds; None when it did not happen, or nobody saw when.
    exit_code, signal
        How the first process ended; at most one of them is known.
    error
        Why the step could not be started, or why nobody knows how it ended.
    """

    name: str
    role: str
    pid: int | None
    started_at: float | None
    ended_at: float | None
    exit_code: int | None
    signal: int | None
    log: str
    error: str | None = None

    @property
    def running(self) -> bool:
        """True from the start of the step until its first process has ended."""
        return self.pid is not None and self.ended_at is None and self.error is None

    def describe(self) -> str:
        """Say it in words, to follow the step's name: "exited with code 3"."""
        if self.error is not None:
            return self.error
        if self.signal is not None:
            return f"was killed by {_signal_name(self.signal)}"
        if self.exit_code is not None:
            return f"exited with code {self.exit_code}"
        return "runs" if self.running else "has not started"

    def to_json(self) -> dict[str, Any]:
        """Give the state as plain JSON content."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave; unknown keys are left out."""
        return cls(**known_fields(cls, content, "state of a step"))


def failed_to_start(state: StepState) -> InfrastructureError:
    """Make the error for a step that could not be started, with where to look."""
    return InfrastructureError(
        f"Step {state.name!r} could not be started: {state.describe()}. Its log is {state.log}."
    )


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
