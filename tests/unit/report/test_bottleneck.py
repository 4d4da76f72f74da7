"""The bottleneck on the page: named, with its evidence, and never made up."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from escalade.report.page import render
from escalade.report.sections.bottleneck import bottleneck_groups
from unit.report.reader import Reader
from unit.report.test_page import HOSTILE, small

if TYPE_CHECKING:
    from escalade.report.data import ReportData

PROOF = {
    "kpi": "service_cpu_cores",
    "stat": "mean",
    "cell": "a",
    "step": 4,
    "value": 1.9,
    "limit": 2.0,
    "unit": "cores",
    "source": "series.parquet",
    "speaks": "for",
    "words": "95 % of 2 cores",
}
FULL = {
    "resource": "service_cpu",
    "outcome": "full",
    "share": 0.95,
    "words": "full",
    "evidence": [PROOF],
}
ROW = {
    "cell": "a",
    "deployment": "demo",
    "step": 4,
    "offered_qps": 14.0,
    "throughput_qps": 10.0,
    "outcome": "found",
    "resource": "service_cpu",
    "words": "it is full",
    "ranking": [FULL],
}


def told(**changes: Any) -> ReportData:
    data = small()
    return replace(data, verdicts=data.verdicts | {"bottlenecks": [ROW | changes]})


def test_the_resource_that_saturates_first_is_named_with_its_evidence() -> None:
    words = Reader(render(told())).words

    assert "CPUs of the service. It is full." in words
    assert "at step 4 (14 requests/s)" in words
    assert "service_cpu_cores, mean 4 1.9 cores 2 cores for 95 % of 2 cores series.parquet" in words


def test_an_unknown_bottleneck_says_so_and_why() -> None:
    words = Reader(render(told(outcome="unknown", resource=None, words="nothing is full"))).words

    assert "Unknown. Nothing is full." in words


def test_a_limit_that_is_not_known_is_a_dash_and_not_zero() -> None:
    (group,) = bottleneck_groups(told(ranking=[FULL | {"evidence": [PROOF | {"limit": None}]}]))

    assert group.evidence.rows[0][4] == "—"


def test_names_and_words_are_escaped() -> None:
    page = render(told(cell=HOSTILE, words=HOSTILE, ranking=[FULL | {"words": HOSTILE}]))

    tags = Reader(page).tags
    assert "img" not in tags
    assert tags.count("script") == 2  # the page's own: its data, and what reads them


def test_verdicts_of_older_campaigns_have_no_bottleneck() -> None:
    data = small()
    verdicts = {key: rows for key, rows in data.verdicts.items() if key != "bottlenecks"}

    assert "Not judged" in Reader(render(replace(data, verdicts=verdicts))).words
