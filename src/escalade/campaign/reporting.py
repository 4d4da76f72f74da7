"""The report of a campaign, from what its files hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.files import read_json, read_table, write_text
from escalade.report.data import ReportData
from escalade.report.page import render
from escalade.suites.stored import ComponentsFolder, read_summary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.cell import CellData
    from escalade.campaign.layout import CampaignFolder
    from escalade.campaign.models import Campaign


def write_report(
    folder: CampaignFolder,
    cells: Sequence[CellData],
    campaign: Campaign,
    provenance: dict[str, Any],
) -> None:
    """Render report.html; nothing in it comes from a clock or from this machine."""
    data = ReportData(
        campaign=campaign.model_dump(mode="json"),
        kpis=read_table(folder.kpis, "KPIs"),
        verdicts=read_json(folder.verdicts, "verdicts"),
        cells=list(cells),
        provenance=provenance,
        stale=list(provenance.get("stale", [])),
        components=read_summary(ComponentsFolder(folder.components)) if campaign.components else {},
    )
    write_text(folder.report, render(data))
