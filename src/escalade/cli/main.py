"""The command line `escalade`."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from escalade import __version__
from escalade.cli.lazy import Lazy, lazy_group
from escalade.errors import EscaladeError

SERVERS_OWN = {
    "ignore_unknown_options": True,
    "allow_extra_args": True,
    "help_option_names": [],
}
"""The options of the truth server, and their help, are the server's own."""

COMMANDS = {
    "plan": Lazy(
        "escalade.cli.plan:plan",
        "Print cells, steps, requests, duration, disk use and node-hours; nothing is started.",
    ),
    "run": Lazy(
        "escalade.cli.campaigns:run",
        "Measure what is not measured yet, analyse it, and render the report.",
    ),
    "submit": Lazy(
        "escalade.cli.submissions:submit",
        "Run a campaign from a job of its own: it goes on when you log out.",
    ),
    "status": Lazy(
        "escalade.cli.submissions:status",
        "Say who drives a campaign, how far it is, and what runs where.",
    ),
    "watch": Lazy(
        "escalade.cli.submissions:watch",
        "Follow a campaign until its last driver has ended; Ctrl-C leaves it running.",
    ),
    "cancel": Lazy(
        "escalade.cli.submissions:cancel",
        "End a campaign's driver and all that it started; finished cells are kept.",
    ),
    "replay": Lazy(
        "escalade.cli.campaigns:replay",
        "Rebuild KPIs, verdicts and report from the archived files alone.",
    ),
    "report": Lazy(
        "escalade.cli.reports:report",
        "Render the report of a campaign from its stored results, or put several on one page.",
    ),
    "verify": Lazy(
        "escalade.cli.campaigns:verify",
        "Check every artifact of a campaign against its manifest; exit code 2 when one differs.",
    ),
    "bundle": Lazy(
        "escalade.cli.campaigns:bundle",
        "Pack report, KPIs, verdicts, configuration and manifest of a campaign into one zip file.",
    ),
    "compare": Lazy(
        "escalade.cli.comparisons:compare",
        "Compare two campaigns; exit code 1: regression, 4: undecided, 2: not comparable.",
    ),
    "check-regressions": Lazy(
        "escalade.cli.comparisons:check_regressions",
        "Hold a campaign against its stored baseline; exit code 1: regression, 4: undecided.",
    ),
    "baseline": Lazy(
        "escalade.cli.comparisons:baseline",
        "Store a campaign as the baseline that check-regressions holds later ones against.",
    ),
    "history": Lazy(
        "escalade.cli.history:history",
        "Put campaigns into one table, in the order of their measurement, and find change points.",
    ),
    "schema": Lazy(
        "escalade.cli.campaigns:schema",
        "Print the JSON schema of the configuration (config/schema.json).",
    ),
    "init": Lazy(
        "escalade.cli.sites:init",
        "Write your site file, and make its profile known to Snakemake by name.",
    ),
    "truth-server": Lazy(
        "escalade.cli.truth:truth_server",
        "Serve requests that take known times, until Ctrl-C; --help lists what it can do.",
        SERVERS_OWN,
    ),
    "doctor": Lazy(
        "escalade.cli.tools:doctor",
        "Show what was found where; exit code 3 when something that is needed is missing.",
    ),
    "tools": Lazy(
        "escalade.cli.tools:fetch",
        "Find Prometheus, promtool and node_exporter, or what NAMES says, or fetch it without root.",
    ),
    "components": Lazy(
        "escalade.cli.components:app", "Benchmarks of parts: processes, memory, messages, …"
    ),
    "models": Lazy(
        "escalade.cli.models:app", "Models in a limited memory: plan, load, measure, give back."
    ),
    "gpu": Lazy("escalade.cli.gpu:app", "GPUs of this machine: what goes on them, what is free."),
    "profile": Lazy(
        "escalade.cli.profile:app",
        "GPUs of many nodes, read finely: a head, agents on nodes, sessions as windows of time.",
    ),
    "monitor": Lazy(
        "escalade.cli.monitor:app",
        "Prometheus by itself: windows of time, archives, dashboards, alerts.",
    ),
}
app = typer.Typer(
    cls=lazy_group(COMMANDS),
    name="escalade",
    help="Reproducible benchmark campaigns for AI services.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


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
        from rich.console import Console  # noqa: PLC0415 - commands that succeed may do without

        Console(stderr=True).print(
            f"escalade: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True
        )
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        if (error.name or "escalade").partition(".")[0] == "escalade":
            raise
        sys.stderr.write(
            f"escalade: this command needs more than is installed here (there is no {error.name}): "
            "pip install 'escalade[campaign]'. For report, compare, history, replay and profile stat "
            "'escalade[analysis]' is enough, for a node of the profiler 'escalade[node]'.\n"
        )
        sys.exit(3)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
