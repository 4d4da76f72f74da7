"""Findings on the page: problems first, what is fine folded, and nothing that can run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from escalade.report.page import render
from escalade.report.sections.findings import findings_on_page
from unit.report.reader import Reader
from unit.report.test_page import HOSTILE, small

if TYPE_CHECKING:
    from escalade.report.data import ReportData

PROOF = {
    "kpi": "gate steal",
    "stat": "fail",
    "cell": "a",
    "step": 2,
    "value": 0.12,
    "limit": 0.05,
    "unit": "ratio",
    "source": "verdicts.json",
    "words": "12 % was stolen",
    "speaks": "for",
}
PROBLEM = {
    "rank": 1,
    "rule": "stolen-cpu-time",
    "kind": "problem",
    "deployment": "demo",
    "title": "The hypervisor gave the CPUs to others",
    "cells": ["a"],
    "steps": [2],
    "measured": "1 of 5 steps: 12 % was stolen",
    "means": "Latency holds pauses.",
    "why": "The host is shared.",
    "next": ["measure on a dedicated host"],
    "evidence": [PROOF],
}
FINE = {"rank": 2, "rule": "neighbours", "kind": "fine", "deployment": "demo", "title": "Others"}
UNSEEN = {**FINE, "rule": "memory-grows", "kind": "not checked", "measured": "no sample"}
CHECKED = {**FINE, "measured": "nothing else used the CPUs"}


def told(*rows: dict[str, Any]) -> ReportData:
    data = small()
    return replace(data, verdicts=data.verdicts | {"findings": list(rows)})


def test_a_finding_says_what_why_and_what_to_try_with_its_evidence() -> None:
    words = Reader(render(told(PROBLEM, CHECKED))).words

    assert "The hypervisor gave the CPUs to others 1 of 5 steps: 12 % was stolen." in words
    assert "Why. The host is shared. What to try. Measure on a dedicated host." in words
    assert "step 2, rule stolen-cpu-time" in words
    assert "gate steal, fail 2 12 % 5 %" in words
    assert "1 problem." in words


def test_what_is_fine_is_folded_and_what_was_not_checked_is_not_called_fine() -> None:
    page = findings_on_page(told(CHECKED, UNSEEN))

    assert page.fired == ()
    assert page.counts == "No problem was found; nothing to look at."
    assert (
        page.checks_title.replace("\N{NO-BREAK SPACE}", " ")
        == "1 check found nothing, 1 could not be made"
    )
    assert page.checks[1] == "Not checked: no sample (rule memory-grows)."
    html = render(told(CHECKED, UNSEEN))
    assert "<details><summary>1\N{NO-BREAK SPACE}check found nothing" in html


def test_everything_of_a_finding_is_escaped() -> None:
    hostile = dict.fromkeys(("rule", "title", "measured", "means", "why", "deployment"), HOSTILE)
    proof = {**PROOF, "kpi": HOSTILE, "words": HOSTILE, "cell": HOSTILE}
    attack = {**PROBLEM, **hostile, "next": [HOSTILE], "evidence": [proof]}
    reader = Reader(render(told(attack, {**CHECKED, "measured": HOSTILE, "rule": HOSTILE})))

    assert "img" not in reader.tags
    assert reader.tags.count("script") == 2  # the page's own: its data, and what reads them
    assert reader.unbalanced == []


def test_what_stands_between_backquotes_is_code_and_still_escaped() -> None:
    page = render(told({**PROBLEM, "next": ["raise `slots`", "`<b>`", "an open `one"]}))

    assert "<li>Raise <code>slots</code>.</li>" in page
    assert "<code>&lt;b&gt;</code>" in page
    assert "an open `one" in page.lower()


def test_campaigns_without_findings_say_that_none_were_looked_for() -> None:
    assert "None were looked for" in Reader(render(small())).words
