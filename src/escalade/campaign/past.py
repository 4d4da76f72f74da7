"""The campaigns of a history: read, or said why not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.compare.comparison import MARGIN
from escalade.analysis.compare.history import SCHEMA, histories
from escalade.analysis.compare.primary import primary_of
from escalade.analysis.compare.trends import Past, measured_at
from escalade.analysis.stats.change_points import ALARMS
from escalade.campaign.measured import read_campaign
from escalade.errors import InputError
from escalade.runtime.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from escalade.analysis.compare.primary import Primary
    from escalade.campaign.measured import MeasuredCampaign


@dataclass(frozen=True)
class Skipped:
    """A folder that can't be used, and why."""

    path: str
    why: str


def history_of(
    folders: Sequence[Path],
    metrics: Sequence[str] = (),
    margin: float = MARGIN,
    *,
    skip_broken: bool = False,
    told: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Put campaigns into the order of their measurement, and find where their figures change.

    Parameters
    ----------
    folders
        Of campaigns, in any order.
    metrics
        Figures as `escalade compare --primary` takes them; without a level those of every step.
    margin
        Changes of less than that share are called small.
    skip_broken
        Leave out what can't be read, and say so.
    told
        Gets a line about what is done next.

    Raises
    ------
    InputError
        When a folder can't be used and is not to be skipped, when none is left, or a figure is none.
    """
    keep_freed_memory()
    wanted = [_figure(text) for text in metrics]
    campaigns: list[MeasuredCampaign] = []
    skipped: list[Skipped] = []
    for folder in folders:
        told(f"{folder}: reading")
        try:
            campaigns.append(_read(folder, campaigns))
        except InputError as error:
            if not skip_broken:
                raise InputError(
                    f"{error} Or give --skip-broken, and the others are listed without it."
                ) from None
            skipped.append(Skipped(str(folder), str(error)))
    if not campaigns:
        raise InputError("None of the folders is a campaign that can be read.")
    found = histories([_past(each) for each in campaigns], wanted, margin, told)
    return {
        "schema": SCHEMA,
        "level": ALARMS,
        "margin": margin,
        "histories": found,
        "skipped": [{"path": each.path, "why": each.why} for each in skipped],
    }


def _figure(text: str) -> Primary:
    try:
        return primary_of(text)
    except ValueError as error:
        raise InputError(f"--metric: {error}") from None


def _read(folder: Path, others: Sequence[MeasuredCampaign]) -> MeasuredCampaign:
    found = read_campaign(folder)
    if not found.cells:
        raise InputError(f"{folder} has no cell.")
    if math.isnan(measured_at(found.cells)):
        raise InputError(f"{folder} does not say when it was measured: no step of it was begun.")
    for other in others:
        if found.logs & other.logs:
            raise InputError(
                f"{folder} and {other.folder.path} hold the same measurements: a copy is no "
                "campaign of its own. Give one of them."
            )
    return found


def _past(found: MeasuredCampaign) -> Past:
    path = str(found.folder.path)
    return Past(found.name, path, found.provenance, found.slos, found.cells)
