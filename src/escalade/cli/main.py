"""The command line `escalade`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.console import Console

from escalade import __version__
from escalade.cli import (
    campaigns,
    comparisons,
    components,
    history,
    monitor,
    reports,
    sites,
    submissions,
    tools,
    truth,
)
from escalade.errors import EscaladeError

app = typer.Typer(
    name="escalade",
    help="Reproducible benchmark campaigns for AI services.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("plan")(campaigns.plan)
app.command("run")(campaigns.run)
app.command("submit")(submissions.submit)
app.command("status")(submissions.status)
app.command("watch")(submissions.watch)
app.command("cancel")(submissions.cancel)
app.command("replay")(campaigns.replay)
app.command("report")(reports.report)
app.command("verify")(campaigns.verify)
app.command("bundle")(campaigns.bundle)
app.command("compare")(comparisons.compare)
app.command("check-regressions")(comparisons.check_regressions)
app.command("baseline")(comparisons.baseline)
app.command("history")(history.history)
app.command("schema")(campaigns.schema)
app.command("init")(sites.init)
app.command("truth-server", context_settings=truth.SETTINGS)(truth.truth_server)
app.add_typer(
    components.app, name="components", help="Benchmarks of parts: processes, memory, messages, …"
)
app.add_typer(
    monitor.app,
    name="monitor",
    help="Prometheus by itself: windows of time, archives, dashboards, alerts.",
)
app.command("doctor")(tools.doctor)
app.command("tools")(tools.fetch)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        typer.echo(f"escalade {__version__}")
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Exit codes: 0 fine, 1 SLO missed or regression, 2 unusable input or data, 3 something failed, 4 undecided."""


def run() -> None:
    """Run the command line; every error that Escalade knows is one message."""
    try:
        app()
    except EscaladeError as error:
        Console(stderr=True).print(
            f"escalade: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
