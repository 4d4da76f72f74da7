"""report.json: the same sentences and numbers as the page, by its schema, whatever is broken."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from jsonschema import Draft202012Validator

from escalade.report import words
from escalade.report.charts import drawing
from escalade.report.charts.hover import Drawn
from escalade.report.data import Partial, ReportData
from escalade.report.page import content_of, page_of
from escalade.report.twin.content import twin, written
from escalade.report.twin.models import schema_of_reports
from escalade.report.twin.plain import NEITHER, NOT_ABOVE, NOT_BELOW, plain, unbounded
from unit.report import campaign
from unit.report.reader import Reader
from unit.report.test_page import hostile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.usefixtures("undrawn")
VALIDATOR = Draft202012Validator(schema_of_reports())


def told(data: ReportData) -> dict[str, Any]:
    """Make the twin, and insist that it is valid JSON by the published schema."""
    text = written(twin(data, content_of(data)))

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    content: dict[str, Any] = json.loads(text, parse_constant=refuse)
    assert [error.message for error in VALIDATOR.iter_errors(content)] == []
    return content


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """Leave out the drawing itself: the twin has no pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "picture", lambda *_, **__: Drawn("<svg></svg>"))
        yield


@pytest.fixture(scope="module")
def both(one: ReportData) -> tuple[dict[str, Any], str]:
    """Give twin and text of the page of one campaign."""
    content = content_of(one)
    return json.loads(written(twin(one, content))), Reader(page_of(content)).words


def test_every_sentence_of_the_twin_is_on_the_page(both: tuple[dict[str, Any], str]) -> None:
    found, page = both
    sentences = [
        sentence
        for section in found["sections"]
        if section["anchor"] in ("summary", "bottleneck", "methods")
        for sentence in section["sentences"]
    ]

    assert len(sentences) > 8
    for sentence in [*sentences, *(each["text"] for each in found["concerns"])]:
        for part in sentence.replace(words.NO_BREAK, " ").split("; "):
            assert part.strip(". ") in page


def test_figures_of_page_and_twin_are_the_same_numbers(
    one: ReportData, both: tuple[dict[str, Any], str]
) -> None:
    found, page = both
    shown = 0
    for row in found["kpis"]:
        if row["metric"] in ("throughput_qps", "latency_seconds") and row["quality"] == "ok":
            source = one.kpis[
                (one.kpis["cell"] == row["cell"])
                & (one.kpis["step"] == row["step"])
                & (one.kpis["metric"] == row["metric"])
                & (one.kpis["stat"] == row["stat"])
            ].iloc[0]
            assert row["value"] == source["value"]  # not rounded
            low, high = (
                math.nan if row[key] is None else row[key] for key in ("ci_low", "ci_high")
            )
            if not math.isnan(low) and not math.isnan(high):
                scale = words.Scale(1.0, "")
                number, interval = words.span(row["value"], low, high, scale)
                if row["metric"] == "throughput_qps":
                    assert f"{number} {interval}" in page or f"{number}{interval}" in page
                    shown += 1
    assert shown == 5  # one per step


def test_the_strip_and_the_verdicts_are_those_of_the_page(
    one: ReportData, both: tuple[dict[str, Any], str]
) -> None:
    found, page = both

    for field in found["strip"]:
        assert field["text"].replace(words.NO_BREAK, " ") in page
    assert [row["verdict"] for row in found["verdicts"]["slos"]] == [
        row["verdict"] for row in one.verdicts["slos"]
    ]
    assert found["campaign"]["facts"]["System"] == "Example CPU @ 2.40GHz, 2\N{NO-BREAK SPACE}cores"
    assert found["campaign"]["measured_at"] == one.cells[0].cell["started_at"]


def test_points_behind_charts_are_the_kpis(both: tuple[dict[str, Any], str]) -> None:
    found, _ = both
    curves = {(each["metric"], each["stat"]): each for each in found["series"]["curves"]}
    throughput = curves["throughput_qps", "value"]
    values = {
        row["step"]: row["value"] for row in found["kpis"] if row["metric"] == "throughput_qps"
    }

    assert [point["value"] for point in throughput["points"]] == [values[k] for k in range(1, 6)]
    assert [point["load"] for point in throughput["points"]] == list(campaign.RATES)
    assert curves["latency_seconds", "p90"]["points"][4]["state"] == "over-saturated"
    lines = found["series"]["timelines"]
    assert {line["panel"] for line in lines} >= {"Arrivals and completions", "Service CPU"}
    for line in lines:
        assert len(line["seconds"]) == len(line["values"])
    keys = {figure["key"] for figure in found["figures"]}
    assert {"latency-1", "throughput-1", "timeline-1"} <= keys


def test_a_value_that_is_missing_is_null_and_says_why(both: tuple[dict[str, Any], str]) -> None:
    found, _ = both
    missing = [row for row in found["kpis"] if row["value"] is None]

    assert len(missing) > 10
    assert all(row["missing"] for row in missing)
    assert any(row["missing"] == "no GPU" for row in missing)
    bounded = [row for row in found["kpis"] if None in (row["ci_low"], row["ci_high"])]
    assert all(row["no_interval"] for row in bounded)


@pytest.mark.parametrize(
    ("low", "high", "says"),
    [
        (1.0, 2.0, None),
        (1.0, math.inf, NOT_ABOVE),
        (-math.inf, 2.0, NOT_BELOW),
        (math.nan, math.nan, NEITHER),
        (None, None, NEITHER),
    ],
)
def test_a_bound_that_is_null_says_why(low: Any, high: Any, says: str | None) -> None:
    assert unbounded({"ci_low": low, "ci_high": high}) == says


def test_no_number_that_json_lacks_comes_through() -> None:
    content = {"a": [math.nan, math.inf, 1.5, True, 3], "b\x00": "x\u202ey", "c": None}

    assert plain(content) == {"a": [None, None, 1.5, True, 3], "b": "xy", "c": None}


def test_what_is_known_of_a_partial_campaign_is_in_it(one: ReportData) -> None:
    state = Partial(3, ("a",), {"b": "under way", "c": "not yet"})

    found = told(replace(one, partial=state))

    assert found["partial"] == {
        "planned": 3,
        "measured": ["a"],
        "left": {"b": "under way", "c": "not yet"},
    }
    assert found["strip"][0]["word"] == "PARTIAL"


def test_a_section_of_the_verdicts_that_is_new_comes_along(one: ReportData) -> None:
    data = replace(one, verdicts={**one.verdicts, "later": [{"value": 1.5, "why": None}]})

    assert told(data)["verdicts"]["later"] == [{"value": 1.5, "why": None}]


def invalid(data: ReportData) -> ReportData:
    verdicts = copy.deepcopy(data.verdicts)
    for gate in verdicts["gates"]:
        gate.update(outcome="fail", invalidates=True)
    for row in verdicts["slos"]:
        row.update(verdict="INVALID", reason="gate late_ratio")
    return replace(data, verdicts=verdicts)


def failed(data: ReportData) -> ReportData:
    cell = campaign.without_results(data.cells[0], "the service never became ready", ["no memory"])
    return campaign.analysed([cell], data.campaign)


@pytest.mark.parametrize(
    "broken",
    [
        lambda _: ReportData({}, pd.DataFrame(), {}, [], {}),
        invalid,
        failed,
        lambda data: replace(data, kpis=pd.DataFrame()),
        lambda data: replace(
            data, kpis=data.kpis.drop(columns=["ci_low", "n", "quality", "source"])
        ),
        lambda data: replace(data, verdicts={}),
        lambda data: replace(data, provenance={}),
        lambda data: replace(data, cells=[replace(data.cells[0], requests=pd.DataFrame())]),
        lambda data: replace(data, cells=[replace(data.cells[0], series=pd.DataFrame())]),
        lambda data: replace(data, verdicts=hostile(data.verdicts)),
    ],
    ids=[
        *("nothing", "invalid", "failed", "no KPIs", "columns gone", "no verdicts"),
        *("no provenance", "no requests", "no samples", "hostile"),
    ],
)
def test_broken_campaigns_have_a_valid_twin(broken: Callable[[ReportData], ReportData]) -> None:
    data = campaign.report_data(rates=(1.0,))

    assert told(broken(data))["schema"] == 1
