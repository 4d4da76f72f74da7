"""The progress of a run in a terminal, or as plain lines where there is none."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from escalade.campaign.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from escalade.campaign.events import Event
    from escalade.campaign.plan import Cell
    from escalade.campaign.progress import CellProgress
    from escalade.campaign.run import CampaignRun
    from escalade.load.schedule import StepPlan

REFRESH_SECONDS = 0.5
VIEW = "ESCALADE_VIEW"
EXTERNAL = "external"
"""Value of the variable VIEW when another process shows the progress already."""
WORDS = {
    "allocate": "gets its allocation",
    "start_prometheus": "starts Prometheus",
    "deploy_exporters": "deploys exporters",
    "load_models": "starts the service and loads its models",
    "run_ladder": "starts the load",
    "calibrate": "calibrates the client against a null server",
    "query_windows": "queries the windows",
    "archive_cell": "is archived",
    "resolve_campaign": "configuration resolved",
    "measure_components": "components are measured",
    "aggregate_kpis": "KPIs are computed",
    "judge": "verdicts are reached",
    "collect_provenance": "provenance is collected",
    "render_report": "the report is rendered",
    "write_manifest": "the manifest is written",
}
UNMONITORED_WORDS = {
    "start_prometheus": "starts no Prometheus: monitoring is off",
    "deploy_exporters": "deploys no exporters",
}


class ProgressView:
    """Shows one run until it is closed.

    Parameters
    ----------
    run
        The run whose events are followed.
    console
        Where to write; lines that rewrite themselves need a terminal.
    quiet
        Show failures only.
    """

    def __init__(self, run: CampaignRun, console: Console, *, quiet: bool = False) -> None:
        self._progress = Progress(run)
        self._console = console
        self._quiet = quiet
        self._began = time.time()
        self._live: Live | None = None
        if console.is_terminal and not quiet:
            self._live = Live(console=console, transient=True, auto_refresh=False)
            self._live.start()

    def refresh(self) -> None:
        """Tell what is new and redraw what moves."""
        for event in self._progress.take():
            self._tell(event)
        if self._live is not None:
            self._live.update(Group(*self._lines()), refresh=True)

    def close(self) -> None:
        """Tell the rest and leave the terminal as it was."""
        self.refresh()
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _tell(self, event: Event) -> None:
        stamp = f"[{duration(event.at - self._began)}]"
        where = f"{event.cell}: " if event.cell else ""
        if event.kind == "failed":
            text = Text(f"{stamp} {where}{event.stage} failed: {event.message}", style="bold red")
        elif event.kind == "note":
            text = Text(f"{stamp} {where}{event.message}")
        elif event.kind == "started" and not self._quiet:
            text = Text(f"{stamp} {where}{self._started(event)}", style="dim")
        else:
            return
        if not self._quiet or event.kind == "failed":
            self._console.print(text, soft_wrap=True)

    def _started(self, event: Event) -> str:
        if event.message:
            return event.message
        if event.stage.startswith("run_load"):
            steps = self._progress.cells[event.cell].cell.steps
            return step_words(steps, int(event.stage.rpartition("_")[2]))
        seen = self._progress.cells.get(event.cell)
        return stage_words(event.stage, None if seen is None else seen.cell)

    def _lines(self) -> list[Text]:
        active = self._progress.active()
        lines = [line for cell in active for line in cell_lines(self._progress, cell)]
        now = time.time()
        left = self._progress.remaining_seconds(now)
        clock = f"{duration(now - self._began)} elapsed"
        if left > 0:
            clock += f", about {duration(left)} left"
        return [*lines, Text(clock, style="dim")]


def cell_lines(progress: Progress, cell: CellProgress) -> list[Text]:
    """Say where a cell is; while a step runs, with its live figures in a second line."""
    name = cell.cell.name
    number = list(progress.cells).index(name) + 1
    head = f"cell {number}/{len(progress.cells)} {name}"
    live = progress.live(name)
    if not cell.stage.startswith("run_load") or live.get("step") != cell.step:
        stage = cell.stage if cell.stage in WORDS else "run_ladder"
        return [Text(f"{head}  {stage_words(stage, cell.cell)}", style="bold")]
    step = cell.words or step_words(cell.cell.steps, cell.step)
    return [Text(f"{head}  {step}", style="bold"), Text(live_figures(live))]


def stage_words(stage: str, cell: Cell | None) -> str:
    """Say what a stage does; in a cell without monitoring some have nothing to do."""
    own = {} if cell is None or cell.monitored else UNMONITORED_WORDS
    return own.get(stage) or WORDS.get(stage, stage)


def step_words(steps: Sequence[StepPlan], number: int) -> str:
    """Name a step of a ladder: its number, from 1, and its load."""
    plan = steps[number - 1]
    return f"step {number}/{len(steps)}{' at' if plan.target_qps else ':'} {plan.words}"


def live_figures(live: dict[str, Any]) -> str:
    """Put the load engine's figures into one line; what is not known yet is a dash."""
    rate, p95 = live.get("rate_qps"), live.get("p95_seconds")
    planned = live.get("planned", 0)  # a closed loop does not know it
    return (
        f"sent {live.get('sent', 0)}{'' if planned is None else f'/{planned}'}"
        f"   rate {'–' if rate is None else f'{rate:.2f}'} /s"
        f"   p95 {'–' if p95 is None else f'{p95:.3f}'} s"
        f"   in flight {live.get('in_flight', 0)}   errors {live.get('errors', 0)}"
    )


def duration(seconds: float) -> str:
    """Write seconds as minutes and seconds: 83 → 1:23."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def show_in_background(run: CampaignRun) -> None:
    """Show progress from a thread, for those who call Snakemake itself."""
    if os.environ.get(VIEW) == EXTERNAL:
        return
    view = ProgressView(run, Console(stderr=True))

    def follow() -> None:
        while True:
            view.refresh()
            time.sleep(REFRESH_SECONDS)

    threading.Thread(target=follow, name="progress", daemon=True).start()
