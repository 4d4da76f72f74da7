"""What the load generator is asked to do, and the file that tells it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.errors import InputError
from escalade.files import read_json, write_json
from escalade.load.hopeless import Bound
from escalade.load.payloads import Payloads, Prefix
from escalade.load.prompts import read_prompts

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
LEAD_SECONDS = 0.2
"""From "all workers are ready" to the epoch of a step."""
_WORKLOADS = Path(__file__).parent / "workloads"
_PATHS = ("schedule", "folder", "scratch", "log")


@dataclass(frozen=True)
class Part:
    """One workload of a step: the only one, or one of a mix; fields as those of `LoadStep`.

    Parameters
    ----------
    name
        In the request log of a mix.
    workload, parameters, request_timeout_seconds, prompts, prefix
        As in `LoadStep`.
    """

    name: str
    workload: str
    parameters: Mapping[str, Any] = field(hash=False)
    request_timeout_seconds: float
    prompts: Path | None = None
    prefix: Mapping[str, int] = field(default_factory=dict, hash=False)

    def payloads(self, seed: int) -> Payloads:
        """Give what its requests say.

        Raises
        ------
        InputError
            When the file of prompts can't be read.
        """
        given = read_prompts(self.prompts) if self.prompts else None
        return Payloads(seed, given, Prefix(**self.prefix) if self.prefix else None)

    def stored(self) -> dict[str, Any]:
        """Give it as the plan's file keeps it."""
        return vars(self) | {"prompts": str(self.prompts.resolve()) if self.prompts else None}

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Part:
        """Give what `stored` gave."""
        return cls(**{**stored, "prompts": Path(stored["prompts"]) if stored["prompts"] else None})


@dataclass(frozen=True)
class LoadStep:
    """One step of a cell, as the load generator runs it.

    Parameters
    ----------
    schedule
        schedule.parquet of the cell.
    step, repetition
        Numbers of the step (1-based, one of the schedule's) and the repetition.
    seed
        Of the prompts, and of the choice between several user classes or tasks.
    workload
        Name of a module in load/workloads, or path of a locustfile.
    host
        Base URL of the service.
    hosts
        Base URLs of its copies, where it has several: requests go to them in turn, see
        `escalade.load.spread`; () for one.
    failover
        Whether a request whose connection is refused goes to the next copy.
    parameters
        Read by the workload; see its module.
    folder
        Gets requests-0.parquet and so on, one for each worker, and outcome.json.
    scratch
        For files that nobody needs afterwards.
    drain_timeout_seconds
        How long to wait after the window for what is still in flight.
    request_timeout_seconds
        How long one request may take, counted from when its user takes it.
    log
        Gets the output of the load generator's first worker.
    live
        Folder of the workers' live counters on their node, see `escalade.load.live`; None for none.
    prompts
        File of prompts; None makes them.
    prefix
        `tokens` and `groups` of what prompts share at their beginning; {} for nothing.
    worker, workers
        Which of how many processes this is: it sends rows `worker`, `worker + workers`, …
    mix
        Workloads that share the requests, in the schedule's order, in place of the one above.
    bounds
        Where more requests than these are beyond a limit, the step is given up.
    """

    schedule: Path
    step: int
    repetition: int
    seed: int
    workload: str
    host: str
    parameters: Mapping[str, Any]
    folder: Path
    scratch: Path
    drain_timeout_seconds: float
    request_timeout_seconds: float
    log: Path
    live: Path | None = None
    prompts: Path | None = None
    prefix: Mapping[str, int] = field(default_factory=dict, hash=False)
    worker: int = 0
    workers: int = 1
    bounds: tuple[Bound, ...] = ()
    mix: tuple[Part, ...] = ()
    hosts: tuple[str, ...] = ()
    failover: bool = False

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """Give the workloads, one or several."""
        only = self.workload, self.parameters, self.request_timeout_seconds
        return self.mix or (Part("", *only, self.prompts, self.prefix),)

    def each(self) -> list[LoadStep]:
        """Give the step as each of its workers has it."""
        return [
            replace(self, worker=number, log=_numbered(self.log, number))
            for number in range(self.workers)
        ]

    @property
    def plan_file(self) -> Path:
        """Tells the worker what to do."""
        return self.scratch / f"plan-{self.worker}.json"

    @property
    def requests_file(self) -> Path:
        """The request log of the worker."""
        return self.folder / f"requests-{self.worker}.parquet"

    @property
    def outcome_file(self) -> Path:
        """What became of the step."""
        return self.folder / "outcome.json"

    @property
    def started_file(self) -> Path:
        """Says when the step began, while it runs."""
        return self.scratch / f"started-{self.worker}.json"

    @property
    def give_up_file(self) -> Path:
        """Tells all workers to send nothing more, once it is there."""
        return self.scratch / "give_up.json"

    @property
    def client_file(self) -> Path:
        """What the worker says of the step when it ends."""
        return self.scratch / f"client-{self.worker}.json"


def write_plan(path: Path, step: LoadStep, progress: Path | None) -> None:
    """Write the file that `--escalade-step` names; `progress` is the live file, if any.

    Of several workers each has a live file of its own.
    """
    content = {
        name: str(value.resolve()) if isinstance(value, Path) else value
        for name, value in vars(step).items()
    } | {"mix": [part.stored() for part in step.mix]}
    content["bounds"] = [asdict(bound) for bound in step.bounds]
    write_json(
        path,
        {
            "schema": SCHEMA,
            "step": content,
            "progress": str(live_file(progress.resolve(), step.worker)) if progress else None,
        },
    )


def live_file(progress: Path, worker: int) -> Path:
    """Name the live file of a worker."""
    return _numbered(progress, worker)


def read_plan(path: Path) -> tuple[LoadStep, Path | None]:
    """Read the file that `write_plan` wrote.

    Raises
    ------
    InputError
        When it is missing, no JSON, or not such a plan.
    """
    stored = read_json(path, "Plan of the load step")
    try:
        fields = dict(stored["step"])
        for name in _PATHS:
            fields[name] = Path(fields[name])
        for name in ("live", "prompts"):
            fields[name] = Path(fields[name]) if fields[name] else None
        fields["hosts"] = tuple(fields["hosts"])
        fields["mix"] = tuple(map(Part.of, fields["mix"]))
        fields["bounds"] = tuple(Bound(**bound) for bound in fields["bounds"])
        progress = stored["progress"]
        return LoadStep(**fields), Path(progress) if progress else None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"Plan of the load step: {path} is not one that escalade.load.plan wrote ({error!r})."
        ) from error


def workload_file(workload: str) -> Path:
    """Find the locustfile of a workload.

    Raises
    ------
    InputError
        When `workload` is neither a bundled name nor an existing file.
    """
    bundled = {
        file.stem: file for file in sorted(_WORKLOADS.glob("*.py")) if file.stem != "__init__"
    }
    if workload in bundled:
        return bundled[workload]
    path = Path(workload)
    if path.suffix == ".py" and path.is_file():
        return path.resolve()
    raise InputError(
        f"Workload {workload!r} is unknown. Give the path of a locustfile (*.py), or one of "
        f"{', '.join(bundled)}."
    )


def _numbered(path: Path, worker: int) -> Path:
    """Name a file of a worker: the first one's has the plain name."""
    return path.with_name(f"{path.stem}-{worker}{path.suffix}") if worker else path
