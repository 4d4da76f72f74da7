"""What has to happen between the start of a service and its first request."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from escalade.services.validation import Section

Seconds = Annotated[float, Field(gt=0, le=24 * 3600, allow_inf_nan=False)]


class Probe(Section):
    """How to know that the service is ready."""

    path: Annotated[str, Field(pattern=r"^/")] | None = None
    """Path of the URL that is asked for with GET; without one a TCP connection is enough."""
    answers: (
        Annotated[tuple[Annotated[int, Field(ge=100, le=599)], ...], Field(min_length=1)] | None
    ) = None
    """HTTP statuses that mean ready; 200 when left out."""
    timeout_seconds: Seconds
    """How long the service may take until it is ready, from its start."""

    @model_validator(mode="after")
    def _consistent(self) -> Probe:
        if self.path is None and self.answers is not None:
            raise ValueError("answers goes with a path: a TCP connection has no status")
        return self


class Prepare(Section):
    """What is put into the service before the load, such as a collection or objects."""

    module: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$")]
    """Python module, run on the client's node as `python -m MODULE PLAN`; PLAN is a JSON file with
    the service's url, the cell's seed, the workload's parameters, and the folder for what the
    workload needs. It ends with 0 when all is there; its last line says what was wrong."""
    timeout_seconds: Seconds
    """How long it may take."""
