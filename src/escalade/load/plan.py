"""What the load generator is asked to do, and the file that tells it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.errors import InputError
from escalade.files import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA = 1
_WORKLOADS = Path(__file__).parent / "workloads"
_PATHS = ("schedule", "folder", "scratch", "log")


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
    parameters
        Read by the workload; see its module.
    folder
        Gets requests-0.parquet and outcome.json.
    scratch
        For files that nobody needs afterwards.
    drain_timeout_seconds
        How long to wait after the window for what is still in flight.
    request_timeout_seconds
        How long one request may take, counted from when its user takes it.
    log
        Gets the load generator's output.
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

    @property
    def requests_file(self) -> Path:
        """The request log of the only worker."""
        return self.folder / "requests-0.parquet"

    @property
    def outcome_file(self) -> Path:
        """What became of the step."""
        return self.folder / "outcome.json"

    @property
    def started_file(self) -> Path:
        """Says when the step began, while it runs."""
        return self.scratch / "started.json"

    @property
    def client_file(self) -> Path:
        """What the load generator says of the step when it ends."""
        return self.scratch / "client.json"


def write_plan(path: Path, step: LoadStep, progress: Path | None) -> None:
    """Write the file that `--escalade-step` names; `progress` is the live file, if any."""
    content = {
        name: str(value.resolve()) if isinstance(value, Path) else value
        for name, value in vars(step).items()
    }
    write_json(
        path,
        {
            "schema": SCHEMA,
            "step": content,
            "progress": str(progress.resolve()) if progress else None,
        },
    )


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
