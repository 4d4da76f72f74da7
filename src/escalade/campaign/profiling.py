"""Fine profiling of a cell's GPUs: recorders beside the service, and what they leave.

In a cell the exporters share an allocation with the service, so no head and no queue is needed: the
profiler's recorder writes on each node with GPUs, and `profile.parquet` is made when the load is over.
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Any

from escalade.campaign.state import read_allocation, read_exporters
from escalade.errors import EscaladeError, InfrastructureError
from escalade.profiler.outputs import write_files
from escalade.profiler.recording import Recording, Recordings
from escalade.profiler.sessions import Session
from escalade.runtime.launcher import launcher_for
from escalade.runtime.steps import StepSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from escalade.campaign.models import Profiling
    from escalade.campaign.run import CellRun
    from escalade.runtime.allocation import Place

_BEGIN_SECONDS = 20.0
_LOOK_SECONDS = 0.1


def start_recorders(here: CellRun) -> dict[str, Any]:
    """Start a recorder on every node of the service, where the campaign asks for it.

    Returns
    -------
    dict
        For exporters.json: the names of the steps; empty where nothing is profiled.

    Raises
    ------
    InfrastructureError
        When one does not begin to record; the message has the place of its log.
    """
    wanted = here.run.plan.campaign.profiling
    if wanted is None or not here.cell.monitored:
        return {}
    allocation = read_allocation(here.state)
    steps = [_start(here, place, wanted) for place in dict.fromkeys(allocation.services)]
    return {"recorders": steps}


def take_profile(here: CellRun, outcomes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """End the recorders, and write profile.parquet.

    Parameters
    ----------
    here
        The cell, whose load is over.
    outcomes
        Of its steps.

    Returns
    -------
    dict
        For windows.json: `profiling` with the interval, or why there is no profile; empty where
        nothing was asked for. A profile that can't be read costs the cell a picture, no figure.
    """
    wanted = here.run.plan.campaign.profiling
    if wanted is None or not here.cell.monitored:
        return {}
    exporters = read_exporters(here.state)
    facts: dict[str, Any] = {"interval_ms": wanted.interval_ms}
    names = exporters.get("recorders", [])
    if not names:
        return {"profiling": {**facts, "missing": exporters["gpu_note"] or "no GPU"}}
    allocation = read_allocation(here.state)
    launcher = launcher_for(allocation)
    for name in names:
        launcher.stop(allocation, name)
    begun = [it["started_at"] for it in outcomes if it["started_at"] is not None]
    if not begun:
        return {"profiling": {**facts, "missing": "no step began"}}
    try:
        several = [Recording(path) for path in sorted(_folder(here).glob("*.sqlite"))]
        end = max(one.span()[1] for one in several) + wanted.interval_ms / 1000
        session = Session(
            id=here.cell.name,
            name=here.cell.name,
            start=min(begun),
            end=max(end, min(begun) + wanted.interval_ms / 1000),
            interval_ms=wanted.interval_ms,
            bandwidth=True,
            nvlink=True,
        )
        written = write_files(session, Recordings(several), [("parquet", here.folder.profile)])
    except EscaladeError as error:
        return {"profiling": {**facts, "missing": str(error)}}
    shutil.rmtree(_folder(here), ignore_errors=True)
    late = sum(one.late for one in several)
    return {"profiling": {**facts, "frames": written.frames, "gpus": written.gpus, "late": late}}


def _start(here: CellRun, place: Place, wanted: Profiling) -> str:
    allocation = read_allocation(here.state)
    launcher = launcher_for(allocation)
    path = _folder(here) / f"{place.node}.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    spec = StepSpec(
        name=f"profile.{place.node}",
        argv=(
            *(sys.executable, "-P", "-m", "escalade.profiler.recorder"),
            *(str(path.resolve()), place.node, str(wanted.interval_ms)),
            *("--bandwidth", "--nvlink", "--exclusive"),
        ),
        role="exporter",
        log=here.folder.logs / f"profile-{place.node}.log",
        cpus=next((own.cpus for own in allocation.clients if own.node == place.node), None),
        on=place,
        gpus=True,
    )
    launcher.start(allocation, spec)
    deadline = time.monotonic() + _BEGIN_SECONDS
    while not path.exists():
        state = launcher.state(allocation, spec.name)
        if not state.running or time.monotonic() > deadline:
            raise InfrastructureError(
                f"The recorder of GPUs on {place.node} {state.describe()} without recording; its log "
                f"is {spec.log}."
            )
        time.sleep(_LOOK_SECONDS)
    return spec.name


def _folder(here: CellRun) -> Path:
    return here.folder.path / "profile"
