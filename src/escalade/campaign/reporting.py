"""The report of a campaign, from what its files hold."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from escalade.campaign.against import read_comparison
from escalade.campaign.defaults import chosen
from escalade.files import read_json, read_table, write_text
from escalade.manifest import NAME as MANIFEST
from escalade.report.data import ReportData, StoredFile
from escalade.report.page import content_of, page_of
from escalade.report.sections.downloads import downloads
from escalade.report.twin.content import twin, written
from escalade.suites.stored import ComponentsFolder, read_summary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from escalade.analysis.measured.cell import CellData
    from escalade.campaign.layout import CampaignFolder
    from escalade.campaign.models import Campaign

EMBEDDED_BYTES = 200_000
"""A file up to this size is in the page itself; two thirds more stand there than it has bytes."""
EMBEDDED_TOTAL = 600_000
"""All files in the page together, the first ones first."""


def write_report(
    folder: CampaignFolder,
    cells: Sequence[CellData],
    campaign: Campaign,
    provenance: dict[str, Any],
) -> None:
    """Render report.html and report.json; nothing in them comes from a clock or from this machine."""
    data = ReportData(
        campaign=campaign.model_dump(mode="json"),
        kpis=read_table(folder.kpis, "KPIs"),
        verdicts=read_json(folder.verdicts, "verdicts"),
        cells=list(cells),
        provenance=provenance,
        stale=list(provenance.get("stale", [])),
        components=read_summary(ComponentsFolder(folder.components)) if campaign.components else {},
        comparison=read_comparison(folder),
        chosen=chosen(campaign),
    )
    page, machines = rendered(folder, data)
    write_text(folder.twin, machines)
    write_text(folder.report, page)


def rendered(
    folder: CampaignFolder, data: ReportData, beside: str = "", *, offered: bool = True
) -> tuple[str, str]:
    """Render the page and its twin.

    Parameters
    ----------
    folder
        Whose files the page offers.
    data
        What is told.
    beside
        The way from the page to that folder, as an address; empty where the page lies in it.
    offered
        Whether files are offered at all: there are none in the middle of a campaign.
    """
    content = content_of(data)
    machines = written(twin(data, content))
    if not offered:
        return page_of(content), machines
    files = tuple(_files(folder, machines, beside))
    return page_of({**content, "downloads": downloads(replace(data, files=files))}), machines


def _files(folder: CampaignFolder, machines: str, beside: str) -> Iterator[StoredFile]:
    """Give what the page offers: small files whole, others by their name and hash."""
    room = EMBEDDED_TOTAL
    for path, holds in (
        (folder.capacity, "capacity of each cell"),
        (folder.resolved, "configuration with every default, itself runnable"),
        (folder.verdicts, "gates, verdicts, findings, bounds"),
        (folder.comparison, "comparison with the baseline: every KPI with effect and verdict"),
        (folder.kpis_csv, "every KPI of every step, with interval, n and quality"),
        (folder.twin, "this page for machines"),
    ):
        if path == folder.twin:
            content = machines.encode("utf-8")
        elif path.exists():
            content = path.read_bytes()
        else:
            continue
        if path == folder.comparison and beside:
            continue  # the same: it may be the comparison with another baseline
        small = len(content) <= min(EMBEDDED_BYTES, room)
        if path == folder.twin and beside and not small:
            continue  # what lies beside the campaign's own page may be another one's twin
        room -= len(content) * small
        digest = hashlib.sha256(content).hexdigest()
        kept = content if small else None
        yield StoredFile(path.name, holds, beside, len(content), digest, kept)
    yield StoredFile(
        MANIFEST, "SHA-256 of every file of the campaign, written after this page", beside
    )
