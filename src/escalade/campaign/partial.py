"""The report of a campaign that is not over: its finished cells, judged like a whole campaign's.

Files of finished cells do not change any more, so nothing is locked and nobody is waited for; what
is derived from them goes to a folder of its own, and the campaign's own results stay as they are.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.campaign import results
from escalade.campaign.analyse import reproduce_commands
from escalade.campaign.configuration import recipes_of
from escalade.campaign.defaults import chosen
from escalade.campaign.layout import CampaignFolder
from escalade.campaign.observe import driver_of, latest_run, observed
from escalade.campaign.plan import plan_campaign
from escalade.errors import EscaladeError, InputError
from escalade.files import read_json, read_table
from escalade.provenance import software_facts, source_facts
from escalade.report.data import Partial, ReportData
from escalade.suites.stored import ComponentsFolder, read_summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.measured.cell import CellData
    from escalade.campaign.models import Campaign
    from escalade.campaign.plan import Plan
    from escalade.campaign.run import CampaignRun

NAME = "report.partial.html"
NOT_YET = "not yet"
UNDER_WAY = "under way"
INTERRUPTED = "interrupted, nothing drives the campaign now"


@dataclass(frozen=True)
class _Found:
    """The cells of a campaign that is not over."""

    cells: list[CellData]
    left: dict[str, str]
    problems: list[str]


def partial_report(folder: CampaignFolder) -> ReportData:
    """Derive KPIs and verdicts of the cells that are over.

    Parameters
    ----------
    folder
        Of the campaign, which may be under way.

    Raises
    ------
    InputError
        When it is no campaign's, or none of its cells is over.
    """
    if not folder.path.is_dir():
        raise InputError(f"{folder.path} is no folder. Give a campaign's, as in results/demo.")
    run = _begun_here(folder)
    plan = _stored_plan(folder) if run is None else run.plan
    names = _planned(folder, plan)
    found = _look(folder, names, UNDER_WAY if run is None or _driven(folder) else INTERRUPTED)
    if not found.cells:
        raise InputError(
            f"{folder.path}: none of its {len(names)} cells is measured yet, so there is nothing to "
            f"report. {_how_far(found)}`escalade watch {folder.path.name}` shows how far it is."
        )
    campaign = _judged_so_far(plan.campaign, folder)
    with tempfile.TemporaryDirectory(prefix="escalade-partial-") as temporary:
        scratch = CampaignFolder(Path(temporary) / folder.path.name)
        scratch.path.mkdir()
        if (parts := folder.components).is_dir():
            scratch.components.symlink_to(parts.resolve())
        results.write_kpis(scratch, found.cells, campaign)
        results.write_verdicts(scratch, found.cells, campaign)
        kpis = read_table(scratch.kpis, "KPIs")
        verdicts = read_json(scratch.verdicts, "verdicts")
    components = ComponentsFolder(folder.components)
    measured = tuple(cell.name for cell in found.cells)
    return ReportData(
        campaign=plan.campaign.model_dump(mode="json"),
        chosen=chosen(plan.campaign),
        kpis=kpis,
        verdicts=verdicts,
        cells=found.cells,
        provenance=_provenance(folder, plan, names),
        stale=[name for name in folder.cells_present() if name not in names],
        components=read_summary(components) if components.summary.exists() else {},
        problems=tuple(found.problems),
        partial=Partial(len(names), measured, found.left),
    )


def _begun_here(folder: CampaignFolder) -> CampaignRun | None:
    """Give the run of the campaign that began last, where it was started from here."""
    state = latest_run(folder.path.resolve().name)
    if state is None:
        return None
    run = observed(state)
    return run if run.folder.path.resolve() == folder.path.resolve() else None


def _driven(folder: CampaignFolder) -> bool:
    """Tell whether the campaign may still be driven: it is not only where that is known."""
    try:
        return driver_of(folder.path.resolve().name).standing != "ended"
    except EscaladeError:
        return True


def _stored_plan(folder: CampaignFolder) -> Plan:
    if not folder.resolved.exists():
        raise InputError(
            f"{folder.path} is no campaign that was begun from here: it has no {folder.resolved.name}, "
            "and no run of it is known in this folder. Go to the folder in which `escalade run` was started."
        )
    campaign = results.read_resolved(folder)
    return plan_campaign(campaign, recipes_of(campaign, str(folder.resolved)))


def _planned(folder: CampaignFolder, plan: Plan) -> list[str]:
    """Name the cells: of a campaign that is over those that it had, whatever a plan would give today."""
    if folder.provenance.exists():
        return [str(name) for name in read_json(folder.provenance, "provenance")["cells"]]
    return [cell.name for cell in plan.cells]


def _look(folder: CampaignFolder, names: Sequence[str], begun: str) -> _Found:
    """Read the cells that are over; one that is being measured again meanwhile is not.

    One that has begun is told as `begun`.
    """
    found = _Found([], {}, [])
    for name in names:
        place = folder.cell(name)
        if not place.cell.exists():
            found.left[name] = begun if place.schedule.exists() else NOT_YET
            continue
        try:
            read = results.read_cell(place)
            _ = read.requests
        except InputError as error:
            found.left[name] = "can't be read"
            found.problems.append(str(error))
            continue
        found.cells.append(read)
    return found


def _how_far(found: _Found) -> str:
    """Say what there is of cells that are not over."""
    told = "".join(
        f"{how_far.capitalize()}: {', '.join(names)}. "
        for how_far in (UNDER_WAY, INTERRUPTED)
        if (names := [name for name, found_to_be in found.left.items() if found_to_be == how_far])
    )
    return told + "".join(f"{problem} " for problem in found.problems)


def _judged_so_far(campaign: Campaign, folder: CampaignFolder) -> Campaign:
    """Leave out targets on component benchmarks that are measured after the last cell."""
    if ComponentsFolder(folder.components).summary.exists():
        return campaign
    return campaign.model_copy(
        update={"targets": [each for each in campaign.targets if each.benchmark is None]}
    )


def _provenance(folder: CampaignFolder, plan: Plan, names: Sequence[str]) -> dict[str, Any]:
    return {
        "schema": 1,
        "campaign": plan.campaign.campaign,
        "command": "",
        "reproduce": reproduce_commands(folder),
        "cells": list(names),
        "seeds": {cell.name: cell.seed for cell in plan.cells},
        "software": software_facts(),
        "source": source_facts(Path(__file__).parent),
    }
