"""Reports on request: of one campaign, of one that is under way, of several side by side."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from escalade.campaign.against import held_against_given
from escalade.campaign.baselines import baseline_of
from escalade.campaign.layout import CampaignFolder
from escalade.campaign.partial import partial_report
from escalade.campaign.readable import stored_report
from escalade.campaign.reporting import rendered
from escalade.campaign.trend import trend_among, trend_beside
from escalade.errors import InputError
from escalade.files import write_json, write_text
from escalade.manifest import seal_again
from escalade.report.several.page import render_several
from escalade.report.several.told import Member
from escalade.report.several.twin import several_twin
from escalade.report.texts.campaign import campaign_markdown, several_markdown
from escalade.report.twin.content import written

if TYPE_CHECKING:
    from collections.abc import Sequence


Form = Literal["html", "json", "markdown"]
SEVERAL = "campaigns"
"""Name of the page of several campaigns, in the present folder."""
HISTORY = "report.history"
"""Name of the page of a campaign with the trend over others, in the present folder."""


@dataclass(frozen=True)
class Published:
    """What became of a request.

    Attributes
    ----------
    text
        For the standard output; empty when files were written.
    files
        That were written, the wanted one first.
    sealed
        Names that the manifest covers anew.
    problems
        What could not be used, in sentences.
    """

    text: str = ""
    files: list[Path] = field(default_factory=list)
    sealed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def publish(
    folder: Path,
    form: Form,
    output: Path | None,
    *,
    baseline: str | None = None,
    margin: float | None = None,
    history: Sequence[Path] = (),
) -> Published:
    """Render the report of a campaign from its stored results.

    Without `output`, the page and its twin are written together into the campaign's folder, so that
    one does not speak of another state than the other, and the manifest covers them.

    Parameters
    ----------
    folder, form, output
        What is rendered, how, and where to.
    baseline
        What it is compared with, as `escalade check-regressions --baseline` takes it; kept with the
        campaign where the page is.
    margin
        Threshold of that comparison, as a share; None: as the configurations declare it, else 5 %.
    history
        Campaigns over which the trend is shown. That page goes to the present folder where nothing
        else was said: other campaigns are no part of this one, and a replay knows nothing of them.

    Raises
    ------
    InputError
        When the folder holds nothing that can be told, or can't be compared with the baseline.
    """
    campaign = CampaignFolder(folder)
    data = stored_report(campaign)
    if baseline is not None:
        told = held_against_given(baseline_of(baseline, folder), campaign, margin)
        data = replace(data, comparison=told)
    if history:
        data = replace(data, history=trend_beside(folder, history))
        output = output or (None if form == "markdown" else Path(f"{HISTORY}.{form}"))
    if form == "markdown":
        return _told(campaign_markdown(data), output, [])
    if output is not None:
        page, machines = rendered(campaign, data, _beside(campaign, output))
        return _told(page if form == "html" else machines, output, [])
    files = [campaign.report, campaign.twin]
    if baseline is not None:
        write_json(campaign.comparison, data.comparison)  # first: the page offers it
        files.append(campaign.comparison)
    page, machines = rendered(campaign, data)
    write_text(campaign.twin, machines)
    write_text(campaign.report, page)
    sealed = seal_again(folder, files)
    wanted = campaign.report if form == "html" else campaign.twin
    files.sort(key=lambda file: file != wanted)
    return Published(files=files, sealed=sealed)


def publish_partial(folder: Path, form: Form, output: Path | None) -> Published:
    """Render what is measured so far; the campaign's own report is not touched.

    Raises
    ------
    InputError
        When nothing is.
    """
    campaign = CampaignFolder(folder)
    data = partial_report(campaign)
    if form == "markdown":
        return _told(campaign_markdown(data), output, [])
    page, machines = rendered(campaign, data, offered=False)
    target = output or folder / f"report.partial.{form}"
    return _told(page if form == "html" else machines, target, [])


def publish_several(folders: Sequence[Path], form: Form, output: Path | None) -> Published:
    """Put several campaigns on one page; what can't be read is named there.

    Raises
    ------
    InputError
        When a folder was given twice, or none can be read.
    """
    _check_apart(folders)
    target = output or (None if form == "markdown" else Path(f"{SEVERAL}.{form}"))
    members: list[Member] = []
    unread: list[tuple[str, str]] = []
    for folder in folders:
        try:
            data = stored_report(CampaignFolder(folder))
        except InputError as error:
            unread.append((str(folder), str(error)))
        else:
            members.append(Member(data, str(folder), _link(folder, target)))
    if not members:
        why = " ".join(reason for _, reason in unread)
        raise InputError(f"None of the folders is a campaign that can be told. {why}")
    if form == "markdown":
        text = several_markdown(members, unread)
    else:
        trend = trend_among([Path(each.folder) for each in members])
        text = (
            render_several(members, unread, trend)
            if form == "html"
            else written(several_twin(members, unread, trend))
        )
    return _told(text, target, [f"left out: {reason}" for _, reason in unread])


def _told(text: str, output: Path | None, problems: list[str]) -> Published:
    if output is None or str(output) == "-":
        return Published(text=text, problems=problems)
    write_text(output, text)
    return Published(files=[output], problems=problems)


def _check_apart(folders: Sequence[Path]) -> None:
    seen: dict[Path, Path] = {}
    for folder in folders:
        if folder.resolve() in seen:
            raise InputError(
                f"{folder} and {seen[folder.resolve()]} are the same folder. Give each campaign once."
            )
        seen[folder.resolve()] = folder


def _link(folder: Path, target: Path | None) -> str:
    page = CampaignFolder(folder).report
    return _relative(page, target) if page.exists() and target is not None else ""


def _beside(campaign: CampaignFolder, output: Path) -> str:
    """Give the way from a page that lies elsewhere to the campaign's folder, as a relative address."""
    return f"{_relative(campaign.path, output)}/"


def _relative(path: Path, page: Path) -> str:
    return quote(Path(os.path.relpath(path.resolve(), page.resolve().parent)).as_posix())
