"""The batch script of an allocation, and the command line of a step in it.

What the script decides, and why:

`--export=NONE` with `#!/bin/bash -l`
    The job gets the environment of a fresh login on its node (profile, modules),
    the same whoever submits it from wherever: a half-loaded module or an activated
    environment of the submitting shell would otherwise reach the service. Slurm
    passes `SLURM_*` variables on even so, hence `clean_environment` for sbatch.
`--no-requeue`
    A job that Slurm started again would measure beside the driver that has already
    recorded its loss. Retries are ours.
`--gres` instead of `--gpus-…`
    Understood by every version and every select plugin, for jobs and steps alike.
`exec`
    Slurm's signals reach the command itself, not a shell in front of it.
"""

from __future__ import annotations

import math
import re
import shlex
from typing import TYPE_CHECKING

from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from escalade.runtime.slurm.request import AllocationRequest, ComponentRequest

_INHERITED = (
    *("SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SALLOC_", "PMI_", "PMIX_"),
    *("SQUEUE_", "SACCT_", "SCANCEL_", "SCONTROL_", "SINFO_"),
)
_KEPT = "SLURM_CONF"

STEP_WAIT_SECONDS = 5
"""How long srun waits for a step to be created before it gives up."""


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Give `environ` without what Slurm would read as options or as another job's.

    Inside a job `SLURM_JOB_ID`, `SLURM_CPUS_PER_TASK`, `SLURM_EXPORT_ENV` and others
    silently change what srun and sbatch do; a site's or user's `SQUEUE_FORMAT` what
    squeue prints. `SLURM_CONF` stays: it names the cluster.
    """
    return {
        name: value
        for name, value in environ.items()
        if name == _KEPT or not name.startswith(_INHERITED)
    }


def sbatch_script(request: AllocationRequest) -> str:
    """Write the batch script of an allocation.

    Parameters
    ----------
    request
        Several components give a heterogeneous job, whose parts start together.

    Returns
    -------
    str
        A script for sbatch; it ends in the request's command.
    """
    first, *others = request.components
    lines = ["#!/bin/bash -l", *_directives(_options_of_job(request))]
    lines += _directives(_options(first, request))
    for component in others:
        lines += ["#SBATCH hetjob", *_directives(_options(component, request))]
    return "\n".join([*lines, "", *_body(request)]) + "\n"


def _body(request: AllocationRequest) -> Iterator[str]:
    yield "# A site whose login environment can't be read gives none at all."
    yield 'export HOME="${HOME:-$(echo ~)}" USER="${USER:-$(id -un)}"'
    yield "# Else steps that the command starts would begin with an empty environment."
    yield "export SLURM_EXPORT_ENV=ALL"
    if request.setup:
        yield ""
        said = "escalade: the setup of the site failed (status $?) at: $BASH_COMMAND"
        yield f"trap 'echo \"{said}\" >&2; exit 1' ERR"
        yield from request.setup
        yield "trap - ERR"
    yield ""
    yield f"exec {shlex.join(request.command)}"


def _options_of_job(request: AllocationRequest) -> Iterator[str]:
    yield f"--output={str(request.log).replace('%', '%%')}"
    yield "--export=NONE"
    if request.after is not None:
        yield f"--dependency=afterany:{request.after}"
    if request.warn_seconds is not None:
        yield f"--signal=B:USR1@{math.ceil(request.warn_seconds)}"


def _options(component: ComponentRequest, request: AllocationRequest) -> Iterator[str]:
    """Give the options of one component; Slurm hands almost none from the first to the next."""
    yield f"--job-name={request.name}"
    yield "--no-requeue"
    yield f"--time={math.ceil(request.time_limit_seconds / 60)}"
    for key in ("partition", "account", "qos", "reservation", "constraint"):
        if (value := getattr(component, key)) is not None:
            yield f"--{key}={value}"
    yield f"--nodes={component.nodes}"
    yield "--ntasks-per-node=1"
    if component.cpus is not None:
        yield f"--cpus-per-task={component.cpus}"
    if component.memory_mb is not None:
        yield f"--mem={component.memory_mb}"
    if component.gpus:
        kind = "" if component.gpu_type is None else f"{component.gpu_type}:"
        yield f"--gres=gpu:{kind}{component.gpus}"
    if component.exclusive:
        yield "--exclusive"
    yield from component.extra


def _directives(options: Iterable[str]) -> Iterator[str]:
    return (f"#SBATCH {_quoted(option)}" for option in options)


def _quoted(option: str) -> str:
    """Keep sbatch from dividing a value at a blank, or from taking it for a comment."""
    short = re.fullmatch(r"(-[A-Za-z]) *(.+)", option)
    beginning, value = (f"{short[1]} ", short[2]) if short else ("", option)
    return f'{beginning}"{value}"' if re.search(r"[ #]", value) else f"{beginning}{value}"


def srun_argv(
    job: str,
    argv: Sequence[str],
    *,
    het_group: int | None,
    nodelist: str | None,
    cpus: int | None,
    memory_mb: int | None,
    gpus: int,
    name: str,
    chdir: Path | None,
    stdin: bool = False,
) -> tuple[str, ...]:
    """Give the command that runs one task in an allocation that is held.

    Parameters
    ----------
    job
        The job's id, of the first component in a heterogeneous one.
    argv
        The task; paths absolute, or relative to `chdir`.
    het_group
        Component of a heterogeneous job, from 0; None in a plain job, where Slurm
        refuses any number.
    nodelist
        The node; None lets Slurm choose one of the component.
    cpus
        CPUs as Slurm counts them; None takes all that the job has there.
    memory_mb
        MiB; None takes all that the job has there.
    gpus
        How many of the job's GPUs; 0 hides them all.
    name
        Name of the step.
    chdir
        Working directory; that of srun when None. One that does not exist on the node
        gives a step in /tmp and only a line in the log.
    stdin
        Whether the task reads what srun reads.

    Raises
    ------
    InputError
        When there is nothing to run.
    """
    if not argv:
        raise InputError(f"Step {name!r} of job {job} has no command.")
    options = [
        f"--jobid={job}",
        f"--job-name={name}",
        "--overlap",  # steps of one allocation share it; without this they queue for each other
        # Nodes count as busy for seconds after a restart of slurmctld, and an srun that met
        # that asks again only after two minutes: see `why_no_step`.
        f"--immediate={STEP_WAIT_SECONDS}",
        "--nodes=1",
        "--ntasks=1",
        "--cpu-bind=none",  # the site's default may be one thread; the task pins itself
        "--mpi=none",  # a site's default may be one that waits for ranks
        "--export=ALL",  # inside a job submitted with NONE the default is NONE
        f"--input={'all' if stdin else 'none'}",
        "--unbuffered",
        f"--gres=gpu:{gpus}" if gpus else "--gres=none",
    ]
    if het_group is not None:
        options.append(f"--het-group={het_group}")
    if nodelist is not None:
        options.append(f"--nodelist={nodelist}")
    if cpus is not None:
        options.append(f"--cpus-per-task={cpus}")
    if memory_mb is not None:
        options.append(f"--mem={memory_mb}")
    if chdir is not None:
        options.append(f"--chdir={chdir}")
    return ("srun", *options, *argv)
