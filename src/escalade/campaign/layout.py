"""Where the files of a campaign are: the one place that knows the folder's shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.errors import EscaladeError
from escalade.files import read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class CellFolder:
    """`results/<campaign>/cells/<cell>`."""

    path: Path

    @property
    def schedule(self) -> Path:
        """Planned arrivals of all steps."""
        return self.path / "schedule.parquet"

    @property
    def requests(self) -> Path:
        """One row per planned request, all steps."""
        return self.path / "requests.parquet"

    @property
    def windows(self) -> Path:
        """Outcome and times of every step."""
        return self.path / "windows.json"

    @property
    def search(self) -> Path:
        """Trials of a search in order, and what was found; a ladder has none."""
        return self.path / "search.json"

    @property
    def series(self) -> Path:
        """Raw samples from Prometheus."""
        return self.path / "series.parquet"

    @property
    def environment(self) -> Path:
        """Node, versions, models."""
        return self.path / "environment.json"

    @property
    def archive(self) -> Path:
        """Prometheus data that a Prometheus can open again."""
        return self.path / "tsdb.tar.zst"

    @property
    def held(self) -> Path:
        """When the cell got its allocation, and which nodes."""
        return self.path / "held.json"

    @property
    def calibration(self) -> Path:
        """What the client can do by itself; cells that were not calibrated have none."""
        return self.path / "calibration.json"

    @property
    def bounds(self) -> Path:
        """What upper bounds are computed from; cells of earlier releases have none."""
        return self.path / "bounds.json"

    @property
    def energy(self) -> Path:
        """What Slurm's accounting has on the service's energy; only where the site gathers it."""
        return self.path / "energy.json"

    @property
    def profile(self) -> Path:
        """Fine readings of the GPUs; only where the campaign asks for them."""
        return self.path / "profile.parquet"

    @property
    def calibrating(self) -> Path:
        """Folder of what the calibration stands on: its schedule, request log, null server's log."""
        return self.path / "calibration"

    @property
    def cell(self) -> Path:
        """The cell's outcome; it exists when the cell is over."""
        return self.path / "cell.json"

    @property
    def logs(self) -> Path:
        """Logs of the cell's processes and stages."""
        return self.path / "logs"

    @property
    def prometheus(self) -> Path:
        """Configuration and live data of the cell's Prometheus; gone once archived."""
        return self.path / "prometheus"

    @property
    def prepared(self) -> Path:
        """What the workload needs of the service's preparation: queries and their neighbours."""
        return self.path / "prepared"

    @property
    def attempts(self) -> Path:
        """Evidence of earlier, unfinished or failed attempts."""
        return self.path / "attempts"

    def step(self, number: int) -> Path:
        """Folder of one step: its requests and its outcome."""
        return self.path / "steps" / str(number)

    def attempt(self) -> int:
        """Give the number of the present attempt: one more than have come to an end.

        A run that was killed is no attempt: it says nothing about the service.
        """
        return 1 + sum(1 for entry in _entries(self.attempts) if (entry / self.cell.name).exists())

    def set_aside(self, *, schedule: bool = False) -> None:
        """Move what an unfinished or failed attempt left to `attempts/<n>`.

        The schedule stays unless `schedule` says otherwise: a ladder's is drawn from the seed and
        was no one's result; a search's followed from what was measured.
        """
        keep = {self.attempts.name} | ({self.schedule.name} if not schedule else set())
        left = [entry for entry in _entries(self.path) if entry.name not in keep]
        if not left:
            return
        place = self.attempts / str(len(_entries(self.attempts)) + 1)
        place.mkdir(parents=True)
        for entry in left:
            entry.rename(place / entry.name)
        _note_loss(place)


@dataclass(frozen=True)
class CampaignFolder:
    """`results/<campaign>`."""

    path: Path

    @property
    def resolved(self) -> Path:
        """The configuration with every default written out; itself runnable."""
        return self.path / "campaign.resolved.yaml"

    @property
    def provenance(self) -> Path:
        """Versions, host, command."""
        return self.path / "provenance.json"

    @property
    def kpis(self) -> Path:
        """Tidy KPIs as Parquet; the CSV has the same rows."""
        return self.path / "kpis.parquet"

    @property
    def kpis_csv(self) -> Path:
        """Tidy KPIs as CSV."""
        return self.path / "kpis.csv"

    @property
    def summary(self) -> Path:
        """One row per step: a wide view of the KPIs."""
        return self.path / "metrics_summary.csv"

    @property
    def verdicts(self) -> Path:
        """Gates, SLO verdicts, capacity."""
        return self.path / "verdicts.json"

    @property
    def capacity(self) -> Path:
        """The capacity table of the verdicts as CSV."""
        return self.path / "capacity.csv"

    @property
    def comparison(self) -> Path:
        """How the campaign compares with its baseline, where one was stored when the report was made."""
        return self.path / "comparison.json"

    @property
    def report(self) -> Path:
        """The page."""
        return self.path / "report.html"

    @property
    def twin(self) -> Path:
        """The page's content for machines."""
        return self.path / "report.json"

    @property
    def components(self) -> Path:
        """Folder of the component benchmarks, where the campaign has any."""
        return self.path / "components"

    @property
    def manifest(self) -> Path:
        """SHA-256 of every artifact."""
        return self.path / "MANIFEST.json"

    def cell(self, name: str) -> CellFolder:
        """Give the folder of one cell."""
        return CellFolder(self.path / "cells" / name)

    def cells_present(self) -> list[str]:
        """Name the cells that have a folder, planned or stale."""
        return sorted(entry.name for entry in _entries(self.path / "cells") if entry.is_dir())


def is_over(cell: CellFolder, attempts: int, *, retry_failed: bool) -> bool:
    """Tell whether a cell is not to be measured (again).

    A finished cell is over for good. A failed one is over once it was tried
    `attempts` times, unless failed cells are to be retried.
    """
    if not cell.cell.exists():
        return False
    state = read_json(cell.cell, "outcome of a cell")
    if state.get("outcome") == "finished":
        return True
    return not retry_failed and int(state.get("attempt", 1)) >= attempts


def _note_loss(attempt: Path) -> None:
    """Write down how long an attempt held its nodes, before times of files are lost by a copy."""
    try:
        held = read_json(attempt / "held.json", "allocation of a cell")
        until = max(path.stat().st_mtime for path in attempt.rglob("*") if path.is_file())
        write_json(attempt / "lost.json", {**held, "until": until})
    except EscaladeError:  # it ended before it had nodes
        return


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
