"""The grade stands in the header, and the reasons where data quality is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from escalade.report.page import render
from escalade.report.sections.grading import grade, grade_lines
from escalade.report.sections.strip import verdict_strip

if TYPE_CHECKING:
    from escalade.report.data import ReportData


def graded(data: ReportData, quality: dict[str, Any] | None) -> ReportData:
    return replace(data, verdicts={**data.verdicts, "quality": quality})


QUALITY = {
    "grade": "C",
    "words": "some figures are to be read with care",
    "steps": {"A": 4, "B": 0, "C": 1, "D": 1},
    "cells": [
        {
            "cell": "small_rep-1",
            "grade": "C",
            "steps": {"A": 4, "B": 0, "C": 1, "D": 1},
            "words": "some figures are to be read with care",
            "why": [
                {"gate": "client_cpu", "grade": "D", "steps": [6]},
                {"gate": "steal", "grade": "C", "steps": [5]},
                {"gate": "drained", "grade": "C", "steps": [6]},
                {"gate": "neighbours", "grade": "B", "steps": [6]},
            ],
        }
    ],
}


def test_the_strip_and_the_section_say_grade_and_reasons(one: ReportData) -> None:
    data = graded(one, QUALITY)

    (field,) = [item for item in verdict_strip(data) if "Data quality" in item.word]
    assert (field.word, field.text) == ("Data quality C", "some figures are to be read with care")
    assert grade_lines(data) == [
        (
            "small_rep-1: C (6\N{NO-BREAK SPACE}steps: 4 × A, 1 × C, 1 × D); step 6 can't be used: "
            "client cpu; step 5 to be read with care: steal; step 6 to be read with care: drained; "
            "1\N{NO-BREAK SPACE}more gate."
        )
    ]
    assert "Grade C: some figures are to be read with care" in render(data)


@pytest.mark.parametrize("quality", [None, {}, {"grade": None, "words": "", "cells": []}])
def test_results_without_a_grade_show_none(one: ReportData, quality: dict[str, Any] | None) -> None:
    data = graded(one, quality)

    assert grade(data) is None
    assert grade_lines(data) == []
    assert "Data quality" not in [item.word for item in verdict_strip(data)]


def test_a_campaign_as_judged_has_a_grade_for_every_cell(one: ReportData) -> None:
    found = one.verdicts["quality"]

    assert found["grade"] in "ABCD"
    assert [cell["cell"] for cell in found["cells"]] == [cell.name for cell in one.facts]
