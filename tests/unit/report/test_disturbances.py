"""Stressors and kills in the report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from escalade.report.page import render
from escalade.report.sections.contention import contention_table
from escalade.report.sections.recovery import recovery_table
from escalade.report.words import NOTHING

if TYPE_CHECKING:
    from escalade.report.data import ReportData

CONTENTION: dict[str, Any] = {
    "deployment": "beside <i>",
    "against": "alone",
    "stressor": "1 worker on CPU",
    "step": 1,
    "target_qps": 2.0,
    "difference_seconds": 0.015,
    "ci_low": 0.013,
    "ci_high": 0.017,
    "p90_without": 0.2,
    "p90_beside": 0.22,
    "status": "slower",
    "words": "+15 ms per request",
}
RECOVERY: dict[str, Any] = {
    "deployment": "truth",
    "cell": None,
    "step": 1,
    "killed_seconds": 10.0,
    "restarted_seconds": 2.0,
    "detect_seconds": 0.01,
    "first_answer_seconds": None,
    "recover_seconds": None,
    "lost": 20,
    "status": "stays dead",
    "words": "20 of 20 lost",
}


def test_both_have_a_table_where_there_is_something_to_say(one: ReportData, page: str) -> None:
    verdicts = {**one.verdicts, "contention": [CONTENTION], "recovery": [RECOVERY]}

    shown = render(replace(one, verdicts=verdicts))

    assert "Beside a stressor" in shown
    assert "beside &lt;i&gt;" in shown
    assert "After the service was killed" in shown
    assert 'id="contention"' not in page
    assert 'id="recovery"' not in page


def test_what_never_came_is_a_dash(one: ReportData) -> None:
    (row,) = recovery_table(replace(one, verdicts={"recovery": [RECOVERY]})).rows

    assert row[1] == "all repetitions"
    assert (row[6], row[7], row[8]) == (NOTHING, NOTHING, "20")


def test_the_difference_stands_with_its_interval(one: ReportData) -> None:
    (row,) = contention_table(replace(one, verdicts={"contention": [CONTENTION]})).rows

    assert "[" in row[7]
    assert row[8] == "slower"
