"""Stability in the report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from escalade.analysis.scenarios.stability import Stability, stability_rows
from escalade.report.page import render
from escalade.report.sections.stability import stability_table

if TYPE_CHECKING:
    from escalade.report.data import ReportData


def test_short_windows_are_undecided_and_say_so(one: ReportData, page: str) -> None:
    rows = stability_rows(Stability(3600.0, 0.01, 0.05), one.cells, one.gates)
    shown = replace(one, verdicts={**one.verdicts, "stability": rows})

    table = stability_table(shown).rows
    assert {row[5] for row in table} == {"? undecided"}
    assert len(table) == 2 * len(one.cells[0].steps)
    assert "says nothing about hours" in render(shown)
    assert 'id="stability"' not in page


def test_what_grows_is_named_for_what_it_is(one: ReportData) -> None:
    row = {
        "cell": "c",
        "step": 1,
        "quantity": "service_memory_bytes",
        "unit": "bytes",
        "level": 2.0**30,
        "slope_per_hour": 2.0**26,
        "ci_low": 2.0**25,
        "ci_high": 2.0**27,
        "status": "grows",
        "words": "it leaks",
    }
    (shown,) = stability_table(replace(one, verdicts={**one.verdicts, "stability": [row]})).rows

    assert shown[5] == "✗ leaks"
    assert shown[4].endswith("per hour")
