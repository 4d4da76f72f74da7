"""How the report tells a search: its sentences, and trials by rate and in order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from escalade.report import page
from escalade.report.sections import story
from escalade.report.sections.search import sentences, trials_table
from unit.report import campaign

if TYPE_CHECKING:
    from escalade.report.data import ReportData

RATES = (1.0, 4.0, 2.0, 2.5, 2.5)
"""In the order of the trials."""
KINDS = ("climb", "climb", "bisect", "bisect", "confirm")
HELD = (True, False, True, True, None)


def search(**result: Any) -> dict[str, Any]:
    trials = [
        {
            "step": step,
            "kind": kind,
            "target_qps": rate,
            "window_seconds": 40.0,
            "seconds": 45.0,
            "judged": "PASS" if held else "INCONCLUSIVE" if held is None else "FAIL",
            "holds": held,
            "reason": f"answer-in-time: trial {step}",
        }
        for step, (rate, kind, held) in enumerate(zip(RATES, KINDS, HELD, strict=True), start=1)
    ]
    found = {
        "end": "found",
        "held_qps": 2.5,
        "missed_qps": 4.0,
        "confirmed": "INCONCLUSIVE",
        "reason": "the budget was used up",
    }
    return {
        "slos": ["answer-in-time"],
        "settings": {"budget_seconds": 1800.0, "budget_trials": 24},
        "trials": trials,
        "used": {"seconds": 225.0, "trials": 5},
        "result": found | result,
    }


def report(**result: Any) -> ReportData:
    cell = replace(campaign.simulated_cell(rates=RATES), search=search(**result))
    slos = tuple(replace(slo, at_qps=None) for slo in campaign.SLOS)
    configuration = campaign.configuration(("smollm2",), 1, RATES)
    return campaign.analysed([cell], {**configuration, "slos": [vars(slo) for slo in slos]})


def told(**result: Any) -> list[str]:
    (cell,) = report(**result).facts
    return [text.replace("\N{NO-BREAK SPACE}", " ") for text in sentences(cell, several=False)]


def test_the_text_says_what_was_found_how_and_for_what() -> None:
    assert told() == [
        (
            "The search for answer-in-time ended with 2.5 requests/s held, and 4 requests/s missed it; "
            "the confirmation at 2.5 requests/s was INCONCLUSIVE. It ended because the budget was used up."
        ),
        (
            "It took 5 trials and 3.8 min of load, of the 24 trials and 30.0 min that it was given; "
            "the table under the figures has them in order."
        ),
    ]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (
            {"missed_qps": None, "confirmed": "PASS"},
            (
                "2.5 requests/s held, and at no rate that was tried it was missed; the confirmation at "
                "2.5 requests/s was PASS."
            ),
        ),
        (
            {"held_qps": None, "confirmed": None, "missed_qps": 1.0, "reason": "too slow"},
            "found no rate at which answer-in-time held, the lowest tried being 1 requests/s: too slow.",
        ),
        (
            {"held_qps": None, "confirmed": None, "missed_qps": None, "reason": "client_cpu"},
            "found no rate at which answer-in-time held: client_cpu.",
        ),
        ({"confirmed": None}, "2.5 requests/s was not confirmed by a longer trial"),
    ],
)
def test_no_sentence_claims_more_than_was_seen(result: dict[str, Any], said: str) -> None:
    assert said in told(**result)[0]


def test_a_ladder_has_no_such_sentence() -> None:
    (cell,) = campaign.report_data().facts

    assert sentences(cell, several=False) == []
    assert trials_table(cell).rows == ()


def test_figures_are_by_rate_and_the_table_is_in_order() -> None:
    (cell,) = report().facts

    assert [step.place for step in cell.steps] == [1.0, 2.0, 2.5, 2.5, 4.0]
    assert [step.number for step in cell.steps] == [1, 3, 4, 5, 2]
    assert [row[0] for row in trials_table(cell).rows] == ["1", "2", "3", "4", "5"]
    assert trials_table(cell).rows[1][1:7] == ("climb", "4", "40", "45", "FAIL", "missed")


def test_the_page_shows_both() -> None:
    data = report()
    html = page.render(data)

    assert "Trials of the search, in order" in html
    assert any("The search for" in statement.text for statement in story.summary(data))


def test_a_cell_that_failed_in_the_middle_says_so() -> None:
    cell = replace(campaign.simulated_cell(rates=RATES), search={**search(), "result": None})
    (facts,) = campaign.analysed([cell], campaign.configuration(("smollm2",), 1, RATES)).facts

    assert "did not come to its end" in sentences(facts, several=False)[0]
