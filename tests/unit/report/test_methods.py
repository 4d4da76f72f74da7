"""The methods on the page: rows of the catalogue, of the metrics that the page shows and no others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from escalade.analysis.kpis.catalogue import BY_NAME
from escalade.analysis.kpis.clock_points import clock_points
from escalade.report.sections.methods import formulas

if TYPE_CHECKING:
    from escalade.report.data import ReportData


def test_each_metric_of_the_page_has_its_formula_clock_points_and_interval(one: ReportData) -> None:
    table = formulas(one)

    named = [re.search(r"\((\w+)\)$", row[0]) for row in table.rows]
    names = [found[1] for found in named if found]
    assert set(names) == set(one.kpis["metric"]) & set(BY_NAME)
    row = table.rows[names.index("latency_seconds")]
    metric = BY_NAME["latency_seconds"]
    assert row[2:5] == (metric.formula, clock_points(metric), metric.interval)
    assert row[3] == "planned_at → ended_at, planned_at in [start, end)"


def test_they_are_folded_and_nothing_leads_out_of_the_page(page: str) -> None:
    section = page[page.index('<section id="methods"') :]
    section = section[: section.index("</section>")]

    assert "<details><summary>How each of the " in section
    assert "href=" not in section
