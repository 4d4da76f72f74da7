"""What Slurm's accounting has on the energy of a cell: noted when the cell ends, and read for verdicts."""

from __future__ import annotations

import logging
import math
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from escalade.errors import EscaladeError
from escalade.files import read_json, write_json
from escalade.runtime.slurm.calls import Caller
from escalade.runtime.slurm.energy import StepEnergy, energy_of, energy_source
from escalade.runtime.slurm.script import clean_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from escalade.analysis.measured.cell import CellData
    from escalade.campaign.layout import CampaignFolder

logger = logging.getLogger(__name__)

SERVICE = "service"
SCOPE = "node"
_LOOKS, _LOOK_SECONDS = 5, 2.0
"""A step's end reaches the accounting some seconds after it."""


def note_energy(
    path: Path,
    job: str | None,
    since: float | None,
    caller: Caller | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Write what the accounting has on the service's steps of a cell; no file where it has nothing.

    Parameters
    ----------
    path
        Of the note.
    job
        The cell's job; None on this machine.
    since
        Begin of the cell in Unix s: its job may have served others before.
    caller, sleep
        Of Slurm's programs, and between looks.
    """
    if job is None or since is None:
        return
    try:
        asked = caller or Caller(clean_environment(os.environ), 60.0, 10.0)
        if not (source := energy_source(asked)):
            return
        for look in range(_LOOKS):
            found = [step for step in energy_of(job, asked) if _of_cell(step, since)]
            if found or look == _LOOKS - 1:
                break
            sleep(_LOOK_SECONDS)
    except EscaladeError as error:
        logger.warning("Slurm's accounting did not tell the energy of job %s: %s", job, error)
        return
    if found:
        steps = [asdict(step) for step in found]
        write_json(path, {"schema": 1, "source": source, "job": job, "steps": steps})


def _of_cell(step: StepEnergy, since: float) -> bool:
    name = step.name
    mine = name == SERVICE or name.startswith(f"{SERVICE}-")
    return mine and step.began >= math.floor(since)


def energy_rows(folder: CampaignFolder, cells: Sequence[CellData]) -> list[dict[str, Any]]:
    """Give the section `energy_accounted` of verdicts.json: a row per cell and step of its service.

    Each row counts the whole nodes of its step, from its start to its end, loading of the
    model, warm-up and pauses included; rows are never added to one another or to other scopes.
    """
    rows = []
    for cell in cells:
        path = folder.cell(cell.name).energy
        note = read_json(path, "energy of a cell") if path.exists() else {}
        for step in note.get("steps") or []:
            seconds, joules = step["ended"] - step["began"], step["joules"]
            rows.append(
                {
                    "cell": cell.name,
                    "scope": SCOPE,
                    "source": note.get("source"),
                    "step": step.get("step"),
                    "name": step.get("name"),
                    "nodes": step.get("nodes"),
                    "hosts": step.get("hosts"),
                    "joules": joules,
                    "seconds": seconds,
                    "mean_watts": joules / seconds if seconds > 0 else None,
                }
            )
    return rows
