"""The analysis of a campaign in the workflow: provenance, KPIs, verdicts, report."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from escalade.campaign.configuration import recipes_of
from escalade.campaign.plan import PROTOCOL_VERSION
from escalade.campaign.run import COMMAND
from escalade.files import write_json
from escalade.provenance import host_facts, software_facts, source_facts

if TYPE_CHECKING:
    from escalade.campaign.layout import CampaignFolder
    from escalade.campaign.run import CampaignRun


def collect_provenance(run: CampaignRun) -> None:
    """Write provenance.json: what made this result, and the cells that belong to it."""
    campaign = run.plan.campaign
    recipes = recipes_of(campaign, run.source)
    write_json(
        run.folder.provenance,
        {
            "schema": 1,
            "campaign": run.name,
            "protocol": PROTOCOL_VERSION,
            "command": os.environ.get(COMMAND, ""),
            "reproduce": reproduce_commands(run.folder),
            "cells": [cell.name for cell in run.plan.cells],
            "seeds": {cell.name: cell.seed for cell in run.plan.cells},
            "stale": run.plan.stale(run.folder),
            "recipes": {name: recipe.model_dump(mode="json") for name, recipe in recipes.items()},
            "driver": host_facts(),
            "software": software_facts(),
            "source": source_facts(Path(__file__).parent),
        },
    )


def reproduce_commands(folder: CampaignFolder) -> list[str]:
    """Give the commands that measure the same campaign again, or rebuild its results."""
    resolved = folder.resolved.as_posix()
    return [f"escalade run {resolved}", f"escalade replay {folder.path.as_posix()}"]
