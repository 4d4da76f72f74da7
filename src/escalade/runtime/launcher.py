"""What every launcher offers: an allocation for a cell, and steps that run in it.

An allocation is a place to run things (a holder process on a laptop, a held job
on a cluster); a step is one program in it. The states below are what the state
files of a campaign hold.
"""

from __future__ import annotations

import dataclasses
import signal as signals
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, TypeVar, get_args

from escalade.errors import InfrastructureError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from escalade.runtime.driver import RunFolder
    from escalade.runtime.slurm.queue import Order

Role = Literal["service", "prometheus", "exporter", "load", "stressor"]
"""What a step is in the measurement; the process exporter adds up by role."""

T = TypeVar("T")
_SCHEMA = 3


@dataclass(frozen=True, slots=True)
class Place:
    """One node of an allocation, with what the allocation has of it.

    Parameters
    ----------
    node
        Host name.
    address
        Where its servers listen, and where the other nodes of the allocation reach them.
    cpus
        Logical CPUs.
    gpus
        GPUs, as `CUDA_VISIBLE_DEVICES` names them.
    group
        Component of a heterogeneous job; None elsewhere.
    slurm_cpus
        CPUs that every step asks Slurm for: all that the job has there; None where the
        job did not ask for a number.
    job
        The job that holds this node, where an allocation is several; None elsewhere.
    """

    node: str
    address: str
    cpus: tuple[int, ...]
    gpus: tuple[str, ...] = ()
    group: int | None = None
    slurm_cpus: int | None = None
    job: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Give the place as plain JSON content."""
        content = dataclasses.asdict(self)
        content["cpus"], content["gpus"] = list(self.cpus), list(self.gpus)
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave."""
        known = _known_fields(cls, content, "place of an allocation")
        known["cpus"], known["gpus"] = tuple(known["cpus"]), tuple(known["gpus"])
        return cls(**known)


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
        known = _known_fields(cls, content, "step request")
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
        return cls(**_known_fields(cls, content, "state of a step"))


@dataclass(frozen=True, slots=True)
class AllocationState:
    """Where the steps of a cell run.

    Parameters
    ----------
    schema
        Version of this record.
    launcher
        Name of the launcher that made it; see `launcher_for`.
    id
        Unique; every process of the allocation has it in `ESCALADE_ALLOCATION`.
    folder
        Folder of the allocation; the spool of its steps is `steps` in it.
    pid, start_time
        The process that holds the allocation, by pid and kernel start time.
    cell
        Name of the cell.
    clients
        Where the load generator runs: one place per node, at least one; on the first one
        Prometheus runs as well.
    services
        Where the service runs: one place per node, at least one.
    lease, lease_seconds
        The lease file that keeps the allocation alive, and how long it may stand
        still.
    ledger
        The ledger in which every process of the allocation is entered.
    job
        Id of the job that holds it; None where there is no scheduler.
    host
        Name of the machine on which that process is; "" for this one.
    """

    schema: int
    launcher: str
    id: str
    folder: str
    pid: int
    start_time: int
    cell: str
    clients: tuple[Place, ...]
    services: tuple[Place, ...]
    lease: str
    lease_seconds: float
    ledger: str
    job: str | None = None
    host: str = ""

    @property
    def client(self) -> Place:
        """Where Prometheus runs: the first place of the client."""
        return self.clients[0]

    @property
    def places(self) -> tuple[Place, ...]:
        """All of them, the client's first; a node that both share is there twice."""
        return (*self.clients, *self.services)

    @property
    def nodes(self) -> list[str]:
        """Names of its nodes, the client's first."""
        return list(dict.fromkeys(place.node for place in self.places))

    @property
    def service(self) -> Place:
        """Where the service is spoken to: the first of its places."""
        return self.services[0]

    @property
    def steps(self) -> Path:
        """The spool folder: one set of small files per step."""
        return Path(self.folder) / "steps"

    def to_json(self) -> dict[str, Any]:
        """Give the state as plain JSON content."""
        content = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        content["clients"] = [place.to_json() for place in self.clients]
        content["services"] = [place.to_json() for place in self.services]
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_json` gave.

        Raises
        ------
        InputError
            When keys are missing or the record is of another version.
        """
        known = _known_fields(cls, content, "state of an allocation")
        if known["schema"] != _SCHEMA:
            raise InputError(
                f"The state of an allocation has schema {known['schema']}, expected {_SCHEMA}: "
                "another version of Escalade wrote it. Start the campaign again."
            )
        known["clients"] = tuple(Place.from_json(place) for place in known["clients"])
        known["services"] = tuple(Place.from_json(place) for place in known["services"])
        return cls(**known)


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
    from escalade.runtime.local import LocalLauncher  # noqa: PLC0415 - imports this module
    from escalade.runtime.slurm.launcher import SlurmLauncher  # noqa: PLC0415 - the same

    launchers: dict[str, type[Launcher]] = {"local": LocalLauncher, "slurm": SlurmLauncher}
    name = wanted.launcher if isinstance(wanted, AllocationState) else wanted
    if name not in launchers:
        raise InputError(f"Launcher {name!r} is unknown; expected one of {', '.join(launchers)}.")
    return launchers[name]()


def failed_to_start(state: StepState) -> InfrastructureError:
    """Make the error for a step that could not be started, with where to look."""
    return InfrastructureError(
        f"Step {state.name!r} could not be started: {state.describe()}. Its log is {state.log}."
    )


def _known_fields(cls: type, content: Mapping[str, Any], what: str) -> dict[str, Any]:
    entries = dataclasses.fields(cls)
    missing = [
        entry.name
        for entry in entries
        if entry.name not in content
        and entry.default is dataclasses.MISSING
        and entry.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise InputError(f"The {what} lacks {', '.join(missing)}.")
    return {entry.name: content[entry.name] for entry in entries if entry.name in content}


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"
