"""Commands on campaigns: run, replay, verify, bundle, schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from escalade.campaign.layout import CampaignFolder
from escalade.cli.arguments import Configuration, Results  # noqa: TC001 - typer reads them


def run(
    config: Configuration = Path("config/config.yaml"),
    *,
    profile: Annotated[str, typer.Option(help="Snakemake profile.")] = "profiles/local",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Measure the cells again that failed.")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Prove the whole chain in minutes, before a long run.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show failures only.")] = False,
) -> None:
    """Measure what is not measured yet, analyse it, and render the report."""
    from escalade.campaign.invocation import Invocation  # noqa: PLC0415 - verify does without
    from escalade.cli.workflow import run_campaign, run_smoke  # noqa: PLC0415 - the same

    call = Invocation(config, profile, retry_failed=retry_failed, smoke=smoke)
    raise typer.Exit((run_smoke if smoke else run_campaign)(call, quiet=quiet))


def replay(
    results: Results,
    *,
    out: Annotated[
        Path | None, typer.Option(help="Write here, and leave the campaign's own files alone.")
    ] = None,
) -> None:
    """Rebuild KPIs, verdicts and report from the archived files alone.

    Exit code 2 when a rebuilt file differs from the one in the manifest.
    """
    from escalade.replay import replay_campaign  # noqa: PLC0415 - as in run

    console = Console()
    outcomes = replay_campaign(CampaignFolder(results), out)
    for outcome in outcomes:
        console.print(f"{outcome.verdict:>9}  {outcome.path}", highlight=False, soft_wrap=True)
    if any(outcome.verdict == "differs" for outcome in outcomes):
        console.print(
            "Rebuilt files differ from the manifest: another version of Escalade or of the "
            "locked packages, or edited inputs (`escalade verify` tells which)."
        )
        raise typer.Exit(2)


def verify(results: Results) -> None:
    """Check every artifact of a campaign against its manifest; exit code 2 when one differs."""
    from escalade.manifest import read_manifest, verify  # noqa: PLC0415 - as in run

    differences = verify(results)
    for difference in differences:
        typer.echo(f"{difference.path} {difference.what}")
    if differences:
        raise typer.Exit(2)
    typer.echo(f"{len(read_manifest(results))} artifacts are as {results}/MANIFEST.json says.")


def bundle(
    results: Results,
    *,
    out: Annotated[
        Path | None,
        typer.Option(help="The file to write; NAME.zip beside the folder if not given."),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="With request logs, samples, Prometheus data and logs.")
    ] = False,
) -> None:
    """Pack report, KPIs, verdicts, configuration and manifest of a campaign into one zip file."""
    from escalade.bundle import SUMS, bundle  # noqa: PLC0415 - as in run

    folder = results.resolve()
    destination = out or folder.with_name(f"{folder.name}.zip")
    count = bundle(results, destination, raw=raw)
    size = destination.stat().st_size / 1e6
    typer.echo(
        f"{destination}: {count} files, {size:.1f} MB. `sha256sum --check {SUMS}` checks them."
    )


def schema(
    *,
    report: Annotated[
        bool, typer.Option("--report", help="That of report.json (config/report.schema.json).")
    ] = False,
) -> None:
    """Print the JSON schema of the configuration (config/schema.json)."""
    typer.echo(report_schema_text() if report else schema_text(), nl=False)


def schema_text() -> str:
    """Give config/schema.json as it has to be."""
    from escalade.campaign.models import Campaign  # noqa: PLC0415 - as in run

    return json.dumps(Campaign.model_json_schema(), indent=2) + "\n"


def report_schema_text() -> str:
    """Give config/report.schema.json as it has to be."""
    from escalade.report.twin.models import schema_of_reports  # noqa: PLC0415 - as in run

    return json.dumps(schema_of_reports(), indent=2) + "\n"
