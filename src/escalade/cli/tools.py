"""Commands on this machine and its tools: doctor, tools."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from escalade.runtime import doctor as examination
from escalade.runtime import tools


def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(help=f"Others, which only some recipes need: {', '.join(tools.ON_DEMAND)}."),
    ] = None,
) -> None:
    """Find Prometheus, promtool and node_exporter, or what NAMES says, or fetch it without root."""
    console = Console(stderr=True)
    for name in names or tools.NAMES:
        tool = tools.ensure(name, lambda text: console.print(text, style="dim", highlight=False))
        typer.echo(f"{tool.name} {tool.version} ({tool.origin}): {tool.path}")


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show what was found where; exit code 3 when something that is needed is missing."""
    rows = examination.report()
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=1))
    else:
        Console().print(_table(rows))
    if not all(row.ok for row in rows):
        raise typer.Exit(3)


def _table(rows: list[examination.Row]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("", "what", "version", "from", "path or reason"):
        table.add_column(column, overflow="fold")
    for row in rows:
        mark = "[green]ok[/]" if row.ok else "[bold red]missing[/]"
        place = "  ".join(part for part in (row.path, row.note) if part)
        table.add_row(mark, row.name, row.version, row.where, place)
    return table
