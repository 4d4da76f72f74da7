"""The page of several campaigns: an overview, figures, and each campaign in its own words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.embedded import embed
from escalade.report.page import SYMBOLS, environment, style
from escalade.report.sections.concerns import NOTE, concerns
from escalade.report.sections.findings import findings_on_page
from escalade.report.sections.grading import grade
from escalade.report.sections.identity import identity, moment
from escalade.report.sections.limits import limits
from escalade.report.sections.story import summary
from escalade.report.sections.strip import verdict_strip
from escalade.report.sections.trends import trends_of
from escalade.report.several.chart import views
from escalade.report.several.told import labels, overview, remarks
from escalade.report.words import NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.several.told import Member
    from escalade.report.twin.models import Overview

_FINDINGS = 5


@dataclass(frozen=True)
class Line:
    """A row of the overview, as text."""

    anchor: str
    campaign: str
    deployment: str
    facts: tuple[str, ...]
    verdicts: tuple[tuple[str, str], ...]
    capacity: tuple[str, str]
    slo: tuple[str, str, str]


def render_several(
    members: Sequence[Member],
    unread: Sequence[tuple[str, str]] = (),
    history: Mapping[str, Any] | None = None,
) -> str:
    """Make one page of several campaigns.

    Parameters
    ----------
    members
        The campaigns, in the order in which they are shown.
    unread
        Folders that could not be used, each with the reason.
    history
        What of them is one history, as `escalade history --format json` prints it.

    Returns
    -------
    str
        One HTML document without external references but the links to the campaigns' own reports. It
        shows everything without its script, and answers with it, as a campaign's own page does.
    """
    page = environment().get_template("several/page.html.j2")
    named = labels(members)
    anchors = {
        words.clean(member.folder): f"campaign-{place}"
        for place, member in enumerate(members, start=1)
    }
    drawn = {
        "views": views(members),
        "trends": trends_of(history or {}),
        "limits": explored(members),
    }
    return page.render(
        style=style(),
        symbols=SYMBOLS,
        title=words.listed(named),
        count=words.counted(len(members), "campaign"),
        rows=[_line(row, anchors) for row in overview(members)],
        remarks=remarks(members),
        unread=[(words.clean(folder), words.clean(why)) for folder, why in unread],
        campaigns=[
            _campaign(member, label, anchors[words.clean(member.folder)])
            for member, label in zip(members, named, strict=True)
        ],
        embedded=embed(drawn),
        **drawn,
    )


def explored(members: Sequence[Member]) -> list[dict[str, Any]]:
    """Give the objectives of all campaigns whose limits a reader may move, each with its campaign's name."""
    return [
        {
            **objective,
            "title": f"{label}: {objective['title']}",
            "steps": [
                {**step, "where": f"{label}: {step['where']}"} for step in objective["steps"]
            ],
        }
        for member, label in zip(members, labels(members), strict=True)
        for objective in limits(member.data)
    ]


def _line(row: Overview, anchors: dict[str, str]) -> Line:
    value = words.amount(
        known(row.slo_value), *words.bounds(row.slo_ci_low, row.slo_ci_high), row.slo_unit
    )
    return Line(
        anchor=anchors[row.folder],
        campaign=row.campaign,
        deployment=row.deployment,
        facts=(
            moment(known(row.measured_at)),
            row.system,
            row.source,
            row.grade or NOTHING,
            str(row.repetitions),
        ),
        verdicts=tuple((verdict, str(count)) for verdict, count in row.verdicts.items()),
        capacity=(_held(row), row.capacity),
        slo=(value, row.slo, row.slo_verdict),
    )


def _held(row: Overview) -> str:
    """Write a capacity in requests/s; one that was not reached as "at least"."""
    low, high = words.bounds(row.ci_low, row.ci_high)
    if row.capacity_qps is None and math.isfinite(low):
        return f"at least {words.plain(low)}"
    return " ".join(words.span(known(row.capacity_qps), low, high, words.Scale(1.0, ""))).strip()


def _campaign(member: Member, label: str, anchor: str) -> dict[str, Any]:
    data = member.data
    found = findings_on_page(data)
    warned = [each for each in concerns(data) if each.severity != NOTE]
    return {
        "anchor": anchor,
        "name": label,
        "link": member.link,
        "folder": words.clean(member.folder),
        "description": words.clean(data.campaign.get("description") or ""),
        "identity": identity(data),
        "strip": verdict_strip(data),
        "grade": grade(data),
        "statements": summary(data),
        "warned": warned,
        "findings": found.fired[:_FINDINGS],
        "more": max(0, len(found.fired) - _FINDINGS),
        "judged": found.judged,
    }
