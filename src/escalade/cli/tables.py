"""A table in the form that was asked for: for eyes, or for programs."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Literal

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

Format = Literal["table", "json", "markdown", "csv"]


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    content: Any,
    records: Sequence[dict[str, Any]],
    form: Format,
) -> None:
    """Print a table.

    Parameters
    ----------
    columns, rows
        As text, for the forms "table" and "markdown".
    content
        All there is, for "json".
    records
        Numbers in rows, for "csv".
    form
        Which of them.
    """
    if form == "json":
        typer.echo(json.dumps(content, indent=1, allow_nan=False))
    elif form == "csv":
        typer.echo(as_csv(records), nl=False)
    elif form == "markdown":
        typer.echo(as_markdown(columns, rows), nl=False)
    else:
        print_rows(columns, rows)


def as_markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table in Markdown; a bar inside a field does not end it."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(_field(text) for text in line)} |\n" for line in lines)


def as_csv(records: Sequence[dict[str, Any]]) -> str:
    """Write records as CSV; None is an empty field."""
    written = io.StringIO()
    if records:
        writer = csv.DictWriter(written, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    return written.getvalue()


def _field(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table for eyes; its first column is not broken."""
    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(columns):
        table.add_column(name, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)
