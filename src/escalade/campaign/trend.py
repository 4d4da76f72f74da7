"""The trend that a report shows: its primary KPIs over campaigns that are named beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.analysis.compare.primary import usual_family
from escalade.campaign.measured import read_campaign
from escalade.campaign.past import history_of
from escalade.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from escalade.campaign.measured import MeasuredCampaign


def trend_beside(folder: Path, others: Sequence[Path]) -> dict[str, Any]:
    """Give the histories that a campaign is part of, over the primary KPIs of this campaign.

    Parameters
    ----------
    folder
        Of the campaign.
    others
        Of any campaigns; those of another deployment, workload or hardware class are left out, the
        campaign itself may be among them, and what can't be read is named.

    Raises
    ------
    InputError
        When the campaign itself can't be used.
    """
    own = folder.resolve()
    folders = [folder, *(path for path in dict.fromkeys(others) if path.resolve() != own)]
    found = history_of(folders, _primary_of(read_campaign(folder)), skip_broken=True)
    for each in found["skipped"]:
        if each["path"] == str(folder):
            raise InputError(each["why"])
    mine = [
        history
        for history in found["histories"]
        if any(campaign["path"] == str(folder) for campaign in history["campaigns"])
    ]
    return {**found, "histories": mine}


def trend_among(folders: Sequence[Path]) -> dict[str, Any]:
    """Give the histories of several campaigns over the primary KPIs that any of them declares.

    Empty where no two of them have deployment, workload and hardware class in common.
    """
    declared: dict[str, None] = {}
    for folder in folders:
        try:
            comparison = read_campaign(folder).configuration.comparison
        except InputError:
            continue
        declared.update(dict.fromkeys(comparison.primary if comparison else ()))
    try:
        found = history_of(folders, tuple(declared), skip_broken=True)
    except InputError:  # none can be read: the page names each with its reason
        return {}
    several = [history for history in found["histories"] if len(history["campaigns"]) > 1]
    return {**found, "histories": several} if several else {}


def _primary_of(campaign: MeasuredCampaign) -> tuple[str, ...]:
    declared = campaign.configuration.comparison
    if declared is not None and declared.primary:
        return declared.primary
    return tuple(each.words for each in usual_family(campaign.slos, campaign.cells))
