"""Component benchmarks: list, run, show."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer
from rich.console import Console

from escalade.cli.tables import Format, print_table
from escalade.errors import InfrastructureError, InputError
from escalade.report.sections.components import NOTE, changes_table, components_table
from escalade.services.validation import validated
from escalade.suites import stored
from escalade.suites.components import Component, ComponentList, named, read_components
from escalade.suites.shipped import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.status import Status

app = typer.Typer(
    help="Benchmarks of parts: processes, memory, messages, …",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
Names = Annotated[
    list[str] | None, typer.Argument(help="Shipped components; all by default.", show_default=False)
]


@app.command("list")
def list_(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say which components are shipped, what each measures, and its parameters."""
    if as_json:
        typer.echo(json.dumps([_as_json(name) for name in SHIPPED], indent=1))
        return
    console = Console(highlight=False, soft_wrap=True)
    for name, shipped in SHIPPED.items():
        console.print(
            f"[bold]{name}[/] ({shipped.unit}, {shipped.better} is better)  {shipped.what}"
        )
        for parameter, known in shipped.parameters.items():
            usual = known.default if known.default != "" else "none"
            console.print(f"    {parameter}: {known.what}; {known.expected}, by default {usual}")


@app.command()
def run(
    names: Names = None,
    *,
    config: Annotated[
        Path | None, typer.Option(help="File with the key `components`: its own, or a campaign.")
    ] = None,
    command: Annotated[
        str | None, typer.Option(help="A program of your own that prints numbers or JSON.")
    ] = None,
    name: Annotated[str, typer.Option(help="Name of the results' folder.")] = "machine",
    results: Annotated[Path, typer.Option(help="Folder of all results.")] = Path("results"),
    iterations: Annotated[int | None, typer.Option(help="In place of 1,000.")] = None,
    warmup_seconds: Annotated[float | None, typer.Option(help="In place of 10 s.")] = None,
    repetitions: Annotated[int | None, typer.Option(help="Independent runs of each.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Measure also what is measured already.")
    ] = False,
    form: Annotated[Format, typer.Option("--format", help="How the table is printed.")] = "table",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Measure components by the standards: at least 1,000 iterations after 10 s of warm-up.

    Exit code 2 when a command or its output can't be used, 3 when one fails or hangs, or none
    could be measured.
    """
    from escalade.suites.measure import measure_components  # noqa: PLC0415 - `list` does without

    chosen = _chosen(names, config, command)
    over = {"iterations": iterations, "warmup_seconds": warmup_seconds, "repetitions": repetitions}
    chosen = _overridden(chosen, {key: value for key, value in over.items() if value is not None})
    folder = _folder(results, name)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with _Teller(console, quiet=quiet) as teller:
        outcomes = measure_components(chosen, folder, again=again, tell=teller.tell)
    content = stored.write_tables(folder, [component.name for component in chosen], name)
    stored.seal(folder)
    _print(content, form)
    _conclude(outcomes, folder, console)


@app.command()
def show(
    results: Annotated[Path, typer.Argument(help="The results' folder, as in results/machine.")],
    *,
    form: Annotated[Format, typer.Option("--format", help="How the table is printed.")] = "table",
) -> None:
    """Print the table of components that were measured, in a folder or in a campaign."""
    _print(stored.read_summary(stored.ComponentsFolder(results / "components")), form)


def _print(content: dict[str, Any], form: Format) -> None:
    table = components_table(content)
    records = [row for entry in content["components"] for row in entry["rows"]]
    if form != "table":
        print_table(table.columns, table.rows, content, records, form)
        return
    # a terminal is narrow: what is to be said of a line stands under the table
    print_table(table.columns[:-1], [row[:-1] for row in table.rows], content, records, form)
    console = Console(markup=False, highlight=False, soft_wrap=True)
    for name, *_, remark in table.rows:
        if remark:
            console.print(f"{name}: {remark}")
    console.print(NOTE, style="dim")


@app.command()
def compare(
    baseline: Annotated[Path, typer.Argument(help="What was: a folder as in results/machine.")],
    candidate: Annotated[Path, typer.Argument(help="What is to be judged.")],
    *,
    threshold: Annotated[
        float, typer.Option(min=0, max=1000, help="Smaller changes don't count, in %.")
    ] = 5.0,
    form: Annotated[Format, typer.Option("--format", help="How it is written.")] = "table",
) -> None:
    """Compare two measurements by their repetitions; exit code 1: regression, 4: undecided.

    2: nothing can be compared. The medians of all components are one family (Holm).
    """
    from escalade.analysis.compare.component_changes import component_changes  # noqa: PLC0415 - as in run

    if baseline.resolve() == candidate.resolve():
        raise InputError(f"{baseline} and {candidate} are the same folder. Give two measurements.")
    before, after = (
        stored.read_summary(stored.ComponentsFolder(at / "components"))
        for at in (baseline, candidate)
    )
    found = component_changes(before, after, threshold / 100)
    table = changes_table(found)
    print_table(table.columns, table.rows, found, found["rows"], form)
    if form == "table":
        typer.echo(f"{found['conclusion'].capitalize()}.")
    if found["exit_code"]:
        raise typer.Exit(found["exit_code"])


def _chosen(
    names: Sequence[str] | None, config: Path | None, command: str | None
) -> tuple[Component, ...]:
    if sum(1 for given in (names, config, command) if given) > 1:
        raise InputError("Names, --config and --command exclude each other: give one of them.")
    if config is not None:
        return read_components(config)
    if command is not None:
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise InputError(
                f"--command {command!r} can't be split into words ({error})."
            ) from None
        if not words:
            raise InputError("--command is empty; expected a program and its words.")
        name = "".join(c if c.isalnum() else "_" for c in Path(words[0]).stem.lower()).strip("_")
        content = {"components": [{"name": name[:60] or "command", "command": words}]}
        return validated(ComponentList, content, "--command").components
    return named(names or list(SHIPPED))


def _overridden(components: Sequence[Component], over: dict[str, Any]) -> tuple[Component, ...]:
    if not over:
        return tuple(components)
    told = [
        {**component.model_dump(exclude_unset=True), **over, "name": component.name}
        for component in components
    ]
    return validated(ComponentList, {"components": told}, "the options").components


def _folder(results: Path, name: str) -> stored.ComponentsFolder:
    if (results / name / "campaign.resolved.yaml").exists():
        raise InputError(
            f"{results / name} holds a campaign, whose manifest covers its files. Choose another "
            "--name; `components:` in its configuration measures them with it."
        )
    return stored.ComponentsFolder(results / name / "components")


def _as_json(name: str) -> dict[str, Any]:
    shipped = SHIPPED[name]
    return {
        "name": name,
        "what": shipped.what,
        "metric": shipped.metric,
        "unit": shipped.unit,
        "better": shipped.better,
        "parameters": {
            key: {"default": known.default, "what": known.what, "expected": known.expected}
            for key, known in shipped.parameters.items()
        },
    }


def _conclude(
    outcomes: Sequence[dict[str, Any]], folder: stored.ComponentsFolder, console: Console
) -> None:
    wrong = [told for told in outcomes if told["status"] in (stored.FAILED, stored.UNUSABLE)]
    for told in wrong:
        console.print(f"{told['status']}: {told['reason']}", style="bold red", markup=False)
    console.print(f"Results: {folder.path}", style="dim", markup=False)
    statuses = {told["status"] for told in outcomes}
    if stored.FAILED in statuses or statuses == {stored.UNAVAILABLE}:
        raise typer.Exit(InfrastructureError.exit_code)
    if stored.UNUSABLE in statuses:
        raise typer.Exit(InputError.exit_code)


class _Teller:
    """Progress: one line that rewrites itself in a terminal, else a line for each repetition."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._last: tuple[str, int] | None = None
        self._status: Status | None = None
        if console.is_terminal and not quiet:
            self._status = console.status("")

    def __enter__(self) -> Self:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()
        sys.stderr.flush()

    def tell(self, component: Component, repetition: int, done: int, seconds: float) -> None:
        """Say where a component is."""
        if self._quiet:
            return
        of = f", repetition {repetition} of {component.repetitions}" * (component.repetitions > 1)
        if self._status is not None:
            warms = "warms up" if not done else f"{done} of {component.iterations} iterations"
            self._status.update(f"{component.name}{of}: {warms}, {seconds:.0f} s")
        elif self._last != (component.name, repetition):
            self._console.print(f"{component.name}{of}", style="dim")
        self._last = (component.name, repetition)
