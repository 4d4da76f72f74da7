"""Where the steps of a cell run: the places of an allocation, and the record of it in a state file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from escalade.errors import InputError
from escalade.runtime.fields import known_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

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
        known = known_fields(cls, content, "place of an allocation")
        known["cpus"], known["gpus"] = tuple(known["cpus"]), tuple(known["gpus"])
        return cls(**known)


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
        known = known_fields(cls, content, "state of an allocation")
        if known["schema"] != _SCHEMA:
            raise InputError(
                f"The state of an allocation has schema {known['schema']}, expected {_SCHEMA}: "
                "another version of Escalade wrote it. Start the campaign again."
            )
        known["clients"] = tuple(Place.from_json(place) for place in known["clients"])
        known["services"] = tuple(Place.from_json(place) for place in known["services"])
        return cls(**known)
