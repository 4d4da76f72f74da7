"""Agents on all nodes of a Slurm job: `python -m escalade.profiler.attached HEAD QUEUES [TOKEN]`.

That is the task of the step on each node: it connects by the name that Slurm gives the node, with
a queue of its own in a folder that all nodes see. A node without a GPU has nothing to send.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from escalade.errors import AbsentError, InfrastructureError
from escalade.runtime.slurm.commands import Slurm
from escalade.runtime.slurm.script import clean_environment
from escalade.runtime.slurm.text import JobState

if TYPE_CHECKING:
    from collections.abc import Sequence

_STEP = "escalade-profile"


def step_of(job: str, command: Sequence[str]) -> tuple[list[str], dict[str, str], list[str]]:
    """Give the srun that runs a command once on each node of a job.

    Parameters
    ----------
    job
        Its id.
    command
        The task.

    Returns
    -------
    tuple
        The command line, its environment, and the nodes.

    Raises
    ------
    AbsentError
        When Slurm knows no such job.
    InfrastructureError
        When the job does not run, or Slurm does not answer.
    """
    components = Slurm().jobs([job]).get(job, ())
    if all(it.state is JobState.UNKNOWN for it in components):
        raise AbsentError(f"--job {job}: Slurm knows no such job; `squeue --me` lists yours.")
    if any(it.state is not JobState.RUNNING for it in components):
        words = ", ".join(it.state.value for it in components)
        raise InfrastructureError(f"--job {job} does not run: {words}. Attach when it does.")
    nodes = [node for it in components for node in it.nodes]
    argv = [
        "srun",
        f"--jobid={job}",
        f"--job-name={_STEP}",
        "--overlap",  # shares what the job has with its own steps
        f"--nodes={len(nodes)}",
        f"--ntasks={len(nodes)}",
        "--ntasks-per-node=1",
        "--cpu-bind=none",
        "--mpi=none",
        "--export=ALL",
        "--input=none",
        "--label",
        "--unbuffered",
        "--kill-on-bad-exit=0",  # a node that ends has the others go on
        "--wait=0",
    ]
    if len(components) > 1:
        argv.append(f"--het-group={','.join(map(str, range(len(components))))}")
    return [*argv, *command], clean_environment(os.environ), nodes


def main(arguments: Sequence[str]) -> NoReturn:
    """Become the agent of this node; exit code 0 where there is no GPU."""
    from escalade.gpu import nvml  # noqa: PLC0415 - the caller of `step_of` needs no driver

    head, queues, *token = arguments
    node = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    found, note = nvml.gpus()
    if not found:
        sys.stderr.write(f"{node}: {note}; nothing is sent from here\n")
        raise SystemExit(0)
    command = [sys.executable, "-P", "-m", "escalade", "profile", "connect", head, "--resilient"]
    command += ["--name", node, "--queue", str(Path(queues) / node)]
    command += ["--token-file", token[0]] if token else []
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
