"""How the report tells what changed since the baseline: words, plot, causes, and what is missing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from escalade.report.charts.forest import effect_of, percent
from escalade.report.page import render
from escalade.report.sections.comparison import (
    STYLES,
    ComparisonSection,
    comparison_section,
    since_baseline,
)
from escalade.report.words import NO_BREAK
from unit.analysis.comparisons import P90, RATE, compared, side, times
from unit.report import campaign

if TYPE_CHECKING:
    from escalade.report.data import ReportData

PRIMARY = "latency_seconds:p90@1"
BASELINE = {"path": "baselines/small", "manifest_sha256": "ab" * 32}


@pytest.fixture(scope="module")
def plain() -> ReportData:
    return campaign.report_data(rates=(1.0,))


def stored(found: dict[str, Any] | None, why: str = "") -> dict[str, Any]:
    """Give the content of comparison.json."""
    return {"schema": 1, "baseline": BASELINE, "comparison": found, "why": why}


def told(plain: ReportData, found: dict[str, Any] | None, why: str = "") -> ComparisonSection:
    section = comparison_section(replace(plain, comparison=stored(found, why)))
    assert section is not None
    return section


def slower(factor: float = 1.2, **changes: Any) -> dict[str, Any]:
    return compared(side(times(1)), side(times(factor), **changes), PRIMARY)


def test_without_a_baseline_there_is_no_such_section(plain: ReportData) -> None:
    assert comparison_section(plain) is None
    assert since_baseline(plain) == []
    assert 'id="comparison"' not in render(plain)


def test_the_page_says_what_is_worse_and_by_which_baseline(plain: ReportData) -> None:
    data = replace(plain, comparison=stored(slower()))
    page = render(data).replace(NO_BREAK, " ")

    assert "Regression. End-to-end latency p90 at 1/s: worse by more than 5 %." in page
    assert "▼ worse" in page
    assert "+20 %, 95 % [" in page
    assert "ab" * 32 in page
    assert 'href="#comparison"' in page
    summary = page[page.index('id="summary"') : page.index('id="quality"')]
    assert "Since the baseline: Regression." in summary


def test_the_words_and_the_shape_follow_the_verdict(plain: ReportData) -> None:
    signs = {factor: told(plain, slower(factor)).verdicts[0].sign for factor in (1.2, 1.0, 0.8)}
    assert signs == {1.2: "▼", 1.0: "●", 0.8: "▲"}
    few = compared(side([1.0, 1.1, 1.2]), side([2.0, 2.1, 2.2]), PRIMARY)
    (verdict,) = told(plain, few).verdicts
    assert (verdict.sign, verdict.verdict) == ("◻", "inconclusive")
    assert "4 on each side can" in verdict.text  # p = 2 / 70; with three it is 2 / 20
    assert len({sign for _, sign in STYLES.values()}) == len(STYLES)


def test_the_sides_of_the_plot_are_named_by_what_is_better(plain: ReportData) -> None:
    lower = told(plain, slower()).charts[0].svg
    rate = compared(side(times(1), RATE), side(times(1.2), RATE), "throughput_qps@1")
    higher = told(plain, rate).charts[0].svg

    assert "◀ better" in lower
    assert "worse ▶" in lower
    assert "◀ worse" in higher
    assert "better ▶" in higher
    assert "threshold ±5 %" in lower


def test_exploratory_figures_stand_apart_and_decide_nothing(plain: ReportData) -> None:
    found = compared(side(times(1)), side(times(2)), "ready_seconds")
    section = told(plain, found)

    assert section.exploratory.startswith(f"1 of 1{NO_BREAK}other KPI moved.")
    assert [chart.key for chart in section.more] == ["comparison-exploratory-1"]
    assert section.primary == ()  # the primary one has no value
    assert [verdict.verdict for verdict in section.verdicts] == ["not comparable"]


def test_what_else_differs_is_listed_and_packages_wait(plain: ReportData) -> None:
    after = side(times(1.2), environment={"node": {"kernel": "6.8"}})
    before = side(times(1), environment={"node": {"kernel": "6.1"}})
    software = {"escalade": "0.1", "packages": {"locust": "2.43"}}
    after = replace(after, provenance={**after.provenance, "software": software})

    (causes,) = told(plain, compared(before, after, PRIMARY)).causes

    assert causes.shown.rows == (("machine.kernel", "6.1", "6.8"),)
    assert causes.folded.rows == (("software.packages.locust", "–", "2.43"),)


def test_another_machine_is_named_and_nothing_is_drawn(plain: ReportData) -> None:
    sides = [side(times(1), environment={"node": {"cpu_model": name}}) for name in ("EPYC", "Xeon")]
    section = told(plain, compared(*sides, PRIMARY))

    assert section.sentences[0] == "Not comparable: another CPU: EPYC against Xeon."
    assert section.charts == ()


def test_a_baseline_that_can_t_be_used_says_why(plain: ReportData) -> None:
    page = render(replace(plain, comparison=stored(None, "baselines/small is <damaged>")))

    assert "No comparison: baselines/small is &lt;damaged&gt;." in page


def line(scale: str | None, effect: float | None, **changes: Any) -> dict[str, Any]:
    """Give a row of a comparison as JSON has it."""
    return {
        "metric": P90[0],
        "stat": P90[1],
        "label": "",
        "step": 0,
        "deployment": "demo",
        "better": "lower",
        "verdict": "worse",
        "baseline": 4.0,
        "scale": scale,
        "effect": effect,
        "ci_low": None,
        "ci_high": None,
        **changes,
    }


def test_effects_are_shares_of_the_baseline() -> None:
    ratio = effect_of(line("ratio", 1.2, ci_low=1.1, ci_high=1.3), deployment=False)
    assert (ratio.point, ratio.low, ratio.high) == pytest.approx((0.2, 0.1, 0.3))
    difference = effect_of(line("difference", 1.0, ci_low=-1.0), deployment=False)
    assert (difference.point, difference.low, difference.high) == (0.25, -0.25, math.inf)
    assert math.isnan(effect_of(line("difference", 1.0, baseline=0.0), deployment=False).point)
    assert not effect_of(line(None, None), deployment=False).drawn
    alone = effect_of(line("ratio", 1.2), deployment=True)
    assert math.isnan(alone.low)  # too few repetitions for an interval
    assert alone.name == "End-to-end latency p90, demo"


def test_a_service_that_fails_is_drawn_at_the_edge_where_it_is_worse() -> None:
    assert effect_of(line("ratio", None), deployment=False).point == math.inf
    assert effect_of(line("ratio", None, better="higher"), deployment=False).point == -math.inf
    assert math.isnan(
        effect_of(line("ratio", None, verdict="inconclusive"), deployment=False).point
    )


def test_percentages_have_signs() -> None:
    said = [percent(share) for share in (0.2, -0.0312, 0.0, 1e-9, math.inf, -math.inf)]
    assert [text.replace(NO_BREAK, " ") for text in said[:3]] == ["+20 %", "−3.12 %", "0 %"]
    assert said[4:] == [f"+∞{NO_BREAK}%", f"−∞{NO_BREAK}%"]
