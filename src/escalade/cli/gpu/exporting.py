"""The command `escalade gpu export`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from escalade.monitoring.exporters import listen_options, own_exporter_command

PORT = 9402


def export(
    *,
    port: Annotated[int, typer.Option(min=1, max=65535, help="To listen on.")] = PORT,
    address: Annotated[
        str, typer.Option(help="To listen on; 0.0.0.0 for a Prometheus on another node.")
    ] = "127.0.0.1",
) -> None:
    """Serve the metrics of the GPUs that this process may use, read at each scrape, until Ctrl-C.

    Exit code 3 when there is no GPU or the port can't be had.
    """
    typer.echo(f"GPU metrics: http://{address}:{port}/metrics, until Ctrl-C", err=True)
    command = [*own_exporter_command("gpu.exporter"), *listen_options("gpu", address, port)]
    # What the command line has loaded would stay with the exporter for days.
    os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted
