"""The report of closed loops and of samples sent at once: named as such, everywhere."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from escalade.report.page import render
from escalade.report.sections.concerns import concerns
from escalade.report.sections.story import summary
from unit.analysis.builders import APART, at_once_step, cell, closed_step
from unit.report import campaign

if TYPE_CHECKING:
    from escalade.report.data import ReportData
    from unit.analysis.builders import Step

LOOPS = {1: [(0.5 * k, 0.4) for k in range(60)], 4: [(0.25 * k, 0.9) for k in range(120)]}


def closed() -> ReportData:
    return told(*(closed_step(n, times, seconds=30.0) for n, times in LOOPS.items()))


def queries() -> ReportData:
    times = [(0.5 * (k // 8), 0.1 + 0.01 * (k % 8)) for k in range(480)]
    return told(closed_step(1, times, together=8, seconds=30.0))


def offline() -> ReportData:
    return told(at_once_step([0.05 * (k + 1) for k in range(200)]))


def told(*steps: Step) -> ReportData:
    data = cell(*steps, deployment="smollm2", allocation=APART)
    data = replace(data, cell={**data.cell, "outcome": "finished"})
    return campaign.analysed([data], campaign.configuration(("smollm2",), 1, (1.0,)))


def text_of(data: ReportData) -> str:
    shown = re.sub(r"<script.*?</script>", " ", render(data), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown)).replace("\xa0", " ")


def test_a_closed_loop_is_called_one_and_drawn_against_what_is_in_flight() -> None:
    page = text_of(closed())

    assert "Latency against requests in flight (closed loop)" in page
    assert "Objectives by closed loop: requests in flight" in page
    assert "such latencies hide queueing" in page
    assert "NSDI 2006" in page
    assert "Open loop" not in page
    assert "arrival rate (requests/s)" not in page
    assert "seconds from send" in page or "ms from send" in page
    assert "nan" not in page.lower().replace("nanosecond", "")


def test_the_summary_claims_no_capacity_of_a_closed_loop() -> None:
    texts = [statement.text.replace("\xa0", " ") for statement in summary(closed())]

    assert "requests/s in a closed loop with 4 in flight" in texts[0]
    assert not any("holds" in text for text in texts)


def test_a_closed_loop_is_a_warning_that_nobody_overlooks() -> None:
    shown = [found for found in concerns(closed()) if found.text.startswith("Closed loop")]

    assert [found.severity for found in shown] == ["warning"]


def test_queries_of_several_samples_have_their_own_figure_and_sentence() -> None:
    data = queries()

    assert "with 1 query of 8 samples in flight 90 % of queries end within" in summary(data)[
        0
    ].text.replace("\xa0", " ")
    assert "Query latency" in text_of(data)


def test_offline_tells_samples_per_second_and_no_latency_of_the_pile() -> None:
    first = summary(offline())[0].text.replace("\xa0", " ")

    assert "works off 20 samples/s, with 200 samples at once" in first
    assert "end within" not in first
    assert "Latency against number of samples (offline)" in text_of(offline())


@pytest.mark.parametrize("data", [closed, queries, offline])
def test_the_same_data_gives_the_same_page(data: type[ReportData]) -> None:
    assert render(data()) == render(data())  # type: ignore[call-arg]
