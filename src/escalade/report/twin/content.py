"""report.json from the content of the page: the same sentences, and figures as numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from escalade.report.charts.drawing import Chart
from escalade.report.contents import sections_of
from escalade.report.sections.findings import Findings
from escalade.report.tables import Table as Printed
from escalade.report.twin.models import (
    SCHEMA,
    Concern,
    Explored,
    Figure,
    Grade,
    Head,
    Kpi,
    Partial,
    Report,
    Section,
    Strip,
    Table,
    Touch,
    WhatIf,
)
from escalade.report.twin.plain import number, plain, text, unbounded, whole
from escalade.report.twin.series import series_of
from escalade.report.twin.stored import verdicts_of
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel

    from escalade.report.data import ReportData
    from escalade.report.marks import Touched

_SENTENCES = {
    "summary": ("statements",),
    "quality": ("grade_lines", "concerns", "remarks"),
    "findings": ("findings",),
    "bottleneck": ("bottlenecks",),
    "energy": ("energy",),
    "methods": ("methods",),
}
"""Where a section's sentences are in the page's content, if not in what the section needs."""
_DRAWN_IN = {"front": "throughput", "spreads": "distribution", "energy_charts": "energy"}
"""Section that shows the charts of a name in the page's content, where it is called otherwise."""


def twin(data: ReportData, content: Mapping[str, Any]) -> Report:
    """Make the twin of a page.

    Parameters
    ----------
    data
        Results of a campaign, as the page was made from.
    content
        Of the page: `escalade.report.page.content_of(data)`.
    """
    return Report(
        schema_=SCHEMA,
        escalade=text(content["head"]["version"]),
        campaign=_head(data, content["head"]),
        partial=_partial(data),
        exploratory=data.exploratory,
        strip=[
            Strip(verdict=each.verdict, word=text(each.word), text=text(each.text))
            for each in content["head"]["strip"]
        ],
        grade=_grade(content),
        sections=[
            Section(
                anchor=section.anchor, name=section.name, sentences=_sentences(section, content)
            )
            for section in sections_of(content)
        ],
        concerns=[
            Concern(
                severity=each.severity,
                where=text(each.where),
                text=text(each.text),
                number=each.number or None,
                touches=[_touch(touched) for touched in each.touched],
            )
            for each in (*content["concerns"], *content["remarks"])
        ],
        verdicts=verdicts_of(data.verdicts),
        kpis=[_kpi(row) for row in data.kpis.to_dict("records")],
        figures=list(figures_of(content)),
        tables={name: _table(table) for name, table in _tables(content)},
        series=series_of(data),
        what_if=[_what_if(objective) for objective in content["limits"]],
        components=plain(data.components),
        comparison=plain(data.comparison),
        history=plain(data.history),
        provenance=plain(data.provenance),
        configuration=plain(data.campaign),
    )


def written(report: BaseModel) -> str:
    """Write a twin as JSON in one line, keys in order; NaN is refused, since JSON has none."""
    content = report.model_dump(mode="json", by_alias=True)
    told = json.dumps(
        content, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":")
    )
    return told + "\n"


def _head(data: ReportData, head: Mapping[str, Any]) -> Head:
    starts = [known(cell.cell.get("started_at")) for cell in data.cells]
    return Head(
        name=data.name,
        description=text(head["description"]),
        facts={text(name): text(value) for name, value in head["identity"]},
        measured_at=min((start for start in starts if math.isfinite(start)), default=None),
    )


def _partial(data: ReportData) -> Partial | None:
    state = data.partial
    if state is None:
        return None
    return Partial(planned=state.planned, measured=list(state.measured), left=dict(state.left))


def _grade(content: Mapping[str, Any]) -> Grade | None:
    if content["grade"] is None:
        return None
    letter, words = content["grade"]
    return Grade(
        grade=text(letter), words=text(words), cells=[text(line) for line in content["grade_lines"]]
    )


def _touch(touched: Touched) -> Touch:
    return Touch(
        cell=touched.cell,
        steps=list(touched.steps),
        metrics=list(touched.metrics),
        of=touched.of,
    )


def _sentences(section: Any, content: Mapping[str, Any]) -> list[str]:
    names = _SENTENCES.get(section.anchor, section.needs)
    return [sentence for name in names for sentence in _said(content[name]) if sentence]


def _said(value: Any) -> Iterator[str]:
    """Give the sentences in a part of the page's content, whatever holds them."""
    if isinstance(value, Markup):
        yield text(value.striptags())
    elif isinstance(value, str):
        yield text(value)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _said(each)
    elif isinstance(value, Findings):
        for told in value.fired:
            parts = (f"{told.title}.", told.measured, told.means, told.why, *told.next)
            yield " ".join(sentence for part in parts for sentence in _said(part))
    else:
        for name in ("text", "words", "sentences", "lead", "remarks"):
            yield from _said(getattr(value, name, ()))


def figures_of(content: Mapping[str, Any]) -> Iterator[Figure]:
    """Give the charts of a page by the sections that show them, with the tables behind them."""
    for name, value in content.items():
        for chart in _charts(value):
            yield Figure(
                key=chart.key,
                section=_DRAWN_IN.get(name, name),
                title=text(chart.title),
                caption=text(Markup(chart.caption).striptags()),  # noqa: S704 - taken apart here
                table=_table(chart.table),
            )


def _charts(value: Any) -> Iterator[Chart]:
    if isinstance(value, Chart):
        yield value
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for each in value:
            yield from _charts(each)
    else:
        yield from _charts(getattr(value, "charts", ()))


def _table(table: Printed) -> Table:
    return Table(
        columns=[text(name) for name in table.columns],
        rows=[[text(cell) for cell in row] for row in table.rows],
    )


def _tables(content: Any, place: str = "") -> Iterator[tuple[str, Printed]]:
    """Find all tables but those behind charts, each by its place in the content."""
    if isinstance(content, Printed):
        if content:
            yield place, content
    elif isinstance(content, Chart | str | float | int | None):
        return
    elif isinstance(content, Mapping):
        for name, value in content.items():
            yield from _tables(value, f"{place}/{name}" if place else str(name))
    elif isinstance(content, list | tuple):
        for number, value in enumerate(content, start=1):
            yield from _tables(value, f"{place}/{number}")
    elif is_dataclass(content):
        for each in fields(content):
            yield from _tables(getattr(content, each.name), f"{place}/{each.name}")


def _what_if(objective: Mapping[str, Any]) -> WhatIf:
    names = ("title", "limit", "unit", "factor", "at_least", "rate")
    return WhatIf(
        **{name: objective[name] for name in names},
        steps=[_explored(step) for step in objective["steps"]],
    )


def _explored(step: Mapping[str, Any]) -> Explored:
    named = {name: step.get(name) for name in Explored.model_fields}
    return Explored(**{**named, "members": step.get("members") or []})


def _kpi(row: Mapping[Any, Any]) -> Kpi:
    quality = text(row.get("quality")) or "ok"
    value = number(row.get("value"))
    return Kpi(
        cell=text(row.get("cell")),
        deployment=text(row.get("deployment")),
        repetition=whole(row.get("repetition")),
        step=whole(row.get("step")) or 0,
        target_qps=number(row.get("target_qps")),
        metric=text(row.get("metric")),
        stat=text(row.get("stat")),
        value=value,
        unit=text(row.get("unit")),
        ci_low=number(row.get("ci_low")),
        ci_high=number(row.get("ci_high")),
        ci_method=text(row.get("ci_method")),
        n=number(row.get("n")),
        n_eff=number(row.get("n_eff")),
        source=text(row.get("source")),
        quality=quality,
        missing=None if value is not None else _why(quality),
        no_interval=unbounded(row),
    )


def _why(quality: str) -> str:
    return "no reason was stored" if quality == "ok" else quality.removeprefix("missing: ")
