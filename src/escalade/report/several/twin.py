"""Several campaigns for machines: the overview as numbers, and the twin of each report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from escalade.report.page import content_of
from escalade.report.sections.trends import trends_of
from escalade.report.several.chart import views
from escalade.report.several.told import overview, remarks
from escalade.report.twin.content import figures_of, twin
from escalade.report.twin.models import SCHEMA, Several, Unread
from escalade.report.twin.plain import plain, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.several.told import Member


def several_twin(
    members: Sequence[Member],
    unread: Sequence[tuple[str, str]] = (),
    history: Mapping[str, Any] | None = None,
) -> Several:
    """Make the twin of the page of several campaigns; see `render_several`."""
    drawn = {"charts": views(members), "trends": trends_of(history or {})}
    return Several(
        schema_=SCHEMA,
        remarks=remarks(members),
        rows=overview(members),
        figures=list(figures_of(drawn)),
        history=plain(dict(history or {})),
        unread=[Unread(folder=text(folder), why=text(why)) for folder, why in unread],
        reports={
            text(member.folder): twin(member.data, content_of(member.data)) for member in members
        },
    )
