"""The report as one HTML page that needs nothing else: no network, and no script to be read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from importlib import resources
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup

from escalade.report import words
from escalade.report.charts.distribution import distribution_charts
from escalade.report.charts.energy import energy_charts
from escalade.report.charts.front import front_charts
from escalade.report.charts.heat import heat_charts
from escalade.report.charts.interactivity import interactivity_charts
from escalade.report.charts.latency import latency_charts
from escalade.report.charts.profile import profile_charts, profile_notes
from escalade.report.charts.throughput import throughput_charts
from escalade.report.charts.timelines import timeline_charts
from escalade.report.contents import sections_of
from escalade.report.embedded import embed
from escalade.report.facts import VALID
from escalade.report.sections.bottleneck import bottleneck_groups
from escalade.report.sections.bounds import bounds_shown
from escalade.report.sections.caches import caches_table
from escalade.report.sections.comparison import comparison_section, since_baseline
from escalade.report.sections.components import parts
from escalade.report.sections.concerns import NOTE, concerns, marks_of, notes_of
from escalade.report.sections.contention import contention_table
from escalade.report.sections.cost import FORMULA, HOURS, cost_view
from escalade.report.sections.cuts import cuts, is_drawn
from escalade.report.sections.downloads import downloads
from escalade.report.sections.energy import energy_view
from escalade.report.sections.findings import findings_on_page
from escalade.report.sections.grading import grade, grade_lines
from escalade.report.sections.headroom import headroom_groups
from escalade.report.sections.identity import identity
from escalade.report.sections.limits import limits
from escalade.report.sections.margins import margins
from escalade.report.sections.methods import formulas
from escalade.report.sections.objectives import slo_table
from escalade.report.sections.origin import origin
from escalade.report.sections.pairs import pairs_section
from escalade.report.sections.partial import partial_words
from escalade.report.sections.recovery import recovery_table
from escalade.report.sections.search import trials_table
from escalade.report.sections.stability import stability_table
from escalade.report.sections.standards import standards_view
from escalade.report.sections.story import summary
from escalade.report.sections.strip import verdict_strip
from escalade.report.sections.targets import targets_table
from escalade.report.sections.trends import trends_section
from escalade.report.tables import (
    absent_figures,
    capacity_table,
    gate_table,
    kpi_tables,
    whole_cell_table,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.charts.drawing import Chart
    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts
    from escalade.report.marks import Marks, Touched
    from escalade.report.sections.concerns import Concern

SYMBOLS = {"PASS": "✓", "FAIL": "✗", "INCONCLUSIVE": "?", "INVALID": "⊘", "NOT_RUN": "–"}
"""A sign beside each verdict: colour alone tells nothing to one reader in twelve."""

_SHOWN_CONCERNS, _SHOWN_LINKS = 8, 12
_OPEN_CELLS = 2

_METHODS = (
    "A window is half-open, on planned send times. Warm-up is apart and never counted. What was planned inside the window and did not come back until the drain ended is an error.",
    "Throughput counts completions inside the window, whenever they were planned; goodput those within the objective.",
    "Intervals are 95 % and describe this run's requests. A percentile below its sample floor is not printed (p90 needs 36 requests, p99 368).",
    "PASS and FAIL need the interval on one side of the limit and every gate passed. INCONCLUSIVE says what would decide. INVALID names the gate that failed.",
    "A step whose queue grows without end is over-saturated: its latency depends on how long one waits to measure it, so it has no percentile.",
    "Missing is not zero: what was not measured is a dash with its reason, and a gap in a line.",
)


@dataclass(frozen=True)
class Head:
    """Column of a table of estimates: the rate, and what is to be known of the step."""

    text: str
    remarks: tuple[str, ...] = ()
    anchor: str = ""
    warnings: tuple[int, ...] = ()


@dataclass(frozen=True)
class Group:
    """Charts of one cell."""

    title: str
    charts: tuple[Chart, ...]
    open: bool


def render(data: ReportData) -> str:
    """Make the report.

    Parameters
    ----------
    data
        Results of a campaign; cells may have failed, tables may be empty, and
        what is missing is named on the page.

    Returns
    -------
    str
        One HTML document without external references. The same data gives the
        same text: neither clock nor chance has a part in it.
    """
    return page_of(content_of(data))


def page_of(content: Mapping[str, Any]) -> str:
    """Make the page of its content."""
    page = environment().get_template("page.html.j2")
    return page.render(sections=sections_of(content), embedded=embed(content), **content)


def environment() -> jinja2.Environment:
    """Give what the templates are rendered with."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("escalade.report", package_path=""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _finalized(value: Any) -> Any:
    """Let no control character into the page, whatever way it came."""
    plain = isinstance(value, str) and not isinstance(value, Markup)
    return words.without_control(value) if plain else value


def style() -> Markup:
    """Give the style of the page."""
    text = resources.files("escalade.report").joinpath("page.css").read_text("utf-8")
    return Markup(text)  # noqa: S704 - a file of this package


def content_of(data: ReportData) -> dict[str, Any]:
    """Gather what the page and its twin show, charts included."""
    found = concerns(data)
    marks = marks_of(found)
    kpis = [_kpis(cell, data, marks) for cell in data.facts]
    return {
        "style": style(),
        "symbols": SYMBOLS,
        "pairs": pairs_section(data),
        "energy": energy_view(data),
        "energy_charts": energy_charts(data),
        "cost": cost_view(data),
        "cost_hours": HOURS,
        "cost_formula": FORMULA,
        "headroom": headroom_groups(data),
        "methods": (data.axis.method, *_METHODS),
        "formulas": formulas(data),
        "by": data.axis,
        "head": {
            "name": data.name,
            "description": words.clean(data.campaign.get("description") or ""),
            "identity": identity(data),
            "strip": verdict_strip(data),
            "version": _version(data),
            "partial": partial_words(data),
        },
        "grade": grade(data),
        "grade_lines": grade_lines(data),
        "concerns": [c for c in found if c.severity != NOTE or not c.anchor],
        "links": {c.number: _links(c, kpis, data) for c in found if c.number},
        "remarks": [c for c in found if c.severity == NOTE and c.anchor],
        "noted": notes_of(found),
        "shown_concerns": _SHOWN_CONCERNS,
        "shown_links": _SHOWN_LINKS,
        "statements": [*summary(data, marks), *since_baseline(data)],
        "margins": margins(data, marks),
        "slos": _slos(data, marks),
        "comparison": comparison_section(data),
        "trends": trends_section(data),
        "caches": caches_table(data),
        "limits": limits(data),
        "stability": stability_table(data),
        "contention": contention_table(data),
        "recovery": recovery_table(data),
        "standards": standards_view(data),
        "targets": targets_table(data),
        "marks": {step.state for cell in data.facts for step in cell.steps}
        | ({"capacity"} if data.axis.open else set()),
        "latency": _by_view(latency_charts(data)),
        "front": front_charts(data),
        "throughput": throughput_charts(data),
        "interactivity": interactivity_charts(data),
        "findings": findings_on_page(data),
        "bottlenecks": bottleneck_groups(data),
        "bounds": bounds_shown(data, marks),
        "spreads": _by_cell(data, [*distribution_charts(data), *heat_charts(data)]),
        "timelines": _by_cell(data, [*timeline_charts(data), *profile_charts(data)]),
        "profile_notes": profile_notes(data),
        "kpis": kpis,
        "capacity": capacity_table(data, marks),
        "gates": gate_table(data),
        "parts": parts(data.components),
        "gate_counts": _gate_counts(data),
        "ran": origin(data),
        "downloads": downloads(data),
        "cuts": cuts(data),
    }


def _slos(data: ReportData, marks: Marks) -> dict[str, Any]:
    table = slo_table(data, marks)
    if not table.rows:
        return {}
    framed = any(row.get("counts") for row in data.slos)
    remark = "Value with 95 % interval and number of requests. "
    remark += (
        "Framed verdicts count for the outcome of the campaign."
        if framed
        else "None of them counts for the outcome of the campaign: no objective names its rate."
    )
    many = len(data.facts) > _OPEN_CELLS
    return {
        "table": table,
        "heads": [Head(text) for text in table.columns],
        "remark": remark,
        "folded": f"Each of {len(data.facts)} cells at each step" if many else "",
    }


def _kpis(cell: CellFacts, data: ReportData, marks: Marks) -> dict[str, Any]:
    results, instrument = kpi_tables(cell, data, marks)
    remarks = [
        (f"step {step.number}", *([step.state] if step.state != VALID else []))
        for step in cell.steps
    ]
    return {
        "anchor": cell.anchor,
        "name": cell.name,
        "open": cell.number <= _OPEN_CELLS,
        "results": results,
        "instrument": instrument if is_drawn(cell) else replace(instrument, rows=()),
        "cut": not is_drawn(cell) and bool(instrument.rows),
        "absent": absent_figures(cell, data, marks),
        "whole": whole_cell_table(cell, data, marks),
        "trials": trials_table(cell),
        "heads": [
            Head(
                text,
                told,
                f"{cell.anchor}-step-{step.number}",
                marks.of_step(cell.name, step.number),
            )
            for text, told, step in zip(results.columns, remarks, cell.steps, strict=True)
        ],
        "plain_heads": [Head(*both) for both in zip(results.columns, remarks, strict=True)],
        "warnings": marks.of_cell(cell.name),
        "why": words.sentence(cell.cause or "the KPI table has no row of this cell"),
    }


def _links(
    concern: Concern, kpis: Sequence[Mapping[str, Any]], data: ReportData
) -> list[tuple[str, str]]:
    """Give the places of the page where the figures stand that a warning or note touches: anchor and name."""
    found: dict[str, str] = {}
    several = len({touched.cell for touched in concern.touched}) > 1
    for touched in concern.touched:
        if touched.of == "bounds":
            found["bounds"] = "upper bounds"
        elif touched.of == "verdicts":
            found["verdicts"] = "verdicts"
        elif cell := next((each for each in data.facts if each.name == touched.cell), None):
            shown = next(each for each in kpis if each["anchor"] == cell.anchor)
            places = _places(touched, cell, shown)
            found |= {a: f"{name}, {cell.name}" if several else name for a, name in places}
    return list(found.items())


def _places(touched: Touched, cell: CellFacts, shown: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = {row.anchor for table in ("results", "instrument") for row in shown[table].rows}
    found = [
        (anchor, words.title(metric))
        for metric in touched.metrics
        if (anchor := f"{cell.anchor}-{metric}") in rows
    ]
    if not touched.metrics and shown["results"].rows:
        found = [
            (f"{cell.anchor}-step-{number}", f"step {number}") for number in touched.steps if number
        ]
    return found or [(cell.anchor, f"figures of {cell.name}")]


def _by_cell(data: ReportData, charts: Sequence[Chart]) -> list[Group]:
    """Gather charts by the cell that their key ends with."""
    groups: list[Group] = []
    for cell in data.facts:
        mine = tuple(c for c in charts if c.key.rpartition("-")[2] == str(cell.number))
        if mine:
            groups.append(Group(cell.name, mine, open=len(groups) < _OPEN_CELLS))
    return groups


def _by_view(charts: Sequence[Chart]) -> list[tuple[str, list[Chart]]]:
    """Gather charts by the view that shows them, views in the order of their first chart."""
    found: dict[str, list[Chart]] = {}
    for chart in charts:
        found.setdefault(chart.view, []).append(chart)
    return list(found.items())


def _gate_counts(data: ReportData) -> str:
    outcomes = Counter(words.clean(row.get("outcome")) for row in data.gates)
    order = ("fail", "unknown", "pass")
    found = [f"{outcomes[outcome]} {outcome}" for outcome in order if outcomes[outcome]]
    return ", ".join(found) or "none"


def _version(data: ReportData) -> str:
    versions = data.provenance.get("software")
    return words.clean(versions.get("escalade") or "") if isinstance(versions, dict) else ""
