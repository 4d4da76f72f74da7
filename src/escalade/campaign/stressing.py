"""The life of a stressor in a cell."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from escalade.campaign.state import read_allocation
from escalade.errors import InfrastructureError
from escalade.runtime.launcher import launcher_for
from escalade.runtime.scratch import make_scratch
from escalade.runtime.steps import StepSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from escalade.campaign.run import CellRun
    from escalade.campaign.stress import Stress

STEP_NAME = "stressor"


@contextmanager
def stressed(here: CellRun) -> Iterator[Callable[[], None]]:
    """Run the cell's stressor, if it has one; give what raises when it has ended by itself.

    Raises
    ------
    InfrastructureError
        When it can't be started, or has ended: what was to be measured beside it was not.
    """
    stress = here.cell.deployment.stress
    if stress is None:
        yield lambda: None
        return
    allocation = read_allocation(here.state)
    launcher = launcher_for(allocation)
    place = allocation.service
    scratch = None
    if stress.kind == "disk":
        root, name = stress.folder or "/var/tmp", f"{allocation.id}-stress"  # noqa: S108 - made for us alone
        scratch = launcher.call(allocation, place, make_scratch, root, name)
    spec = StepSpec(
        name=STEP_NAME,
        argv=_command(stress, scratch),
        role="stressor",
        log=here.folder.logs / "stressor.log",
        cpus=place.cpus,
        on=place,
        scratch=scratch,
    )
    launcher.start(allocation, spec)

    def check() -> None:
        state = launcher.state(allocation, STEP_NAME)
        if not state.running:
            raise InfrastructureError(
                f"The stressor {state.describe()} in the middle of a step. Its log is {spec.log}. "
                "Start the campaign again; finished cells are kept."
            )

    try:
        yield check
    finally:
        launcher.stop(allocation, STEP_NAME)


def _command(stress: Stress, folder: str | None) -> tuple[str, ...]:
    command = [sys.executable, "-m", "escalade.services.stressor", stress.kind]
    command += ["--workers", str(stress.workers)]
    for name in ("share", "megabytes"):
        if (value := getattr(stress, name)) is not None:
            command += [f"--{name}", str(value)]
    return (*command, *(("--folder", folder) if folder else ()))
