"""The table of targets in the report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from escalade.analysis.verdicts.targets import Target, target_table
from escalade.report.page import render
from escalade.report.sections.targets import targets_table

if TYPE_CHECKING:
    from escalade.report.data import ReportData

FAST = Target("fast <b>", "chat", "latency_seconds", "p90", 1.5, at_qps=0.5)
CARRIES = Target("carries", "", "capacity_qps", "value", 1.0, at_least=True)


def with_targets(data: ReportData, *targets: Target) -> ReportData:
    """Give the campaign with a table of targets."""
    rows: list[Any] = target_table(targets, data.cells, data.kpis, data.verdicts)
    return replace(data, verdicts={**data.verdicts, "targets": rows})


def test_a_line_says_what_was_promised_what_is_measured_and_whether_it_is_met(
    one: ReportData,
) -> None:
    (row,) = targets_table(with_targets(one, FAST)).rows

    assert row[:3] == ("fast <b>", "chat", "p90 of end-to-end latency")
    assert "at 0.5/s" in row[3]
    assert row[4].replace("\N{NO-BREAK SPACE}", " ") == "≤ 1.5 s"
    assert row[6].split()[1:] in (["met"], ["undecided"])
    assert "target at most 1.5 s" in row[7] or "needs n" in row[7]


def test_without_a_component_the_deployment_stands_there(one: ReportData) -> None:
    (row,) = targets_table(with_targets(one, CARRIES)).rows

    assert row[1] == "smollm2"
    assert row[6] == "✓ met"


def test_the_page_has_the_table_where_there_are_targets_and_escapes_names(
    one: ReportData, page: str
) -> None:
    shown = render(with_targets(one, FAST))

    assert "Performance targets" in shown
    assert "fast &lt;b&gt;" in shown
    assert "Performance targets" not in page
