"""Campaigns on a cluster, cells of known duration, and sites, for tests of what they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.campaign.configuration import parse_campaign
from escalade.campaign.plan import CELL_OVERHEAD_SECONDS, STEP_OVERHEAD_SECONDS, Cell
from escalade.campaign.site import Site, merge_slurm
from escalade.load.schedule import StepPlan
from escalade.services.validation import validated

if TYPE_CHECKING:
    from escalade.campaign.models import Campaign

STEP_SECONDS = 100.0
"""Length of the one step of every cell in `cells`."""
EXPECTED = CELL_OVERHEAD_SECONDS + STEP_OVERHEAD_SECONDS + STEP_SECONDS + 10 / 2
"""How long such a cell likely takes: half of its drain of 10 s."""
AT_MOST = CELL_OVERHEAD_SECONDS + STEP_OVERHEAD_SECONDS + STEP_SECONDS + 10 + 8
"""The same with the whole drain, and a service that is ready after all of its 8 s."""


def campaign(lanes: int = 1, **slurm: Any) -> Campaign:
    """Give a campaign on Slurm; no site file plays a part."""
    execution = {"launcher": "slurm", "parallel_cells": lanes}
    content = {
        "campaign": "small",
        "deployments": [{"name": "a", "recipe": "truth_server"}],
        "load": {"ladder": [{"target_qps": 2, "window_seconds": STEP_SECONDS}]},
    }
    return parse_campaign(
        {**content, "execution": {**execution, "slurm": merge_slurm({}, slurm)}}, "my.yaml"
    )


def cells(count: int) -> tuple[Cell, ...]:
    """Give that many equal cells."""
    step = StepPlan(1, 2.0, 0.0, STEP_SECONDS, "constant", 8, 8)
    return tuple(
        Cell(
            name=f"a_rep-{number}_{number:08x}",
            deployment=campaign().deployments[0],
            repetition=number,
            seed=number,
            definition={},
            definition_hash=f"{number:064x}",
            steps=(step,),
            drain_timeout_seconds=10.0,
            ready_timeout_seconds=8.0,
            cooldown_seconds=0.0,
            calibration_seconds=0.0,
        )
        for number in range(1, count + 1)
    )


def site(**content: Any) -> Site:
    """Give a site with limits: `partitions`, `qos`, `heterogeneous_jobs`, and other keys of the file."""
    limits = {
        key: content.pop(key)
        for key in ("partitions", "qos", "heterogeneous_jobs")
        if key in content
    }
    return validated(
        Site, {"site": "here", "source": "site.yaml", "limits": limits, **content}, "x"
    )
