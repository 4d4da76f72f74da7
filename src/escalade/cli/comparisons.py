"""Commands that compare campaigns: compare, check-regressions, baseline."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from escalade.campaign.baselines import HOME
from escalade.campaign.configuration import parse_campaign, read_configuration
from escalade.cli.arguments import Results  # noqa: TC001 - typer reads it

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

Format = Literal["table", "json", "markdown"]
Threshold = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1000,
        help="Practical margin: smaller changes don't count, in %; by default as the configuration declares, else 5.",
    ),
]
PrimaryKpis = Annotated[
    list[str] | None,
    typer.Option(
        "--primary",
        help="A KPI that decides, as latency_seconds:p90@4 or slo_capacity_qps; up to three times.",
    ),
]
As = Annotated[Format, typer.Option("--format", help="How the result is written.")]
COLOURS = {
    "worse": "bold red",
    "better": "green",
    "changed": "cyan",
    "inconclusive": "yellow",
    "not comparable": "dim",
    "no change shown": "",
}
CONFIGURATION = Path("config/config.yaml")
SHOWN_CHANGES = 12


def compare(
    baseline: Annotated[Path, typer.Argument(help="What was: a campaign's folder or a baseline.")],
    candidate: Annotated[Path, typer.Argument(help="What is to be judged: a campaign's folder.")],
    *,
    threshold: Threshold = None,
    primary: PrimaryKpis = None,
    as_: As = "table",
    every: Annotated[bool, typer.Option("--all", help="Show all KPIs in the table.")] = False,
) -> None:
    """Compare two campaigns; exit code 1: regression, 4: undecided, 2: not comparable."""
    _finish(baseline, candidate, threshold, primary or [], as_, every=every)


def check_regressions(
    candidate: Annotated[
        Path | None,
        typer.Argument(help="The campaign's folder; by default that of config/config.yaml."),
    ] = None,
    *,
    baseline: Annotated[
        str | None,
        typer.Option(help="A folder, or a name in baselines/; by default the campaign's name."),
    ] = None,
    threshold: Threshold = None,
    primary: PrimaryKpis = None,
    as_: As = "table",
) -> None:
    """Hold a campaign against its stored baseline; exit code 1: regression, 4: undecided."""
    from escalade.campaign.baselines import baseline_of  # noqa: PLC0415 - as in replay

    judged = candidate or _configured()
    _finish(baseline_of(baseline, judged), judged, threshold, primary or [], as_, every=False)


def baseline(
    results: Results,
    *,
    folder: Annotated[Path, typer.Option(help="Where baselines are.")] = HOME,
    replace: Annotated[
        bool, typer.Option("--replace", help="Put it in the place of one that is there.")
    ] = False,
) -> None:
    """Store a campaign as the baseline that check-regressions holds later ones against."""
    from escalade.campaign.baselines import keep_baseline  # noqa: PLC0415 - as in replay

    kept = keep_baseline(results, folder, replace=replace)
    size = sum(path.stat().st_size for path in kept.rglob("*") if path.is_file())
    typer.echo(f"{kept}: {size / 1e6:.2f} MB. Keep it with the sources, or as an artifact of CI.")


def _configured() -> Path:
    """Give the results folder of the campaign that is configured."""
    campaign = parse_campaign(read_configuration(CONFIGURATION), str(CONFIGURATION))
    return Path(campaign.execution.results) / campaign.campaign


def _finish(
    baseline: Path,
    candidate: Path,
    threshold: float | None,
    primary: Sequence[str],
    as_: Format,
    *,
    every: bool,
) -> None:
    from escalade.campaign.comparing import compare_campaigns  # noqa: PLC0415 - as in replay

    with _progress() as told:
        margin = None if threshold is None else threshold / 100
        found = compare_campaigns(baseline, candidate, margin, primary, told)
    if as_ == "json":
        typer.echo(json.dumps(found, indent=1, sort_keys=True, allow_nan=False))
    elif as_ == "markdown":
        from escalade.report.texts.comparison import markdown  # noqa: PLC0415 - as in replay

        typer.echo(markdown(found), nl=False)
    else:
        _print(found, Console(), every=every)
    raise typer.Exit(int(found["exit_code"]))


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show what is done in a line that rewrites itself, or in plain lines where there is no terminal."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: console.print(text, markup=False, highlight=False, soft_wrap=True)
        return
    with console.status("reading") as status:
        yield lambda text: status.update(escape(text))


def _print(found: Mapping[str, Any], console: Console, *, every: bool) -> None:
    from escalade.report.texts.comparison import context, headline, kinds, kpi_of  # noqa: PLC0415

    def say(text: str, style: str = "") -> None:
        console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    rows = kinds(found)
    what, rule = context(found)
    say(f"{what[:1].upper()}{what[1:]}")
    for told in found["deployments"]:
        _print_deployment(told, say, every=every)
    if rows["primary"]:
        console.print(_table("Primary KPIs", rows["primary"]))
        for row in rows["primary"]:
            say(f"{kpi_of(row)} ({row['deployment']}): {row['reason']}")
    shown = rows["moved"] + (rows["rest"] if every else [])
    if shown:
        console.print(_table("Exploratory", shown))
    if not every and rows["rest"]:
        say(
            f"{len(rows['rest'])} other KPIs did not move, or can't be told: --all shows them.",
            "dim",
        )
    say(f"{rule[:1].upper()}{rule[1:]}", "dim")
    styles = {"regression": "bold red", "no regression shown": "bold green"}
    say(headline(found), styles.get(found["conclusion"], "bold yellow"))


def _print_deployment(told: Mapping[str, Any], say: Any, *, every: bool) -> None:
    from escalade.analysis.measured.levels import level_of  # noqa: PLC0415
    from escalade.report.texts.comparison import short  # noqa: PLC0415

    counts = told["repetitions"]
    repetitions = f"{counts['baseline']} against {counts['candidate']} repetitions"
    if not told["comparable"]:
        say(f"{told['deployment']}: not comparable: {'; '.join(told['why'])}", "yellow")
        return
    say(f"{told['deployment']}: {repetitions}")
    for step in told["steps"]:
        say(f"  step {step['step']} ({level_of(step).words}): {step['why']}, not compared")
    shown = told["changes"] if every else told["changes"][:SHOWN_CHANGES]
    for each in shown:
        say(f"  {each['what']}: {short(each['baseline'])} → {short(each['candidate'])}", "dim")
    if len(shown) < len(told["changes"]):
        say(f"  and {len(told['changes']) - len(shown)} more changes: --all shows them", "dim")


def _table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    from escalade.report.texts.comparison import COLUMNS, cells_of  # noqa: PLC0415

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name, overflow="fold")
    for row in rows:
        *cells, verdict = (escape(cell) for cell in cells_of(row))
        colour = COLOURS[row["verdict"]]
        table.add_row(*cells, f"[{colour}]{verdict}[/]" if colour else verdict)
    return table
