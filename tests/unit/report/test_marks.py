"""Warnings and the figures that they touch: numbers, marks, links both ways."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from escalade.report.marks import Marks, Touched
from escalade.report.page import render, verdict_strip
from escalade.report.sections.concerns import NOTE, concerns, marks_of
from escalade.report.sections.margins import margins
from unit.report import campaign

RATES = (1.0, 2.0)


def test_a_mark_reaches_what_its_warning_is_about_and_nothing_else() -> None:
    marks = Marks(
        [
            (1, Touched("a", (2,))),
            (2, Touched("a", (1, 2), ("latency_seconds",))),
            (3, Touched("b", (0,))),
        ]
    )

    assert (marks.of_step("a", 2), marks.of_step("a", 1)) == ((1,), ())
    assert marks.of_metric("a", 1, "latency_seconds") == (2,)
    assert marks.of_metric("a", 1, "error_ratio") == ()
    assert marks.of_result("a", 2, "latency_seconds") == (1, 2)
    assert (marks.of_cell("b"), marks.of_cell("a")) == ((3,), ())
    assert marks.of_steps(["a", "b"]) == (1, 3)


@pytest.fixture(scope="module")
def robbed_page() -> str:
    cell = campaign.simulated_cell(rates=RATES, robbed=2)
    data = campaign.analysed([cell], campaign.configuration(("smollm2",), 1, RATES))
    return render(data)


def test_a_warning_links_to_its_step_and_the_step_links_back(robbed_page: str) -> None:
    warning = re.search(r'<li id="warning-1">.*?</li>', robbed_page, re.DOTALL)
    head = re.search(r'<th scope="col" id="cell-1-step-2">.*?</th>', robbed_page)

    assert warning
    assert 'href="#cell-1-step-2"' in warning[0]
    assert head
    assert 'href="#warning-1"' in head[0]
    sound = re.search(r'<th scope="col" id="cell-1-step-1">.*?</th>', robbed_page)
    assert sound
    assert "warning" not in sound[0]


def test_the_summary_carries_the_mark_of_the_step_that_it_judges(robbed_page: str) -> None:
    story = re.search(r'<ul class="story">.*?</ul>', robbed_page, re.DOTALL)

    assert story
    assert 'href="#warning-1"' in story[0]


def test_notes_have_no_number_and_numbers_have_no_gap() -> None:
    cells = [campaign.simulated_cell(rates=RATES, away=2)]
    found = concerns(campaign.analysed(cells, campaign.configuration(("smollm2",), 1, RATES)))

    numbers = [each.number for each in found if each.number]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 1
    assert not any(each.number for each in found if each.severity == NOTE)


def test_figures_that_a_warning_names_carry_its_number() -> None:
    data = campaign.analysed(
        [campaign.simulated_cell(rates=RATES)], campaign.configuration(("smollm2",), 1, RATES)
    )
    kpis = data.kpis.copy()
    there = (kpis["metric"] == "throughput_qps") & (kpis["step"] == 2)
    kpis.loc[there, "quality"] = "missing: nobody counted"
    kpis.loc[there, "value"] = float("nan")
    found = concerns(replace(data, kpis=kpis))

    (warning,) = [each for each in found if "nobody counted" in each.text]
    marks = marks_of(found)
    assert marks.of_metric(data.facts[0].name, 2, "throughput_qps") == (warning.number,)
    row = re.search(
        r'<tr class="first" id="cell-1-throughput_qps">.*?</tr>',
        render(replace(data, kpis=kpis)),
        re.DOTALL,
    )
    assert row
    assert f'href="#warning-{warning.number}"' in row[0]


def test_a_margin_is_told_in_the_unit_and_in_per_cent_by_value_and_by_worse_end() -> None:
    data = campaign.report_data(rates=RATES)
    row = {**data.slos[0], "value": 0.9, "ci_low": 0.8, "ci_high": 1.2, "verdict": "PASS"}
    row |= {"margin": 0.6, "margin_ratio": 0.4, "margin_worse": 0.3, "margin_worse_ratio": 0.2}
    row |= {"counts": True, "target_qps": 2.0, "step": 2, "n": 80}

    (line,) = margins(replace(data, verdicts={"slos": [row]}), Marks())

    told = [
        text.replace("\N{NO-BREAK SPACE}", " ") for text in (line.margin, line.worse, line.value)
    ]
    assert told == ["0.6 s (40 %)", "0.3 s (20 %)", "0.90 s"]
    assert (line.interval, line.n) == ("[0.80, 1.20]", "80")
    assert line.where == "smollm2, this run only"


def test_the_strip_begins_with_red_then_green_and_ends_with_the_grade() -> None:
    data = campaign.report_data(rates=RATES)
    row = {**data.slos[0], "counts": True}
    slos = [{**row, "verdict": verdict} for verdict in ("INCONCLUSIVE", "PASS", "FAIL")]
    strip = verdict_strip(replace(data, verdicts={**data.verdicts, "slos": slos}))

    assert [each.verdict for each in strip[:3]] == ["FAIL", "PASS", "INCONCLUSIVE"]
    assert strip[-1].word.startswith("Data quality")
