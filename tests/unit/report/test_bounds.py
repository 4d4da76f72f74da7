"""Upper bounds on the page: sentences, lines in the charts, concerns."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from escalade.analysis.bounds.bound import CONFIGURED, MEMORY, Bound, Input
from escalade.report.charts.bound_lines import levels_of, within
from escalade.report.charts.throughput import throughput_charts
from escalade.report.page import render
from escalade.report.sections.bounds import bounds_shown
from escalade.report.sections.concerns import concerns
from unit.report import campaign

if TYPE_CHECKING:
    from escalade.report.data import ReportData

DATA = cache(campaign.report_data)
"""A campaign of one deployment, made once."""
INPUT = Input("slots", 2.0, "", "recipe: bounds.configured.slots")


def with_bounds(*rows: dict[str, Any]) -> ReportData:
    base = DATA()
    return replace(base, verdicts={**base.verdicts, "bounds": list(rows)})


def where(step: int | None) -> dict[str, Any]:
    cell = DATA().facts[0]
    return {"cell": cell.name, "deployment": cell.deployment, "step": step}


def configured(value: float | None = 3.0, reason: str = "") -> Bound:
    known = {"inputs": [INPUT], "reason": reason}
    return Bound("request_rate", CONFIGURED, "requests", value, "requests/s", **known)  # type: ignore[arg-type]


def test_the_step_that_came_closest_is_said() -> None:
    rows = [configured().row(where(step), attained) for step, attained in ((1, 0.5), (3, 2.4))]

    shown = bounds_shown(with_bounds(*rows))

    assert shown.sentences == (
        "Step 3: requests: 2.4 requests/s, 80 % of the configured capacity of 3 requests/s.",
    )
    assert [row[-1] for row in shown.table.rows] == [
        "16.7\N{NO-BREAK SPACE}%",
        "80\N{NO-BREAK SPACE}%",
    ]
    assert shown.inputs.rows[0][1:] == ("slots", "2", "recipe: bounds.configured.slots")


def test_a_bound_is_a_line_in_the_chart_of_throughput() -> None:
    rows = [
        configured(value).row(where(step), 1.0) for step, value in ((1, 2.8), (2, 3.0), (3, 3.1))
    ]
    data = with_bounds(*rows)

    (level,) = levels_of(data, data.facts[0].deployment, ["request_rate"])
    assert level.value == 3.0  # the median
    chart = throughput_charts(data)[0]
    assert "bound, configured: 3 requests/s" in chart.svg
    assert "↑" not in chart.svg


def test_a_bound_far_above_is_named_at_the_edge_and_leaves_the_scale() -> None:
    far = configured(900.0).row(where(1), 1.0)
    data = with_bounds(far)

    levels = levels_of(data, data.facts[0].deployment, ["request_rate"])
    assert within(levels, 4.0) == []
    assert "↑ bound, configured: 900 requests/s" in throughput_charts(data)[0].svg


def test_of_tokens_the_line_is_that_of_all_slots() -> None:
    tokens = [
        Bound("token_rate", MEMORY, "tokens", value, "tokens/s").row(where(step), 10.0)
        for step, value in ((1, 50.0), (2, 70.0), (None, 120.0))
    ]
    data = with_bounds(*tokens)

    (level,) = levels_of(data, data.facts[0].deployment, ["token_rate"])
    assert level.value == 120.0
    assert len(bounds_shown(data).sentences) == 1


def test_more_than_the_bound_is_a_concern() -> None:
    data = with_bounds(configured(1.0).row(where(2), 2.0))

    (found,) = [each for each in concerns(data) if "more than the bound" in each.text]
    assert found.severity == "warning"
    assert "2 times the configured capacity" in found.text
    assert 'id="bounds"' in render(data)  # where the concern leads


@pytest.mark.parametrize("bounds", [[], None, "broken", [None, 7]])
def test_results_without_bounds_have_no_section(bounds: Any) -> None:
    base = DATA()
    data = replace(base, verdicts={**base.verdicts, "bounds": bounds})

    assert "Upper bounds: what the hardware" not in render(data)


def test_what_is_missing_is_said_with_the_way_to_give_it() -> None:
    missing = Bound(
        *("token_rate", MEMORY, "tokens per second", None, "tokens/s"),
        inputs=[Input("model_bytes", None, "bytes", "give bounds.tokens.model_bytes")],
    )
    page = render(with_bounds(missing.row(where(None))))

    assert "model_bytes is not known: give bounds.tokens.model_bytes" in page
