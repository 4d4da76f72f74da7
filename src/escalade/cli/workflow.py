"""`escalade run`: Snakemake as a child, its progress in the terminal, and one exit code."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import psutil
from rich.console import Console

from escalade.analysis.verdicts.outcome import exit_code
from escalade.campaign import events
from escalade.campaign.losses import losses_of
from escalade.campaign.observe import driver_of, latest_run
from escalade.campaign.parts import wrong_parts
from escalade.campaign.preflight import preflight
from escalade.campaign.proofs import proofs
from escalade.campaign.run import COMMAND, RUN_ID, run_id
from escalade.campaign.turn import Turn
from escalade.cli.progress import EXTERNAL, REFRESH_SECONDS, VIEW, ProgressView
from escalade.errors import InfrastructureError, InputError
from escalade.files import read_json
from escalade.runtime.cores import available_cores, plan_cores, stay_on
from escalade.runtime.lifeline import die_with_parent
from escalade.runtime.slurm.own import own_job

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from escalade.campaign.invocation import Invocation
    from escalade.campaign.plan import Cell
    from escalade.campaign.run import CampaignRun

STOP_SECONDS = 4.0
"""How long Snakemake has to end after Ctrl-C before it is killed; the keeper sweeps the rest."""
NOTICE_SECONDS = 0.7
FAILED = InfrastructureError.exit_code
INTERRUPTED = 130


class _OutOfTime(KeyboardInterrupt):
    """The job of this driver is about to reach its time limit."""


@dataclass
class _Outcome:
    """What became of one pass of the workflow."""

    returncode: int
    interrupted: bool = False
    out_of_time: bool = False
    failures: list[str] = field(default_factory=list)


def run_campaign(call: Invocation, *, quiet: bool) -> int:
    """Run the workflow until no cell has an attempt left; give the exit code.

    Parameters
    ----------
    call
        What was asked for.
    quiet
        Show failures only.

    Returns
    -------
    int
        0 fine, 1 an SLO that counts is missed, 3 something failed, 4 undecided,
        130 interrupted. A driver that is a job and runs out of time leaves the rest to
        a successor (0), or gives up when it could not finish a single cell (3).
    """
    console = Console(stderr=True)
    run = call.open()
    turn = Turn.of(run)
    if turn is not None:  # between two passes the time that is left is looked at anyway
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    while True:
        preflight(run, partial(console.print, style="dim", highlight=False, soft_wrap=True))
        cells = run.unfinished if turn is None else turn.cells(run)
        if turn is not None and run.unfinished and not cells:
            return _leave_to_successor(turn, run, call, console)
        outcome = _one_pass(run, call.snakemake(_targets(run, cells)), quiet=quiet)
        if outcome.interrupted:
            console.print(
                "Interrupted: everything of this run was stopped. Finished cells are kept; "
                "the same command goes on.",
                soft_wrap=True,
            )
            return INTERRUPTED
        call = replace(call, retry_failed=False)
        left = call.open()
        if turn is not None and left.unfinished and (outcome.returncode or outcome.out_of_time):
            _tell(outcome.failures, console)
            return _leave_to_successor(turn, left, call, console)
        if outcome.returncode or not left.unfinished:
            return _conclude(run, outcome, console)
        if {cell.name for cell in left.unfinished} & {cell.name for cell in cells}:
            console.print("A cell whose service failed is tried again.", style="yellow")
        run = left


def run_smoke(call: Invocation, *, quiet: bool) -> int:
    """Run a smoke campaign from nothing, and say point by point what it has shown.

    Returns
    -------
    int
        0 when everything was shown, 3 when something was not, 130 interrupted.
    """
    run = call.open()
    if latest_run(run.name) and driver_of(run.name).standing == "runs":
        raise InputError(f"A smoke run is under way: `escalade watch {run.name}` follows it.")
    shutil.rmtree(run.folder.path, ignore_errors=True)  # that of an earlier smoke run
    code = run_campaign(call, quiet=quiet)
    if code == INTERRUPTED:
        return code
    shown = proofs(run)
    console = Console(highlight=False, soft_wrap=True)
    for proof in shown:
        style = "green" if proof.holds else "bold red"
        mark = "shown" if proof.holds else "NOT shown"
        console.print(f"{proof.what:<11} {mark:<10} {proof.words}", style=style)
    return 0 if all(proof.holds for proof in shown) and code != FAILED else FAILED


def _targets(run: CampaignRun, cells: Sequence[Cell]) -> list[str]:
    """Name what Snakemake has to make: nothing in particular when all cells have their turn."""
    if len(cells) == len(run.unfinished):
        return []
    return [run.folder.cell(cell.name).cell.as_posix() for cell in cells]


def _leave_to_successor(turn: Turn, run: CampaignRun, call: Invocation, console: Console) -> int:
    left = len(run.unfinished)
    words = f"{left} cell{'s are' if left > 1 else ' is'} left"
    if not turn.progressed(run):
        console.print(
            f"{words}, and this job could finish none; another would not either. Raise "
            "execution.slurm.time_margin_ratio or time_limit_seconds, then submit again.",
            style="bold red",
            soft_wrap=True,
        )
        return FAILED
    next_job = turn.hand_over(run, call).job
    console.print(f"{words}: job {next_job} goes on when this one is over.", soft_wrap=True)
    return 0


def _one_pass(run: CampaignRun, command: Sequence[str], *, quiet: bool) -> _Outcome:
    log = run.folder.path / "logs" / "snakemake.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    view = ProgressView(run, Console(stderr=True), quiet=quiet)
    with log.open("ab") as output, _interruptible():
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(),
            preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - one thread here
        )
        mine = available_cores()
        stay_on(plan_cores(mine)[0])  # the child was started before, and may use them all
        interrupted = out_of_time = False
        try:
            _follow(child, view)
        except _OutOfTime:
            out_of_time = True
            _stop(child)
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
    if child.returncode and not failures and not (interrupted or out_of_time):
        failures = [f"Snakemake ended with code {child.returncode}; {log} says why."]
    return _Outcome(child.returncode, interrupted, out_of_time, failures)


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
    """Let SIGTERM and a lost terminal end the run as Ctrl-C does, and Slurm's warning end a turn."""

    def interrupt(number: int, _: object) -> None:
        raise _OutOfTime if number == signal.SIGUSR1 else KeyboardInterrupt

    numbers = [signal.SIGTERM, signal.SIGHUP]
    numbers += [signal.SIGUSR1] if own_job() else []
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _conclude(run: CampaignRun, outcome: _Outcome, console: Console) -> int:
    failed_cells = _failed_cells(run)
    for cell, cause in failed_cells.items():
        console.print(f"failed: {cell}: {cause}", style="bold red", highlight=False, soft_wrap=True)
    _tell(outcome.failures, console)
    if lost := losses_of(run).describe():
        console.print(f"On the way {lost}.", style="dim", highlight=False, soft_wrap=True)
    if run.folder.report.exists() and not outcome.returncode:
        Console().print(f"Report: {run.folder.report}", highlight=False, soft_wrap=True)
    wrong = () if outcome.returncode else wrong_parts(run.folder, run.plan.campaign)
    for reason in wrong:
        console.print(f"failed: {reason}", style="bold red", highlight=False, soft_wrap=True)
    if failed_cells:
        console.print(
            "The report shows what failed; `--retry-failed` measures only that again.",
            soft_wrap=True,
        )
    if outcome.returncode or failed_cells or wrong:
        return FAILED
    return exit_code(read_json(run.folder.verdicts, "verdicts"))


def _tell(failures: Sequence[str], console: Console) -> None:
    for failure in dict.fromkeys(failures):
        console.print(f"failed: {failure}", style="bold red", highlight=False, soft_wrap=True)


def _failed_cells(run: CampaignRun) -> dict[str, str]:
    failed = {}
    for cell in run.plan.cells:
        path = run.folder.cell(cell.name).cell
        if path.exists():
            state = read_json(path, "outcome of a cell")
            if state.get("outcome") != "finished":
                failed[cell.name] = str(state.get("cause") or "no cause is known")
    return failed
