"""One run of the workflow: the campaign it carries out, and its begin and end.

`open_run` reads and computes only, since a Snakefile is also parsed under -n,
--lint, --rulegraph and --unlock, beside a campaign that may be live. What
starts, stops or deletes is in `begin_run` and `end_run`, which the workflow's
hooks call.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.campaign import events
from escalade.campaign.configuration import canonical, recipes_of, resolve_campaign
from escalade.campaign.layout import CampaignFolder, CellFolder, is_over
from escalade.campaign.plan import Cell, Plan, plan_campaign
from escalade.campaign.smoke import reduced
from escalade.errors import EscaladeError, InputError
from escalade.files import read_json, write_json
from escalade.runtime import driver
from escalade.runtime.slurm.reuse import offer_own_job

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STATE_ROOT = Path("state")
RUN_ID = "ESCALADE_RUN_ID"
SOURCE = "ESCALADE_CONFIGURATION"
COMMAND = "ESCALADE_COMMAND"
"""Set by the driver and inherited by the steps of the workflow."""
RETRY_FAILED = "retry_failed"
SMOKE = "smoke"
"""Keys that may stand beside the campaign's own: measure failed cells again; a smoke run only."""
OPENED = "campaign.json"
"""The campaign of a run as it was resolved, in the folder of the run, for those who look on."""
BEGAN = "began_at"
"""When its driver began, in that file: Unix seconds."""
NOTHING = r"(?!)"
"""A pattern that matches no name."""


@dataclass(frozen=True)
class CampaignRun:
    """What the Snakefile needs to know about its campaign."""

    source: str
    plan: Plan
    folder: CampaignFolder
    state: Path
    unfinished: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """Name of the campaign."""
        return self.plan.campaign.campaign

    @property
    def events(self) -> Path:
        """Where the stages of this run report."""
        return self.state / "events.jsonl"

    @property
    def unfinished_pattern(self) -> str:
        """Match the names of cells that are to be measured, and nothing else."""
        return "|".join(re.escape(cell.name) for cell in self.unfinished) or NOTHING

    @property
    def load_as_job(self) -> bool:
        """Whether the load of a cell is a job of its own."""
        campaign = self.plan.campaign
        return campaign.execution.launcher == "slurm" and campaign.load.run_as == "job"

    @property
    def configuration_json(self) -> str:
        """The resolved configuration, canonical."""
        return canonical(self.plan.campaign)

    @property
    def components_json(self) -> str:
        """The component benchmarks, canonical: a change of them is seen by the rule."""
        parts = [part.model_dump(mode="json") for part in self.plan.campaign.components]
        return json.dumps(parts, sort_keys=True)

    def component_threads(self, cores: int | None) -> int:
        """Give the cores that component benchmarks keep others from: all of one machine."""
        local = self.plan.campaign.execution.launcher == "local"
        return cores or 1 if local else 1

    @staticmethod
    def rule_name(cell: Cell) -> str:
        """Give the cell's name as an identifier."""
        return re.sub(r"\W", "_", cell.name)

    def began_at(self) -> float | None:
        """Give when the driver of this run began, in Unix seconds; None when that was not noted."""
        opened = self.state / OPENED
        began = read_json(opened, "campaign of a run").get(BEGAN) if opened.exists() else None
        return None if began is None else float(began)

    def cell_state(self, cell: str) -> Path:
        """Folder of the state files of one cell in this run."""
        return self.state / "cells" / cell


@dataclass(frozen=True)
class CellRun:
    """What a stage of a cell's chain works on."""

    run: CampaignRun
    cell: Cell
    folder: CellFolder

    @property
    def state(self) -> Path:
        """Folder of the cell's state files."""
        return self.run.cell_state(self.cell.name)


def open_run(configuration: Mapping[str, Any], sources: Sequence[str]) -> CampaignRun:
    """Read the campaign and see which of its cells are not over.

    Parameters
    ----------
    configuration
        As Snakemake merged it; RETRY_FAILED and SMOKE may stand beside the campaign's own keys.
    sources
        Files it came from, the last one naming it in messages.

    Raises
    ------
    InputError
        When the configuration can't be used.
    """
    beside = {RETRY_FAILED, SMOKE}
    content = {key: value for key, value in configuration.items() if key not in beside}
    source = _source(sources)
    campaign = resolve_campaign(content, source)
    if configuration.get(SMOKE, False):
        campaign = reduced(campaign)
    recipes = recipes_of(campaign, source)
    try:
        plan = plan_campaign(campaign, recipes)
    except InputError as error:  # of a trace
        raise InputError(f"{source}: {error}") from None
    folder = CampaignFolder(Path(campaign.execution.results) / campaign.campaign)
    unfinished = tuple(
        cell
        for cell in plan.cells
        if not is_over(
            folder.cell(cell.name),
            campaign.execution.attempts,
            retry_failed=bool(configuration.get(RETRY_FAILED, False)),
        )
    )
    state = STATE_ROOT / campaign.campaign / run_id()
    return CampaignRun(source, plan, folder, state, unfinished)


def run_id() -> str:
    """Give the name of this run: the caller's choice, else the time and four random digits."""
    if RUN_ID not in os.environ:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        os.environ[RUN_ID] = f"{stamp}-{secrets.token_hex(2)}"
    return os.environ[RUN_ID]


def _source(sources: Sequence[str]) -> str:
    """Name the configuration; the steps of the workflow inherit what the driver was given."""
    if sources:
        os.environ[SOURCE] = sources[-1]
    return os.environ.get(SOURCE, "the configuration")


def begin_run(run: CampaignRun) -> None:
    """Take the campaign's lock, sweep what earlier runs left, start the lease.

    Raises
    ------
    InfrastructureError
        When another driver holds the campaign.
    """
    os.environ.setdefault(COMMAND, shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]))
    from escalade.campaign.login_node import refuse_load_here  # noqa: PLC0415 - begins alone need it

    try:
        refuse_load_here(run)
        begun = driver.begin(STATE_ROOT, run.name, run.state.name)
        campaign = run.plan.campaign.model_dump(mode="json")
        opened = {"source": run.source, "campaign": campaign, BEGAN: time.time()}
        write_json(begun.path / OPENED, opened)
        offer_own_job(begun)
    except EscaladeError as error:
        events.append(run.events, "", "begin", "failed", str(error))
        raise


def end_run(run: CampaignRun) -> None:
    """Stop whatever of this run is left, and drop the lock."""
    driver.end(driver.RunFolder.open(run.state))


def version_of(package: str) -> str:
    """Give a hash of a package's sources, for rules that have to see edits in them."""
    folder = Path(__file__).parents[1] / package
    digest = hashlib.sha256()
    for source in sorted(folder.rglob("*")):
        if source.suffix in {".py", ".j2", ".css"}:
            digest.update(source.name.encode() + b"\0" + source.read_bytes())
    return digest.hexdigest()[:12]
