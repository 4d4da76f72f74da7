"""Warnings and the figures that they touch: numbers, marks, links both ways."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from escalade.report.marks import Marks, Touched
from escalade.report.page import environment, render
from escalade.report.sections.concerns import NOTE, WARNING, concerns, marks_of, notes_of
from escalade.report.sections.margins import margins
from unit.report import campaign

if TYPE_CHECKING:
    from escalade.report.data import ReportData

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
    assert 'href="#warning-1"' not in sound[0]


def test_the_summary_carries_the_mark_of_the_step_that_it_judges(robbed_page: str) -> None:
    story = re.search(r'<ul class="story">.*?</ul>', robbed_page, re.DOTALL)

    assert story
    assert 'href="#warning-1"' in story[0]


def test_all_that_touch_figures_have_a_number_without_gap_and_warnings_come_first() -> None:
    cells = [campaign.simulated_cell(rates=RATES, away=2)]
    found = concerns(campaign.analysed(cells, campaign.configuration(("smollm2",), 1, RATES)))

    numbered = [each for each in found if each.touched]
    assert [each.number for each in numbered] == list(range(1, len(numbered) + 1))
    assert {each.severity for each in numbered} == {WARNING, NOTE}
    first_note = min(notes_of(found))
    assert all(each.number < first_note for each in numbered if each.severity != NOTE)


def test_a_mark_on_one_statistic_leaves_the_others_of_its_metric_alone() -> None:
    p99 = ("latency_seconds", "p99", "")
    marks = Marks([(1, Touched("a", (2,), ("latency_seconds",), (p99,)))], notes=(1,))

    assert marks.of_metric("a", 2, *p99) == (1,)
    assert marks.of_metric("a", 2, "latency_seconds", "p90", "") == ()
    assert marks.of_result("a", 2, "latency_seconds", "p90") == ()
    assert marks.of_result("a", 2, "latency_seconds", "p99") == (1,)


def test_a_note_on_verdicts_marks_these_and_no_figure() -> None:
    marks = Marks([(4, Touched("a", (1, 2), of="verdicts"))], notes=(4,))

    assert (marks.of_step("a", 2), marks.of_steps(["a"])) == ((), ())
    assert marks.of_result("a", 2, "error_ratio", "value") == (4,)
    joint = {"cell": None, "step": 1, "metric": "error_ratio", "stat": "value"}
    assert marks.of_verdict(joint, ["b", "a"]) == (4,)
    assert marks.of_verdict(joint, ["b"]) == ()
    assert marks.of_verdict({**joint, "cell": "b"}, ["b", "a"]) == ()


@pytest.fixture(scope="module")
def marked_page() -> tuple[ReportData, str]:
    """Give a campaign with a scrape gap, one robbed step and a bound that was exceeded, and its page."""
    cells = [campaign.simulated_cell(rates=RATES, away=2, robbed=1)]
    data = campaign.analysed(cells, campaign.configuration(("smollm2",), 1, RATES))
    bound = {"cell": cells[0].name, "deployment": "smollm2", "step": 2, "name": "memory_bandwidth"}
    bound |= {"kind": "roofline", "value": 1.0, "attained": 2.0, "ratio": 2.0, "exceeded": True}
    bound |= {"unit": "tokens/s", "words": "2 tokens/s of 1 attained", "inputs": []}
    data = replace(data, verdicts={**data.verdicts, "bounds": [bound]})
    return data, render(data)


def test_every_entry_that_touches_figures_links_to_them_and_they_link_back(
    marked_page: tuple[ReportData, str],
) -> None:
    data, page = marked_page
    found = [each for each in concerns(data) if each.touched]
    assert {of.of for each in found for of in each.touched} == {"figures", "verdicts", "bounds"}
    assert any("percentiles in the table would need more requests" in each.text for each in found)

    for each in found:
        entry = re.search(rf'<li id="warning-{each.number}">.*?</li>', page, re.DOTALL)
        assert entry, each.text
        places = re.findall(r'<a href="#((?:cell-|verdicts|bounds)[^"]*)">', entry[0])
        assert places, each.text
        assert all(f'id="{place}"' in page for place in places)
        elsewhere = page.replace(entry[0], "")
        assert f'href="#warning-{each.number}"' in elsewhere, each.text


def test_entries_that_touch_nothing_have_no_number(marked_page: tuple[ReportData, str]) -> None:
    data, _ = marked_page
    other = replace(data, stale=["old_rep-1"], problems=("components.json can't be read",))

    told = [each for each in concerns(other) if not each.touched]
    assert len(told) == 2
    assert [each.number for each in told] == [0, 0]


def test_many_marks_at_one_figure_are_cut_short() -> None:
    notes = tuple((number, Touched("a", (1,))) for number in range(1, 10))
    page = environment().from_string(
        '{% from "parts.html.j2" import warned with context %}{{ warned(numbers) }}'
    )

    told = page.render(numbers=Marks(notes).of_step("a", 1), noted=frozenset({2}))

    assert re.findall(r">([!i+]\d)</a>", told) == ["!1", "i2", "!3", "!4", "!5", "!6", "+3"]
    assert 'aria-label="note 2"' in told


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
