"""How far a run is, worked out from its plan, its events and its live file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from escalade.campaign import events

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from escalade.campaign.events import Event
    from escalade.campaign.plan import Cell
    from escalade.campaign.run import CampaignRun

LIVE = "progress.json"
"""Written once a second by the load engine into the cell's state folder."""
_COUNTS = ("sent", "in_flight", "errors")
_LAST_STAGE = "archive_cell"
_AFTER_LADDER_SECONDS = 4.0


@dataclass
class CellProgress:
    """What is known of one cell that is to be measured."""

    cell: Cell
    stage: str = ""
    step: int = 0
    words: str = ""
    """What the step is for, where its number alone does not say it."""
    began_at: float | None = None
    over: bool = False
    failed: bool = False

    def remaining_seconds(self, now: float) -> float:
        """Estimate the time that the cell still takes, in s."""
        if self.over:
            return 0.0
        if self.began_at is None:
            return self.cell.expected_seconds
        if self.step == 0:
            elapsed = min(now - self.began_at, self.cell.expected_seconds / 4)
            return self.cell.expected_seconds - elapsed
        if self.cell.search is not None:  # how many trials are to come is not known
            return max(0.0, self.cell.expected_seconds - (now - self.began_at))
        ahead = [step for step in self.cell.steps if step.step > self.step]
        pause = self.cell.pause_seconds
        later = sum(s.warmup_seconds + s.window_seconds + pause for s in ahead)
        return later + self.cell.drain_timeout_seconds / 2 + _AFTER_LADDER_SECONDS


@dataclass
class Progress:
    """The cells of a run, as far as their events tell."""

    run: CampaignRun
    cells: dict[str, CellProgress] = field(init=False)
    _position: int = 0

    def __post_init__(self) -> None:
        self.cells = {cell.name: CellProgress(cell) for cell in self.run.unfinished}

    def take(self) -> list[Event]:
        """Read what happened since the last call."""
        new, self._position = events.read(self.run.events, self._position)
        for event in new:
            self._apply(event)
        return new

    def active(self) -> list[CellProgress]:
        """Give the cells that have begun and are not over."""
        return [cell for cell in self.cells.values() if cell.began_at and not cell.over]

    def live(self, cell: str) -> dict[str, Any]:
        """Give the load engine's latest figures; empty when no load runs."""
        first, *others = (_read(self.run.cell_state(cell) / name) for name in (LIVE, *self._others))
        same = [other for other in others if other.get("step") == first.get("step")]
        return joined([first, *same]) if same else first

    @property
    def _others(self) -> list[str]:
        """Live files of all workers but the first."""
        name = PurePath(LIVE)
        workers = range(1, self.run.plan.campaign.load.workers)
        return [f"{name.stem}-{worker}{name.suffix}" for worker in workers]

    def remaining_seconds(self, now: float) -> float:
        """Estimate how long the cells still take, in s."""
        lanes = min(self.run.plan.campaign.execution.parallel_cells, max(1, len(self.cells)))
        total = sum(self._remaining(cell, now) for cell in self.cells.values())
        return total / lanes

    def _remaining(self, cell: CellProgress, now: float) -> float:
        live = self.live(cell.cell.name) if cell.step and not cell.over else {}
        in_step = float(live.get("window_end") or now) - now if live.get("step") == cell.step else 0
        return cell.remaining_seconds(now) + max(0.0, in_step)

    def _apply(self, event: Event) -> None:
        cell = self.cells.get(event.cell)
        if cell is None:
            return
        if cell.began_at is None:
            cell.began_at = event.at
        cell.stage = event.stage
        if event.stage.startswith("run_load") and event.kind == "started":
            cell.step = int(event.stage.rpartition("_")[2])
            cell.words = event.message
        if event.kind == "failed":
            cell.failed = cell.over = True
        if event.stage == _LAST_STAGE and event.kind == "ended":
            cell.over = True


def joined(workers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Join the live figures of a step's workers; the percentile is the largest of theirs."""
    rates = [worker.get("rate_qps") for worker in workers]
    planned = [worker["planned"] for worker in workers if worker["planned"] is not None]
    slowest = [worker["p95_seconds"] for worker in workers if worker.get("p95_seconds") is not None]
    return {
        **workers[0],
        **{name: sum(worker[name] for worker in workers) for name in _COUNTS},
        "planned": sum(planned) if planned else None,
        "rate_qps": None if None in rates else sum(rate for rate in rates if rate is not None),
        "p95_seconds": max(slowest, default=None),
    }


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return {}
    return content if isinstance(content, dict) else {}
