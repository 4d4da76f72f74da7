"""`escalade profile attach`: agents on all nodes of a Slurm job, as one job step."""

from __future__ import annotations

import os
import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from escalade.cli.profile.options import DATA, Data, TokenFile, token_file_of
from escalade.errors import AbsentError


def attach(
    head: Annotated[
        str | None,
        typer.Argument(
            metavar="[HEAD]", help="HOST:PORT of the head; that of the folder here by default."
        ),
    ] = None,
    *,
    job: Annotated[str, typer.Option(help="Slurm job that runs.")],
    queue: Annotated[
        Path | None,
        typer.Option(
            help=f"Folder, seen by all nodes, of what was not sent yet; {DATA}/nodes by default."
        ),
    ] = None,
    token_file: TokenFile = None,
    data: Data = DATA,
) -> None:
    """Connect all nodes of a Slurm job, by one job step.

    The step sees the GPUs of the job and shares its CPUs; it ends with the job, or by Ctrl-C. What
    could not be sent then waits in the queue's folder: see `drain`. Exit code 2 when there is no
    such job, 3 when it does not run or Slurm does not answer.
    """
    from escalade.profiler.attached import step_of  # noqa: PLC0415
    from escalade.profiler.head.folder import HeadFolder  # noqa: PLC0415
    from escalade.runtime import tools  # noqa: PLC0415

    folder = HeadFolder(data)
    address = head or folder.address()
    if address is None:
        raise AbsentError(f"HEAD is not given, and no head works in {folder.root}: name one.")
    file = token_file_of(token_file) or (folder.token_file if folder.exists() else None)
    command = [
        *(sys.executable, "-P", "-m", "escalade.profiler.attached"),
        *(address, str((queue or data / "nodes").resolve())),
        *([] if file is None else [str(file.resolve())]),
    ]
    tools.ensure("vmagent", lambda text: typer.echo(text, err=True))  # nodes may have no network
    argv, environment, nodes = step_of(job, command)
    typer.echo(f"Job {job}: {', '.join(nodes)}", err=True)
    os.execvpe(argv[0], argv, environment)  # noqa: S606 - no shell is wanted
