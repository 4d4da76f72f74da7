"""What the page carries for its script."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.report.charts.latency import latency_charts
from escalade.report.embedded import data_block, embed, script
from escalade.report.sections.limits import limits
from escalade.report.words import NO_BREAK, without_control
from unit.report import campaign

if TYPE_CHECKING:
    from escalade.report.data import ReportData

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text("abc"), inside),
    max_leaves=8,
)  # fmt: skip


def cleaned(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: cleaned(value) for key, value in content.items()}
    if isinstance(content, list):
        return [cleaned(value) for value in content]
    return without_control(content) if isinstance(content, str) else content


@given(JSON)
def test_the_data_reads_back_and_nothing_in_it_ends_the_block(content: Any) -> None:
    block = data_block(content)

    assert json.loads(block) == cleaned(content)
    assert not re.search(r"[<>&\x00-\x1f\x7f-\uffff]", block)


def test_a_script_in_a_name_stays_a_name() -> None:
    hostile = "</script><script>alert(1)</script><!--"

    assert json.loads(data_block([hostile])) == [hostile]
    assert "</" not in data_block([hostile])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_hold_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        data_block([value])


def test_the_script_runs_nothing_that_it_was_given_as_text() -> None:
    assert not re.search(
        r"\beval\b|new Function|innerHTML|insertAdjacentHTML|document\.write", script()
    )
    assert "</" not in script()


def test_the_figures_are_found_wherever_they_stand(one: ReportData) -> None:
    chart, other, *_ = latency_charts(one)
    content = {"a": [(1, {"b": chart})], "words": "no chart", "c": (other,)}

    found = json.loads(embed(content).data)["figures"]

    assert list(found) == [chart.key, other.key]


def test_an_objective_has_its_limit_and_every_step(one: ReportData) -> None:
    (found,) = limits(one)

    assert found["title"].replace(NO_BREAK, " ") == "p90 of end-to-end latency ≤ 1.5 s"
    assert found["limit"] == 1.5
    assert (found["unit"], found["factor"]) == ("s", 1.0)
    steps = found["steps"]
    assert [step["load"] for step in steps] == ["0.5/s", "1/s", "2/s", "2.5/s", "4/s"]
    judged = {step["load"]: step["given"] for step in steps if "given" in step}
    assert judged == {"2/s": one.slos[0]["verdict"]}
    assert steps[-1]["told"] == "grows with time"
    assert "over-saturated" in steps[-1]["no_pass"]


def test_repetitions_are_members_of_what_they_say_together() -> None:
    data = campaign.report_data(("a", "b"), 3, (1.0, 2.0))
    (found,) = limits(data)
    steps = found["steps"]
    joint = [step for step in steps if step["where"] == "b, all repetitions"]

    assert [step["load"] for step in joint] == ["1/s", "2/s"]
    for step in joint:
        members = [steps[at] for at in step["members"]]
        assert [member["where"] for member in members] == [f"b, repetition {k}" for k in (1, 2, 3)]
        assert {member["load"] for member in members} == {step["load"]}


def test_results_of_an_earlier_release_have_nothing_to_explore(one: ReportData) -> None:
    del (older := dict(one.verdicts))["limits"]

    assert limits(type(one)(one.campaign, one.kpis, older, one.cells, one.provenance)) == []


def test_an_objective_that_too_few_requests_leave_open_says_so() -> None:
    data = campaign.report_data(rates=(0.5, 2.0))
    row = {**data.limits[0], "value": None, "ci_low": None, "ci_high": None, "n": 12}
    short = {"quality": "not estimable: needs n ≥ 36", "value": None}
    data.kpis.loc[
        (data.kpis["step"] == row["step"])
        & (data.kpis["metric"] == "latency_seconds")
        & (data.kpis["stat"] == "p90"),
        list(short),
    ] = list(short.values())
    unbounded = {**data.limits[1], "ci_high": float("inf")}

    (found,) = limits(replace(data, verdicts={**data.verdicts, "limits": [row, unbounded]}))

    none, half = found["steps"]
    assert none["lacking"] == "too few requests: needs n ≥ 36, has 12"
    assert half["lacking"].startswith("so few requests do not bound p90 on this side: has ")
