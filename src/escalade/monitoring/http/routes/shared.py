"""What the operations have in common: where they find the service, and the session in a path."""

from typing import Annotated, Any

from fastapi import Depends, Path, Request

from escalade.monitoring.http.desk import Desk
from escalade.monitoring.http.problems import ABSENT, CONFLICT
from escalade.monitoring.http.wanted import SESSION

READS: dict[int | str, dict[str, Any]] = {**ABSENT}
"""Refusals of an operation that looks at a session."""
CHANGES: dict[int | str, dict[str, Any]] = {**ABSENT, **CONFLICT}
"""Refusals of an operation that changes one."""


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(_desk)]
Session = Annotated[
    str, Path(pattern=SESSION, description="Id of the session.", examples=["bench01"])
]
Name = Annotated[str, Path(pattern=SESSION, description="As it was named.", examples=["run01"])]
