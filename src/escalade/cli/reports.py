"""The command report: a campaign's page, its JSON twin, or Markdown for a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console

from escalade.errors import InputError

_PATTERN = frozenset("*?[")


def report(
    results: Annotated[
        list[Path], typer.Argument(help="Folders of campaigns, as in results/demo.")
    ],
    *,
    form: Annotated[
        Literal["html", "json", "markdown"], typer.Option("--format", help="How it is written.")
    ] = "html",
    output: Annotated[
        Path | None,
        typer.Option(help="Write there; - is the standard output, where Markdown goes anyway."),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Show what is measured so far of a campaign under way."),
    ] = False,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Compare with it: a folder, or a name in baselines/; kept in comparison.json."
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1000,
            help="With --baseline: smaller changes don't count, in %; by default as declared, else 5.",
        ),
    ] = None,
    history: Annotated[
        list[Path] | None,
        typer.Option(
            help="Show the trend over these campaigns: a folder, or a pattern in quotes, as 'results/*'. May be given several times."
        ),
    ] = None,
) -> None:
    """Render the report of a campaign from its stored results, or put several on one page.

    Nothing is measured or judged again. One campaign: report.html and report.json in its folder;
    several: campaigns.html here; with --partial: report.partial.html; with --history:
    report.history.html here. Exit code 2 when a folder can't be used.
    """
    from escalade.campaign import publishing  # noqa: PLC0415 - as in replay

    _check_together(
        alone=len(results) == 1,
        partial=partial,
        beside=baseline is not None or bool(history),
        margin_of_nothing=threshold is not None and baseline is None,
    )
    if partial:
        done = publishing.publish_partial(results[0], form, output)
    elif len(results) > 1:
        done = publishing.publish_several(results, form, output)
    else:
        others = _campaigns(history or [])
        margin = None if threshold is None else threshold / 100
        done = publishing.publish(
            results[0], form, output, baseline=baseline, margin=margin, history=others
        )
    errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    if done.text:
        typer.echo(done.text, nl=False)
    for path in done.files:
        typer.echo(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    if done.sealed:
        errors.print(f"MANIFEST.json covers {' and '.join(done.sealed)} as rendered now.")
    for problem in done.problems:
        errors.print(problem, style="yellow")
    if done.problems:
        raise typer.Exit(2)


def _check_together(*, alone: bool, partial: bool, beside: bool, margin_of_nothing: bool) -> None:
    """Refuse options that say nothing together."""
    if partial and not alone:
        raise InputError("--partial shows one campaign: give one folder.")
    if beside and (partial or not alone):
        raise InputError(
            "--baseline and --history are about one campaign that is over: give one folder, without --partial."
        )
    if margin_of_nothing:
        raise InputError(
            "--threshold is about a comparison: give --baseline too, a folder or a name in baselines/."
        )


def _campaigns(given: list[Path]) -> list[Path]:
    """Give the folders that are meant: a pattern in quotes names all that match and are campaigns."""
    folders: list[Path] = []
    for path in given:
        if path.exists() or not _PATTERN & set(str(path)):
            folders.append(path)
            continue
        start = Path(path.anchor)
        pattern = str(path.relative_to(start)) if path.is_absolute() else str(path)
        found = [each for each in sorted(start.glob(pattern)) if each.is_dir()]
        if not found:
            raise InputError(f"--history: no folder is called like {path}.")
        folders += found
    return folders
