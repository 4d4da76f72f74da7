"""How the report tells a paired campaign, and what measuring costs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from escalade.analysis.scenarios.pairs import Question
from escalade.report.page import render
from escalade.report.sections.concerns import NOTE, concerns
from escalade.report.sections.pairs import PairsSection, pairs_section
from escalade.report.words import NO_BREAK
from unit.analysis.paired import P90, RATE, compared, gate, times
from unit.report import campaign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.report.data import ReportData

BOTH = Question("old", "new", (P90, RATE), step=1)


@pytest.fixture(scope="module")
def plain() -> ReportData:
    return campaign.report_data(rates=(1.0,))


def told(plain: ReportData, **section: Any) -> PairsSection:
    found = pairs_section(replace(plain, verdicts={**plain.verdicts, "pairs": compared(**section)}))
    assert found is not None
    return found


def around(change: float) -> dict[str, list[float]]:
    """Give eight ratios around a change, half a percent apart."""
    return times(*[1 + change + 0.005 * (place - 3.5) / 3.5 for place in range(8)])


def cost(plain: ReportData, latency: float, rate: float) -> Sequence[str]:
    """Give the sentences of an overhead campaign: `new` is monitored, and nothing else differs."""
    section = compared({P90: around(latency), RATE: around(rate)}, BOTH)
    section["monitoring"] = {"on": "new", "off": "old"}
    found = pairs_section(replace(plain, verdicts={"pairs": section}))
    assert found is not None
    return [sentence.replace(NO_BREAK, " ") for sentence in found.sentences]


def test_a_report_without_pairs_has_no_such_section(plain: ReportData) -> None:
    assert pairs_section(plain) is None
    assert 'id="pairs"' not in render(plain)


def test_the_page_shows_the_section_and_leads_to_it(plain: ReportData) -> None:
    section = compared({P90: times(*[1.2 + 0.01 * place for place in range(8)])})
    page = render(replace(plain, verdicts={**plain.verdicts, "pairs": section}))
    page = page.replace(NO_BREAK, " ")

    assert '<a href="#pairs">' in page
    assert '<section id="pairs"' in page
    assert "New: p90 end-to-end latency at 10 requests/s: worse: +23.5 %, 95 % [" in page
    assert "in the order ABBA BAAB ABBA BAAB (A: old, B: new)" in page


def test_what_monitoring_costs_is_said_in_plain_words(plain: ReportData) -> None:
    latency, rate = cost(plain, 0.02, -0.02)

    # a rate that is 2 % lower costs as a latency that is 2 % higher
    assert latency.startswith(
        "Monitoring costs +2 %, 95 % [+1.64 %, +2.36 %], over 8 pairs in p90 end-to-end"
    )
    assert rate.startswith(
        "Monitoring costs +2 %, 95 % [+1.64 %, +2.36 %], over 8 pairs in throughput"
    )
    assert latency.endswith("less than the margin of 5 %.")
    assert cost(plain, 0.2, 0)[0].endswith("more than the margin of 5 %.")


def test_no_cost_says_which_cost_would_have_been_seen(plain: ReportData) -> None:
    latency, _ = cost(plain, 0.0, 0.0)

    assert latency.startswith(
        "No cost of monitoring shown in p90 end-to-end latency at 10 requests/s"
    )
    assert latency.endswith("a cost over 0.357 % would have been seen.")
    assert cost(plain, -0.02, 0)[0].endswith("any cost would have been seen.")


def test_a_cost_that_can_t_be_decided_is_not_called_none(plain: ReportData) -> None:
    section = compared({P90: times(1.0, 1.01, 0.99, 1.02)}, pairs=4)
    section["monitoring"] = {"on": "new", "off": "old"}
    found = pairs_section(replace(plain, verdicts={"pairs": section}))

    assert found is not None
    assert found.sentences[0].startswith("What monitoring costs in p90 end-to-end latency")
    assert "is not decided" in found.sentences[0]
    assert "6 are needed" in found.sentences[0]


def test_pairs_that_were_left_out_are_named_with_the_reason(plain: ReportData) -> None:
    gates = [gate(f"{side}_rep-{pair}", "fail") for side in ("old", "new") for pair in (3, 5)]
    section = told(plain, values={P90: around(0), RATE: around(0)}, gates=gates)

    assert section.remarks[0] == (
        "Pairs 3 (step 1) and 5 (step 1): left out: old: gate late_ratio; new: gate late_ratio."
    )
    assert section.remarks[-1].startswith("Exploratory KPIs were not declared as primary")
    assert section.table.rows[0][6] == "6 of 8"
    assert "(exploratory)" in section.table.rows[1][7]


def test_a_campaign_without_monitoring_has_a_page_that_says_so() -> None:
    cell = campaign.simulated_cell(rates=(1.0,))
    environment = {**cell.environment, "monitoring": "off", "prometheus": None, "exporters": {}}
    windows = {**cell.windows, "scrape_interval_seconds": None}
    off = replace(cell, environment=environment, windows=windows, series=cell.series.iloc[:0])
    configuration = campaign.configuration(("smollm2",), 1, (1.0,))

    data = campaign.analysed([off], {**configuration, "slos": []})
    page = render(data)

    assert "none: monitoring is off" in page
    assert "monitoring is off, so nothing was scraped" in page.lower()
    assert {concern.severity for concern in concerns(data)} == {NOTE}
