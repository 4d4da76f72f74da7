"""`escalade run`: Snakemake as a child, its progress in the terminal, and one exit code."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import psutil
from rich.console import Console

from escalade.analysis.outcome import exit_code
from escalade.campaign import events
from escalade.campaign.configuration import merged, profile_configuration, read_configuration
from escalade.campaign.preflight import preflight
from escalade.campaign.project import profile_folder, project_root
from escalade.campaign.run import COMMAND, RETRY_FAILED, RUN_ID, open_run, run_id
from escalade.cli.progress import EXTERNAL, REFRESH_SECONDS, VIEW, ProgressView
from escalade.errors import InfrastructureError
from escalade.files import read_json
from escalade.runtime.cores import available_cores, plan_cores, stay_on
from escalade.runtime.lifeline import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from escalade.campaign.run import CampaignRun

STOP_SECONDS = 4.0
"""How long Snakemake has to end after Ctrl-C before it is killed; the keeper sweeps the rest."""
NOTICE_SECONDS = 0.7
FAILED = InfrastructureError.exit_code


@dataclass
class _Outcome:
    """What became of one pass of the workflow."""

    returncode: int
    interrupted: bool = False
    failures: list[str] = field(default_factory=list)


def run_campaign(config: Path, profile: str, *, retry_failed: bool, quiet: bool) -> int:
    """Run the workflow until no cell has an attempt left; give the exit code.

    Parameters
    ----------
    config
        The campaign's YAML file.
    profile
        Snakemake profile.
    retry_failed
        Measure failed cells once more.
    quiet
        Show failures only.

    Returns
    -------
    int
        0 fine, 1 an SLO that counts is missed, 3 something failed, 4 undecided,
        130 interrupted.
    """
    console = Console(stderr=True)
    while True:
        run = _open(config, profile, retry_failed=retry_failed)
        preflight(run, partial(console.print, style="dim", highlight=False, soft_wrap=True))
        outcome = _one_pass(run, config, profile, retry_failed=retry_failed, quiet=quiet)
        if outcome.interrupted:
            console.print(
                "Interrupted: everything of this run was stopped. Finished cells are kept; "
                "the same command goes on.",
                soft_wrap=True,
            )
            return 130
        retry_failed = False
        if outcome.returncode or not _open(config, profile, retry_failed=False).unfinished:
            return _conclude(run, outcome, console)
        console.print("A cell whose service failed is tried again.", style="yellow")


def _open(config: Path, profile: str, *, retry_failed: bool) -> CampaignRun:
    """Open the campaign as Snakemake is going to see it."""
    os.environ.pop(RUN_ID, None)
    configuration = merged(read_configuration(config), profile_configuration(profile))
    return open_run({**configuration, RETRY_FAILED: retry_failed}, [str(config)])


def _one_pass(
    run: CampaignRun, config: Path, profile: str, *, retry_failed: bool, quiet: bool
) -> _Outcome:
    log = run.folder.path / "logs" / "snakemake.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    view = ProgressView(run, Console(stderr=True), quiet=quiet)
    with log.open("ab") as output, _interruptible():
        child = subprocess.Popen(
            _command(config, profile, retry_failed=retry_failed),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(),
            preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - one thread here
        )
        mine = available_cores()
        stay_on(plan_cores(mine)[0])  # the child was started before, and may use them all
        interrupted = False
        try:
            _follow(child, view)
        except KeyboardInterrupt:
            interrupted = True
            _stop(child)
        finally:
            view.close()
            stay_on(mine)
    failures = [
        f"{event.stage}{f' of {event.cell}' if event.cell else ''}: {event.message}"
        for event in events.read(run.events)[0]
        if event.kind == "failed"
    ]
    if child.returncode and not failures and not interrupted:
        failures = [f"Snakemake ended with code {child.returncode}; {log} says why."]
    return _Outcome(child.returncode, interrupted, failures)


def _command(config: Path, profile: str, *, retry_failed: bool) -> list[str]:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project_root() / "Snakefile")]
    command += ["--profile", str(profile_folder(profile)), "--configfile", str(config)]
    if not retry_failed:
        return command
    # --config takes the place of the profile's own, so that has to be said again
    told = [f"{key}={json.dumps(value)}" for key, value in profile_configuration(profile).items()]
    return [*command, "--config", f"{RETRY_FAILED}=true", *told]


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        RUN_ID: run_id(),
        COMMAND: shlex.join(["escalade", *sys.argv[1:]]),
        VIEW: EXTERNAL,
    }


def _follow(child: subprocess.Popen[bytes], view: ProgressView) -> None:
    while child.poll() is None:
        view.refresh()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(REFRESH_SECONDS)


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End Snakemake as Ctrl-C in a terminal does: the interrupt reaches all of its processes."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(NOTICE_SECONDS)
    for process in _descendants(child.pid):
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGINT)
    if child.poll() is None:
        child.send_signal(signal.SIGINT)
    try:
        child.wait(STOP_SECONDS - NOTICE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and a lost terminal end the run as Ctrl-C does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _conclude(run: CampaignRun, outcome: _Outcome, console: Console) -> int:
    told = dict.fromkeys(outcome.failures)
    failed_cells = _failed_cells(run)
    for cell, cause in failed_cells.items():
        console.print(f"failed: {cell}: {cause}", style="bold red", highlight=False, soft_wrap=True)
    for failure in told:
        console.print(f"failed: {failure}", style="bold red", highlight=False, soft_wrap=True)
    if run.folder.report.exists() and not outcome.returncode:
        Console().print(f"Report: {run.folder.report}", highlight=False, soft_wrap=True)
    if failed_cells:
        console.print(
            "The report shows what failed; `--retry-failed` measures only that again.",
            soft_wrap=True,
        )
    if outcome.returncode or failed_cells:
        return FAILED
    return exit_code(read_json(run.folder.verdicts, "verdicts"))


def _failed_cells(run: CampaignRun) -> dict[str, str]:
    failed = {}
    for cell in run.plan.cells:
        path = run.folder.cell(cell.name).cell
        if path.exists():
            state = read_json(path, "outcome of a cell")
            if state.get("outcome") != "finished":
                failed[cell.name] = str(state.get("cause") or "no cause is known")
    return failed
