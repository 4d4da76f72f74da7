"""Campaigns that are driven elsewhere: submit, status, watch, cancel."""

from __future__ import annotations

import json
import os
import shlex
import signal
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from escalade.campaign import observe
from escalade.campaign.invocation import Invocation
from escalade.campaign.losses import losses_of
from escalade.campaign.plan import describe
from escalade.campaign.preflight import preflight
from escalade.campaign.progress import Progress
from escalade.campaign.submission import is_over, refuse_second, submissions
from escalade.campaign.submission import submit as submit_driver
from escalade.cli.arguments import Configuration  # noqa: TC001 - typer reads it
from escalade.cli.progress import REFRESH_SECONDS, ProgressView, cell_lines, duration
from escalade.errors import InfrastructureError, InputError
from escalade.runtime.driver import driver_identity
from escalade.runtime.slurm.commands import Slurm

if TYPE_CHECKING:
    from escalade.campaign.observe import Driver

Name = Annotated[str, typer.Argument(help="Name of the campaign, as in results/demo.")]
_LOOK_SECONDS = 5.0
_END_SECONDS = 60.0


def submit(
    config: Configuration = Path("config/config.yaml"),
    *,
    profile: Annotated[str, typer.Option(help="Snakemake profile.")] = "profiles/slurm",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Measure the cells again that failed.")
    ] = False,
) -> None:
    """Run a campaign from a job of its own: it goes on when you log out."""
    call = Invocation(config, profile, retry_failed=retry_failed)
    run = call.open()
    if run.plan.campaign.execution.launcher != "slurm":
        raise InputError(
            f"Profile {profile} runs everything on this machine (execution.launcher is local), so "
            f"there is nothing to submit. Name one for a cluster, as in --profile profiles/slurm."
        )
    console = Console(highlight=False, soft_wrap=True)
    if not run.unfinished:
        command = shlex.join(call.words("run"))
        console.print(f"Nothing is left to measure; `{command}` renders the report.")
        return
    slurm = Slurm()
    refuse_second(run.name, slurm)
    preflight(run, console.print, submits=True)
    submission = submit_driver(run, call, slurm)
    console.print(f"Job {submission.job} drives {describe(run.unfinished)} of {run.name}.")
    for command, what in (
        ("watch", "follows it"),
        ("status", "says where it is"),
        ("cancel", "ends it"),
    ):
        console.print(f"  escalade {command} {run.name}  {what}")
    console.print(f"Its log is {submission.log}.")


def status(
    campaign: Annotated[str, typer.Argument(help="Its name; all of this folder by default.")] = "",
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say who drives a campaign, how far it is, and what runs where."""
    if campaign:
        observe.insist_on(campaign)
    names = [campaign] if campaign else observe.campaigns()
    if as_json:
        typer.echo(json.dumps([_as_json(name) for name in names], indent=1))
        return
    console = Console(highlight=False, soft_wrap=True)
    if not names:
        console.print("No campaign was started in this folder.")
    for name in names:
        _print_status(name, console)


def watch(campaign: Name) -> None:
    """Follow a campaign until its last driver has ended; Ctrl-C leaves it running."""
    observe.insist_on(campaign)
    console = Console(highlight=False, soft_wrap=True)
    try:
        _follow(campaign, console)
    except KeyboardInterrupt:
        console.print(f"Detached; {campaign} goes on. `escalade cancel {campaign}` would end it.")
        raise typer.Exit(0) from None
    _print_status(campaign, console)


def cancel(campaign: Name) -> None:
    """End a campaign's driver and all that it started; finished cells are kept."""
    observe.insist_on(campaign)
    driver = observe.driver_of(campaign)
    console = Console(highlight=False, soft_wrap=True)
    if driver.standing == "ended":
        console.print(f"Nothing of {campaign} runs: {driver.words}.")
        return
    if driver.submission is not None:
        _cancel_jobs(campaign)
    else:
        _signal_process(campaign, driver)
    _await_end(campaign)
    console.print(
        f"{campaign} was cancelled. Finished cells are kept; the same command goes on.",
    )


def _cancel_jobs(campaign: str) -> None:
    """Let the driver tidy up; a successor that waits goes at once, and before it."""
    slurm = Slurm()
    jobs = slurm.jobs([submission.job for submission in submissions(campaign)])
    for job, parts in reversed(jobs.items()):
        if all(part.state.running for part in parts):
            slurm.signal_batch(job, "TERM")
        elif not is_over(parts):
            slurm.cancel([job])


def _signal_process(campaign: str, driver: Driver) -> None:
    state = observe.latest_run(campaign)
    identity = None if state is None else driver_identity(state)
    if driver.standing == "unknown" or identity is None:
        raise InputError(
            f"Campaign {campaign!r}: {driver.words}. Cancel it on the machine where it runs."
        )
    os.kill(identity.pid, signal.SIGINT)


def _await_end(campaign: str) -> None:
    deadline = time.monotonic() + _END_SECONDS
    while (driver := observe.driver_of(campaign)).standing != "ended":
        if time.monotonic() > deadline:
            if driver.submission is not None:
                Slurm().cancel([driver.submission.job])
            raise InfrastructureError(
                f"The driver of {campaign} did not end within {_END_SECONDS:g} s: {driver.words}. "
                "`escalade status` says what became of it."
            )
        time.sleep(REFRESH_SECONDS)


def _follow(campaign: str, console: Console) -> None:
    """Show one run after the other, until no driver is left."""
    said, driver, shown = "", observe.driver_of(campaign), None
    view: ProgressView | None = None
    asked = time.monotonic()
    try:
        while True:
            state = observe.latest_run(campaign)
            if driver.standing == "runs" and state is not None and state != shown:
                if view is not None:
                    view.close()
                view, shown = ProgressView(observe.observed(state), console), state
            if driver.words != said and driver.standing != "runs":
                console.print(f"{campaign}: {driver.words}")
            said = driver.words
            if view is not None:
                view.refresh()
            if driver.standing == "ended":
                return
            time.sleep(REFRESH_SECONDS)
            if time.monotonic() - asked > _LOOK_SECONDS:
                driver, asked = observe.driver_of(campaign), time.monotonic()
    finally:
        if view is not None:
            view.close()


def _print_status(campaign: str, console: Console) -> None:
    driver, state = observe.driver_of(campaign), observe.latest_run(campaign)
    console.print(f"{campaign}: {driver.words}")
    if state is None:
        return
    run = observe.observed(state)
    measured, failed, left = observe.counts(run)
    told = f"{failed} failed, " if failed else ""
    console.print(f"  {measured} of {len(run.plan.cells)} cells measured, {told}{left} to go")
    if lost := losses_of(run).describe():
        console.print(f"  {lost}")
    if driver.standing == "runs":
        progress = Progress(run)
        progress.take()
        for cell in progress.active():
            place = observe.where(run, cell.cell.name)
            for line in cell_lines(progress, cell):
                console.print("  ", line, sep="")
            if place:
                console.print(f"  {place}")
        if (seconds := progress.remaining_seconds(time.time())) > 0:
            console.print(f"  about {duration(seconds)} left")
    if run.folder.report.exists():
        console.print(f"  report: {run.folder.report}")


def _as_json(campaign: str) -> dict[str, object]:
    driver, state = observe.driver_of(campaign), observe.latest_run(campaign)
    content: dict[str, object] = {
        "campaign": campaign,
        "driver": {
            "standing": driver.standing,
            "words": driver.words,
            "job": driver.submission.job if driver.submission else None,
        },
    }
    if state is None:
        return content
    run = observe.observed(state)
    measured, failed, left = observe.counts(run)
    progress = Progress(run)
    progress.take()
    active = [
        {
            "cell": cell.cell.name,
            "stage": cell.stage,
            "step": cell.step,
            "where": observe.where(run, cell.cell.name),
            "live": progress.live(cell.cell.name),
        }
        for cell in (progress.active() if driver.standing == "runs" else [])
    ]
    cells = {"planned": len(run.plan.cells), "measured": measured, "failed": failed, "left": left}
    lost = asdict(losses_of(run))
    return {**content, "run": state.name, "cells": cells, "lost": lost, "active": active}
