"""Standards after the measurement, and the trimmed mean that no verdict uses."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.analysis.kpis.table import cell_kpis, summary
from escalade.analysis.measured.cell import Slo
from escalade.analysis.scenarios.standards import SYSTEM, Standards, standard_rows
from unit.analysis.builders import Request, Step, at_once_step, cell, ladder, value_of

NODE = {**dict.fromkeys(SYSTEM, "known"), "hostname": "laptop"}
TRIMMED = ("latency_trimmed_seconds", "mean_trimmed_3sigma")


def rows(
    *steps: Step, least: int = 4, warmup: float = 5.0, node: Any = NODE, slos: Any = ()
) -> dict[tuple[str, Any], dict[str, Any]]:
    data = cell(*steps, node=node)
    found = standard_rows(Standards(least, warmup), [data], cell_kpis(data), slos)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return {(row["standard"], row["step"]): row for row in found}


def requests(latencies: list[float]) -> Step:
    sent = [Request(float(at), latency=value) for at, value in enumerate(latencies)]
    return Step(sent, seconds=float(len(sent)))


def test_a_step_that_holds_what_is_wanted_keeps_the_standards() -> None:
    found = rows(requests([1.0] * 4))

    assert {key: row["outcome"] for key, row in found.items()} == {
        ("system_configuration", None): "kept",
        ("least_requests", 1): "kept",
        ("warmup_seconds", 1): "kept",
    }


def test_what_falls_short_is_said_with_both_numbers() -> None:
    found = rows(requests([1.0] * 4), least=1000, warmup=10.0)

    assert found["least_requests", 1]["words"] == "4 requests in the window, of 1000"
    assert found["warmup_seconds", 1]["words"] == "5 s of warm-up, of 10"
    assert {found[key, 1]["outcome"] for key in ("least_requests", "warmup_seconds")} == {"short"}


def test_failed_requests_count_for_they_were_sent() -> None:
    failed = Step([Request(0.0, error="http_5xx"), *[Request(float(at)) for at in range(1, 4)]])

    assert rows(failed)["least_requests", 1]["outcome"] == "kept"


def test_samples_sent_at_once_have_no_warm_up_to_judge() -> None:
    found = rows(at_once_step([0.1] * 10), warmup=10.0)

    assert ("warmup_seconds", 1) not in found


def test_a_step_that_did_not_run_has_no_row() -> None:
    assert list(rows(Step(outcome="not_run"))) == [("system_configuration", None)]


def test_an_objective_on_a_mean_is_no_percentile() -> None:
    slos = [Slo("average", "latency_seconds", "mean", 1.0)]

    row = rows(requests([1.0] * 4), slos=slos)["percentiles", None]

    assert (row["outcome"], row["cell"]) == ("short", None)
    assert "judge a percentile" in row["words"]
    fine = [Slo("tail", "latency_seconds", "p99", 1.0), Slo("e", "error_ratio", "value", 0.1)]
    assert rows(requests([1.0]), slos=fine)["percentiles", None]["outcome"] == "kept"


@pytest.mark.parametrize("node", [{}, None, {**NODE, "kernel": None}])
def test_a_system_that_was_not_recorded_is_named(node: Any) -> None:
    row = rows(requests([1.0]), node=node)["system_configuration", None]

    assert row["outcome"] == "short"
    assert "kernel" in row["words"]


def test_the_trimmed_mean_is_what_a_hand_computes_and_says_what_it_leaves_out() -> None:
    # Twenty answers of 1 s and one of 22 s: mean 42 / 21 = 2, sum of squares 20 · 1 + 400 = 420,
    # standard deviation √(420 / 20) = 4.58; 22 is 4.4 of them away, 1 is 0.2
    data = cell(requests([1.0] * 20 + [22.0]))

    row = value_of(cell_kpis(data, trimmed=True), *TRIMMED)

    assert row["value"] == pytest.approx(1.0)
    assert row["n"] == 20
    assert row["quality"].startswith("flagged: leaves out 1 of 21 good answers")
    assert math.isnan(row["ci_low"])


def test_the_plain_mean_stays_as_it_is() -> None:
    data = cell(requests([1.0] * 20 + [22.0]))
    plain, both = cell_kpis(data), cell_kpis(data, trimmed=True)

    assert value_of(both, "latency_seconds", "mean")["value"] == pytest.approx(2.0)
    assert both[both["metric"] != TRIMMED[0]].reset_index(drop=True).equals(plain)


def test_it_is_a_labelled_column_of_the_summary_where_it_is_wanted() -> None:
    data = cell(requests([1.0] * 20 + [22.0]))

    column = "latency_mean_trimmed_3sigma_seconds"
    table = summary(cell_kpis(data, trimmed=True))
    assert table[column].tolist() == [pytest.approx(1.0)]
    assert column in table["flagged"].iloc[0]
    assert column not in summary(cell_kpis(data))


def test_without_two_good_answers_there_is_none() -> None:
    row = value_of(cell_kpis(cell(requests([1.0])), trimmed=True), *TRIMMED)

    assert row["quality"] == "missing: a standard deviation needs two good answers"


def test_in_an_over_saturated_step_it_says_that_it_grows() -> None:
    row = value_of(cell_kpis(ladder([20.0], seconds=20.0), trimmed=True), *TRIMMED)

    assert "over-saturated" in row["quality"]


@settings(max_examples=20)  # a cell each
@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=40))
def test_it_lies_among_the_answers_and_never_counts_more_than_there_are(
    values: list[float],
) -> None:
    data = cell(requests(values))

    row = value_of(cell_kpis(data, trimmed=True), *TRIMMED)

    assert min(values) - 1e-6 <= row["value"] <= max(values) + 1e-6
    assert row["n"] <= len(values)
    within = np.abs(np.array(values) - np.mean(values)) <= 3 * np.std(values, ddof=1)
    assert abs(row["n"] - within.sum()) <= 1  # one may lie on the edge
