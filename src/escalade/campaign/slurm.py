"""What a campaign says about Slurm: the section `execution.slurm`.

Of all this only what the service gets of its nodes (CPUs, memory, GPUs) defines a
cell; where a cell runs is recorded with it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from escalade.errors import InputError
from escalade.runtime.slurm.options import decided
from escalade.runtime.slurm.request import ComponentRequest
from escalade.services.validation import Section

Word = Annotated[str, Field(pattern=r"^[^\s\-][^\s]*$", max_length=200)]
"""A name as Slurm has them: no blanks, and nothing that looks like an option."""
Line = Annotated[str, Field(pattern=r"^[^\r\n\x00]*\S[^\r\n\x00]*$", max_length=4000)]
"""One line of a shell script."""
_Interval = Annotated[float, Field(gt=0, le=7 * 24 * 3600, allow_inf_nan=False)]

COMPONENTS = ("client", "service", "all")
"""Components of an allocation: two of a `split` one, and the only one of a `shared` one."""


def _checked_option(option: str) -> str:
    """Refuse what is no single option, and what Escalade sets itself, abbreviated or not."""
    name = option.partition("=")[0]
    if len(name) < 2 or name == "--" or name[0] != "-" or set(name) & set(" \t"):
        raise ValueError("expected one option of sbatch, as in --nodelist=node2")
    if (why := decided(option)) is not None:
        raise ValueError(why)
    return option


Option = Annotated[
    str,
    Field(pattern=r"^[^\r\n\x00]+$", max_length=500),
    AfterValidator(_checked_option),
]


class SlurmComponent(Section):
    """What one part of an allocation asks Slurm for; what is left out has the site's default."""

    partition: Word | None = None
    """Partition (sbatch --partition)."""
    account: Word | None = None
    """Account that pays (sbatch --account); it belongs into the site file."""
    qos: Word | None = None
    """Quality of service (sbatch --qos)."""
    reservation: Word | None = None
    """Reservation to use (sbatch --reservation)."""
    constraint: Word | None = None
    """Features that the nodes must have (sbatch --constraint)."""
    nodes: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Number of nodes."""
    cpus: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Logical CPUs on each node; as many as the site gives by default."""
    memory_mb: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = None
    """Memory on each node in MiB, as Slurm counts it; 0 is all of it, the site's default when left out."""
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    """GPUs on each node."""
    gpu_type: Word | None = None
    """Type of the GPUs, by Slurm's name for it."""
    exclusive: bool = False
    """Ask for whole nodes."""
    extra: tuple[Option, ...] = ()
    """Further options of sbatch, as in "--nodelist=node2"; those that Escalade sets are refused."""

    def request(self, name: str) -> ComponentRequest:
        """Give the request for this component.

        Raises
        ------
        InputError
            When a value can't be written into a batch script.
        """
        values = {key: getattr(self, key) for key in type(self).model_fields}
        if not self.gpus:
            values["gpu_type"] = None  # the site's default, where the campaign wants no GPU
        return ComponentRequest(name=name, **values)


class Slurm(Section):
    """How allocations are asked for on a Slurm cluster; the site file gives the defaults."""

    topology: Literal["split", "pair", "shared", "auto"] = "split"
    """split: one heterogeneous job, a component for the client (Prometheus, exporters, load) and one for
    the service. pair: a plain job for each; the one that starts first waits for the other. shared: one
    plain job for both. auto: split; pair where the site runs no heterogeneous jobs; shared where its
    limits leave no other way."""
    client: SlurmComponent = SlurmComponent()
    """Where Prometheus and the load generator run, in the split topology. With several nodes load.workers are
    spread over them, and Prometheus is on the first."""
    service: SlurmComponent = SlurmComponent()
    """Where the service under test runs, in the split topology."""
    all: SlurmComponent = SlurmComponent()
    """The one component of the shared topology. What it leaves out is the service's; CPUs and memory are
    those of both where both state them."""
    queue_timeout_seconds: _Interval = 24 * 3600.0
    """How long an allocation may wait in the queue before it is given up."""
    time_limit_seconds: Annotated[float, Field(ge=60, le=365 * 24 * 3600)] | None = None
    """Time limit of an allocation; computed from the plan with a margin by default."""
    time_margin_ratio: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.25
    """Margin on the longest time that a cell may take, as a ratio of it."""
    lease_seconds: Annotated[float, Field(ge=10, le=24 * 3600, allow_inf_nan=False)] = 300.0
    """An allocation whose driver has not been seen for so long ends itself."""
    cells_per_allocation: Literal["auto"] | Annotated[int, Field(ge=1, le=100_000)] = "auto"
    """How many cells of a lane share an allocation, one after the other; auto: as many as its time allows."""
    interface: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,15}$")] | None = None
    """Network interface that services and exporters are reached by, as in "ib0"; found by trying by default."""
    local_folder: Annotated[str, Field(pattern=r"^[/$][^\s]*$", max_length=500)] | None = None
    """Folder on every node's own disk, as in "/tmp" or "$TMPDIR": Prometheus keeps its data there while a
    cell runs, for its write-ahead log stalls on shared storage. In the results' folder by default."""
    setup: tuple[Line, ...] = ()
    """Shell lines before the allocation's own command, in a login shell, such as module loads."""
    binds: tuple[Line, ...] = ()
    """What every container of this site sees as well, as in "/project" or "/scratch:/data:ro"."""

    @model_validator(mode="after")
    def _can_be_asked_for(self) -> Slurm:
        for name in COMPONENTS:
            component: SlurmComponent = getattr(self, name)
            try:
                component.request(name)
            except InputError as error:
                raise ValueError(str(error)) from None
        return self
