"""The command history: campaigns in the order of time, and where their figures change."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path  # noqa: TC003 - typer itself reads the annotations
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from escalade.cli.tables import Format, as_csv, as_markdown, print_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def history(
    campaigns: Annotated[list[Path], typer.Argument(help="Folders, as in results/*.")],
    *,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="A figure, as latency_seconds:p99@4 or capacity_qps; without @ at every rate. "
            "May be given several times."
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option(min=0, max=1000, help="Changes of less are called small, in %.")
    ] = 5.0,
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = "table",
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out what can't be read, and say so.")
    ] = False,
) -> None:
    """Put campaigns into one table, in the order of their measurement, and find change points.

    A history is one deployment under one workload on one class of hardware. Exit code 2 when a
    folder can't be used.
    """
    from escalade.campaign.past import history_of  # noqa: PLC0415 - as in replay

    with _progress() as told:
        found = history_of(
            campaigns, metric or [], threshold / 100, skip_broken=skip_broken, told=told
        )
    errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    for each in found["skipped"]:
        errors.print(f"skipped: {each['why']}", style="yellow")
    _print(found, form)


def _print(found: dict[str, Any], form: Format) -> None:
    from escalade.report.texts.history import history_table, records  # noqa: PLC0415 - as in replay

    if form == "json":
        typer.echo(json.dumps(found, indent=1, sort_keys=True, allow_nan=False))
        return
    if form == "csv":
        typer.echo(as_csv(records(found)), nl=False)
        return
    console = Console(highlight=False, soft_wrap=True, markup=False)
    for table in map(history_table, found["histories"]):
        if form == "markdown":
            typer.echo(f"### {table.title}\n\n{as_markdown(table.columns, table.rows)}")
            typer.echo("".join(f"- {sentence}\n" for sentence in table.sentences))
            continue
        console.print(table.title, style="bold")
        print_rows(table.columns, table.rows)
        for sentence in table.sentences:
            console.print(sentence)
        console.print()


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show what is done in a terminal; elsewhere say nothing."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("") as status:
        yield status.update
