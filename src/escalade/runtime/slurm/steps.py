"""Short steps in a held job: the srun of a place, and calls of functions there."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

from escalade.errors import InfrastructureError
from escalade.runtime.slurm import remote
from escalade.runtime.slurm.script import clean_environment, srun_argv
from escalade.runtime.slurm.text import why_no_step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from escalade.runtime.allocation import Place

BUSY_SECONDS, BUSY_LOOK_SECONDS = 60.0, 1.0
"""How long srun is asked again while Slurm is busy for a moment, and how often."""
_CALL_SECONDS = 120.0


def srun(job: str, place: Place, name: str, *, gpus: bool, stdin: bool = False) -> tuple[str, ...]:
    """Give the srun of a step, without its command; it asks for all CPUs of its node.

    Steps that ask for fewer are all given the same first ones, so each pins itself.
    """
    return srun_argv(
        place.job or job,
        ("true",),  # the caller's command takes its place
        het_group=place.group,
        nodelist=place.node,
        cpus=place.slurm_cpus,
        memory_mb=None,
        gpus=len(place.gpus) if gpus else 0,
        name=name,
        chdir=None,
        stdin=stdin,
    )[:-1]


def call(job: str, place: Place, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of a module on a place.

    Raises
    ------
    InfrastructureError
        When the step can't run, besides what the function raises.
    """
    where = f"{function.__name__} on {place.node}"
    command = calling(job, place, function, *arguments)
    deadline = time.monotonic() + BUSY_SECONDS
    while (done := _run(command, job, where)).returncode != 0:
        if not passes(done.stderr) or time.monotonic() > deadline:
            said = done.stderr.strip()[-1000:]
            raise InfrastructureError(f"A step of job {job} ({where}) failed. srun said:\n{said}")
        time.sleep(BUSY_LOOK_SECONDS)
    return remote.answer(done.stdout)


def calling(
    job: str, place: Place, function: Callable[..., Any], *arguments: Any
) -> tuple[str, ...]:
    """Give the command that calls a function of a module on a place."""
    step = srun(job, place, "ask", gpus=bool(place.gpus))
    return (*step, *remote.command(function, arguments))


def passes(said: str) -> bool:
    """Tell whether srun was refused for a moment only, as after a restart of slurmctld."""
    reason = why_no_step(said)
    return reason is not None and reason.passing


def _run(command: Sequence[str], job: str, where: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=clean_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_CALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InfrastructureError(
            f"A step of job {job} ({where}) did not end within {_CALL_SECONDS:g} s: does Slurm "
            "start steps on that node at all? See the logs of slurmctld and slurmd."
        ) from None
