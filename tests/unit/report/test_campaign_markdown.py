"""A campaign as a comment on a pull request."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from escalade.analysis.findings import findings
from escalade.report.data import Partial
from escalade.report.several.told import Member
from escalade.report.texts.campaign import campaign_markdown, several_markdown
from escalade.report.texts.markdown import LIMIT, within_limit
from unit.report import campaign
from unit.report.test_page import HOSTILE

if TYPE_CHECKING:
    from escalade.report.data import ReportData


@pytest.fixture(scope="module")
def told(one: ReportData) -> str:
    verdicts = {**one.verdicts, "findings": findings(one.verdicts, one.kpis, one.cells)}
    return campaign_markdown(replace(one, verdicts=verdicts)).replace("\N{NO-BREAK SPACE}", " ")


def test_it_says_verdict_summary_objectives_findings_and_how_to_reproduce(told: str) -> None:
    (verdict,) = {row["verdict"] for row in campaign.report_data().slos if row["counts"]}
    lines = told.splitlines()

    assert lines[0].endswith(f"demo: {verdict}")
    assert "Example CPU \\@ 2.40GHz, 2 cores" in told
    assert "- SmolLM2-135M on 1 core " in told
    assert "| p90 of end-to-end latency ≤ 1.5 s | at 2 requests/s | smollm2 |" in told
    assert "**Findings**" in told
    assert "\n```sh\nescalade run results/demo/campaign.resolved.yaml" in told


def test_a_partial_campaign_says_so_first(one: ReportData) -> None:
    data = replace(one, partial=Partial(2, (one.cells[0].name,), {"b": "not yet"}))

    said = campaign_markdown(data).replace("\N{NO-BREAK SPACE}", " ")

    assert said.index("> **Partial report.** 1 of 2 cells is measured") < said.index("- SmolLM2")


def test_names_that_mean_something_in_markdown_stay_text(one: ReportData) -> None:
    data = replace(one, campaign={**one.campaign, "campaign": f"a|b`c` @all #1 {HOSTILE}"})

    head = campaign_markdown(data).splitlines()[0]

    assert "a\\|b\\`c\\` \\@all \\#1" in head
    assert "<script>" not in head


def test_what_does_not_fit_is_named() -> None:
    parts = [("the verdict", "v" * 100), ("the summary", "s" * LIMIT), ("the rest", "r" * 50)]

    text = within_limit(parts, "The page")

    assert len(text) < LIMIT
    assert "s" not in text.partition("Left out")[0]
    assert text.endswith(
        "Left out, since a comment has room for no more: the summary. The page has all.\n"
    )


def test_a_large_campaign_fits_a_comment(one: ReportData) -> None:
    long = "an objective with a name that is as long as a line of text " * 3
    slos = [{**row, "slo": long, "workload": long} for row in one.verdicts["slos"] * 200]
    data = replace(one, verdicts={**one.verdicts, "slos": slos})

    text = campaign_markdown(data)

    assert len(text) < 65_536
    assert "more, on the page." in text


def test_several_campaigns_are_told_one_after_the_other(one: ReportData) -> None:
    other = replace(one, campaign={**one.campaign, "campaign": "other"})
    members = [Member(one, "results/demo", ""), Member(other, "results/other", "")]

    text = several_markdown(members, [("results/broken", "it is empty")])

    assert text.index("| demo | smollm2 |") < text.index("| other | smollm2 |")
    assert "- results/broken is left out: it is empty" in text
    assert "demo: " in text.partition("### ")[2]
