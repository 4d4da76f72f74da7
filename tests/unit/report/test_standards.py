"""The standards in the report: what falls short stands first, and opens the list."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from escalade.analysis.scenarios.standards import Standards, standard_rows
from escalade.report.page import render
from escalade.report.sections.standards import standards_view

if TYPE_CHECKING:
    from escalade.report.data import ReportData


def held_to(data: ReportData, least: int) -> ReportData:
    rows = standard_rows(Standards(least, 5.0), data.cells, data.kpis, ())
    return replace(data, verdicts={**data.verdicts, "standards": rows})


def test_what_falls_short_is_counted_and_stands_first(one: ReportData) -> None:
    view = standards_view(held_to(one, 1000))

    # five steps of 20 to 160 requests, all short of 1,000; warm-ups and the system are fine
    assert view["said"].startswith("Standards: 5 of 11 checks fall short")
    assert [row[3] for row in view["table"].rows] == ["short"] * 5 + ["kept"] * 6


def test_what_is_kept_is_one_folded_line(one: ReportData, page: str) -> None:
    shown = render(held_to(one, 10))

    assert "Standards: all 11 checks are kept." in shown
    assert 'id="standards" open' not in shown
    assert 'id="standards"' not in page
