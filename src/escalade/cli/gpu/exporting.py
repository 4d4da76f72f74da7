"""The command `escalade gpu export`."""

from __future__ import annotations

import os
import re
import socket
import sys
from typing import Annotated

import typer

from escalade.errors import InputError
from escalade.monitoring.exporters import listen_options, own_exporter_command

PORT = 9402
COMPATIBLE = ("dcgm", "swarm")
_OWN_LABELS = ("gpu", "uuid", "name", "clock", "direction", "error", "kind", "pid", "reason")
_LABEL = re.compile(r"[a-zA-Z_]\w*", re.ASCII)


def export(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="To listen on.")] = PORT,
    address: Annotated[
        str, typer.Option(help="To listen on; 0.0.0.0 for a Prometheus on another node.")
    ] = "127.0.0.1",
    compat: Annotated[
        str,
        typer.Option(help="Add metric names of others, between commas: dcgm, swarm."),
    ] = "",
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE, a label of every sample. By default node, and in a Slurm job job; an "
            "empty value leaves one out."
        ),
    ] = None,
    processes: Annotated[
        bool, typer.Option(help="Show the memory that each process holds, by its id.")
    ] = True,
) -> None:
    """Serve the metrics of the GPUs that this process may use, read at each scrape, until Ctrl-C.

    Exit code 3 when there is no GPU or the port can't be had.
    """
    kinds = _kinds(compat)
    command = [*own_exporter_command("gpu.exporter"), *listen_options("gpu", address, port)]
    for name, value in _labels(label or []).items():
        command += ["--label", name, value]
    if kinds:
        command += ["--compat", *kinds]
    if not processes:
        command.append("--no-processes")
    typer.echo(f"GPU metrics: http://{address}:{port}/metrics, until Ctrl-C", err=True)
    # What the command line has loaded would stay with the exporter for days.
    os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted


def _kinds(compat: str) -> list[str]:
    """Read names between commas."""
    kinds = [kind.strip() for kind in compat.split(",") if kind.strip()]
    for kind in kinds:
        if kind not in COMPATIBLE:
            raise InputError(f"--compat: {kind!r} is unknown; expected {', '.join(COMPATIBLE)}.")
    return list(dict.fromkeys(kinds))


def _labels(given: list[str]) -> dict[str, str]:
    """Give the labels of every sample: where it is, and what was said."""
    labels = {"node": socket.gethostname(), "job": os.environ.get("SLURM_JOB_ID", "")}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not _LABEL.fullmatch(name) or name in _OWN_LABELS:
            raise InputError(
                f"--label {text}: expected NAME=VALUE, as in site=meluxina, with a name of letters, "
                f"digits and _ that is none of the exporter's own ({', '.join(_OWN_LABELS)})."
            )
        labels[name] = value
    return {name: value for name, value in labels.items() if value}
