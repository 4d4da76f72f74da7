"""The commands `escalade models status` and `unload`, on a loader that runs."""

from __future__ import annotations

import dataclasses
import json

import typer

from escalade.cli.models.options import STATE, Json, State, megabytes
from escalade.cli.tables import print_rows
from escalade.models.standing import Board


def status(*, state: State = STATE, as_json: Json = False) -> None:
    """Say what a running loader holds."""
    standing = Board(state).read()
    if as_json:
        found = (
            None
            if standing is None
            else {
                "profile": standing.profile,
                "limit_bytes": standing.limit_bytes,
                "gpu": standing.gpu,
                "taken_bytes": standing.taken_bytes,
                "method": standing.method,
                "models": [dataclasses.asdict(head) for head in standing.heads],
            }
        )
        typer.echo(json.dumps(found, indent=1))
        return
    if standing is None:
        typer.echo(f"No loader runs in {state}.")
        return
    columns = ["model", "backend", "MB declared", "MB measured", "url"]
    print_rows(
        columns,
        [
            [
                head.name,
                head.backend,
                megabytes(head.declared_bytes),
                megabytes(head.measured_bytes),
                head.url or "–",
            ]
            for head in standing.heads
        ],
    )
    typer.echo(
        f"{standing.profile}: {megabytes(standing.taken_bytes)} of "
        f"{megabytes(standing.limit_bytes)} MB"
        + (f" ({standing.method})." if standing.method else ".")
    )


def unload(name: str, *, state: State = STATE) -> None:
    """Have a running loader give one model back."""
    Board(state).ask(name)
    typer.echo(f"{name}: asked to be unloaded.")
