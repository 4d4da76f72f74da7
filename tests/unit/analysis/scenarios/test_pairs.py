"""Pairs with ratios worked out by hand: what is left out, what decides, and what is said."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.analysis.kpis.request_kpis import OVER_SATURATED
from escalade.analysis.scenarios.pairs import Question, compare_pairs
from escalade.analysis.verdicts.outcome import exit_code
from unit.analysis.paired import ASKED, P90, RATE, cell, cells, compared, gate, table, times

SLOWER = times(1.10, 1.11, 1.12, 1.13, 1.14, 1.15, 1.16, 1.17)


def test_the_ratio_is_taken_within_each_pair() -> None:
    (row,) = compared({P90: SLOWER})["rows"]

    # p90 doubles from pair to pair, and yet the ratios are 1.10 to 1.17; the middle of the means
    # of two of their logarithms is close to log(1.135)
    assert [round(ratio, 6) for _, ratio in row["ratios"]] == [
        1.1,
        1.11,
        1.12,
        1.13,
        1.14,
        1.15,
        1.16,
        1.17,
    ]
    assert row["ratio"] == pytest.approx(1.135, abs=2e-4)
    assert row["p_value"] == row["p_adjusted"] == pytest.approx(2 / 2**8)
    # 36 means of two; critical value 3 at n = 8: the fourth from each end, of the logarithms
    # 1.10·1.10, 1.10·1.11, 1.11·1.11 or 1.10·1.12: √(1.10 · 1.12) = 1.10995 < 1.11
    assert row["ci_low"] == pytest.approx(1.11, abs=1e-6)
    assert row["verdict"] == "worse"
    assert row["pairs"] == row["planned"] == 8


def test_lower_times_and_higher_rates_are_better() -> None:
    faster = times(*[0.8 + 0.01 * place for place in range(8)])
    question = Question("old", "new", (P90, RATE), step=1)

    rows = compared({P90: faster, RATE: SLOWER}, question)["rows"]

    assert [row["verdict"] for row in rows] == ["better", "better"]
    assert [row["p_adjusted"] for row in rows] == [pytest.approx(2 * 2 / 2**8)] * 2  # Holm


def test_a_change_within_the_margin_is_shown_and_called_neither() -> None:
    (row,) = compared({P90: times(*[1.01 + 0.002 * place for place in range(8)])})["rows"]

    assert row["verdict"] == "no change shown"
    assert "+1.7 %, 95 % [+1.2 %, +2.2 %]" in row["reason"]
    assert "within the margin of 5 %" in row["reason"]


def test_without_a_change_the_bound_says_what_would_have_been_seen() -> None:
    (row,) = compared({P90: times(0.99, 1.01, 0.98, 1.02, 0.97, 1.03, 0.99, 1.012)})["rows"]

    assert row["verdict"] == "no change shown"
    assert row["p_value"] > 0.5
    assert "a worsening of more than 2 % would have been seen" in row["reason"]


def test_a_wide_interval_says_how_much_worse_it_may_be() -> None:
    (row,) = compared({P90: times(0.8, 1.3, 0.7, 1.4, 0.9, 1.25, 0.85, 1.02)})["rows"]

    assert row["verdict"] == "no change shown"
    assert f"a worsening of {100 * row['ci_high'] - 100:.3g} % is not excluded" in row["reason"]


def test_worse_but_not_beyond_chance_says_how_many_pairs_would_show_it() -> None:
    (row,) = compared({P90: times(1.4, 1.3, 0.95, 1.4, 0.8, 1.25, 0.85, 1.2)})["rows"]

    assert row["verdict"] == "inconclusive"
    # ((1.960 + 0.842) · s / log(ratio))² · π / 3, the next even number
    wanted = math.ceil((2.8016 * row["spread"] / math.log(row["ratio"])) ** 2 * math.pi / 3)
    assert f"about {wanted + wanted % 2} pairs would show it" in row["reason"]


@pytest.mark.parametrize(("pairs", "family", "needed"), [(4, 1, 6), (6, 2, 8), (6, 3, 8)])
def test_too_few_pairs_can_t_decide_whatever_they_show(
    pairs: int, family: int, needed: int
) -> None:
    primary = (P90, RATE, ("latency_seconds", "p50"))[:family]
    values = {name: times(*[2.0 + place for place in range(pairs)]) for name in primary}

    rows = compared(values, Question("old", "new", primary, step=1), pairs=pairs)["rows"]

    assert {row["verdict"] for row in rows} == {"inconclusive"}
    assert all(f"{needed} are needed" in row["reason"] for row in rows)


def test_a_pair_with_an_invalid_step_is_left_out_and_named() -> None:
    gates = [gate("new_rep-3", "fail"), gate("old_rep-5", "unknown"), gate("old_rep-1", "pass")]
    flags = [gate("new_rep-1", "fail", "steal", invalidates=False)]

    section = compared({P90: SLOWER}, gates=[*gates, *flags])

    left = {told["repetition"]: told["why"] for told in section["left_out"]}
    assert set(left) == {3, 5}
    assert left[3].startswith("new: client_limited, gate late_ratio: 3 % were late")
    assert left[5] == "old: gate late_ratio could not be checked: 3 % were late"
    assert [number for number, _ in section["rows"][0]["ratios"]] == [1, 2, 4, 6, 7, 8]
    assert (section["rows"][0]["pairs"], section["rows"][0]["planned"]) == (6, 8)


def test_a_gate_that_one_side_alone_can_fail_leaves_no_pair_out() -> None:
    gates = [gate("old_rep-3", "fail", "neighbours"), gate("old_rep-4", "fail", "scrape_gap")]

    both = compared({P90: SLOWER}, gates=gates)["left_out"]
    one_sided = compared({P90: SLOWER}, gates=gates, monitoring="off")["left_out"]

    assert [told["repetition"] for told in both] == [3, 4]
    assert [told["repetition"] for told in one_sided] == [4]  # that one was not fully monitored


def test_missing_values_are_no_zeros() -> None:
    slower = {side: list(found) for side, found in SLOWER.items()}
    slower["new"][1], slower["old"][2], slower["new"][4] = math.nan, 0.0, math.inf

    (row,) = compared({P90: slower})["rows"]

    assert row["pairs"] == 5
    assert row["without"] == [
        [2, "new: nothing came"],
        [3, "old: it is 0, and there is no ratio to 0"],
        [5, "new: the percentile is among failed requests"],
    ]
    assert row["verdict"] == "inconclusive"


def test_the_latency_of_an_over_saturated_step_is_not_compared() -> None:
    kpis = table({P90: SLOWER, RATE: SLOWER})
    kpis.loc[kpis["deployment"] == "new", "quality"] = f"flagged: {OVER_SATURATED}"
    question = Question("old", "new", (P90, RATE), step=1)

    latency, rate = compare_pairs(kpis, cells(8), [], question)["rows"]

    assert (latency["verdict"], latency["pairs"]) == ("not comparable", 0)
    assert OVER_SATURATED in latency["reason"]
    assert rate["verdict"] == "better"


def test_a_primary_kpi_that_nobody_has_is_said_to_be_missing() -> None:
    section = compared({RATE: SLOWER})

    primary, exploratory = section["rows"]
    assert (primary["metric"], primary["verdict"]) == ("latency_seconds", "not comparable")
    assert (exploratory["metric"], exploratory["primary"]) == ("throughput_qps", False)
    assert exploratory["p_adjusted"] is None


def test_kpis_of_one_side_alone_are_left_out() -> None:
    alone = {"old": [math.nan] * 8, "new": [1.0] * 8}

    rows = compared({P90: SLOWER, ("service_cpu_cores", "mean"): alone})["rows"]

    assert [row["metric"] for row in rows] == ["latency_seconds"]


def test_other_steps_are_exploratory() -> None:
    kpis = pd.concat([table({P90: SLOWER}), table({P90: SLOWER}, step=2)])

    rows = compare_pairs(kpis, cells(8), [], ASKED)["rows"]

    assert [(row["step"], row["primary"], row["target_qps"]) for row in rows] == [
        (1, True, 10.0),
        (2, False, 20.0),
    ]


def test_other_hardware_is_not_comparable() -> None:
    (row,) = (section := compared({P90: SLOWER}, node={"cpu_model": "B"}))["rows"]

    assert row["verdict"] == "not comparable"
    assert section["left_out"][0]["why"] == "other hardware: A and B"


def test_pairs_tell_the_order_in_which_they_ran() -> None:
    pairs = compared({P90: SLOWER})["pairs"]

    assert "".join(pair["order"] for pair in pairs) == "ABBABAAB" * 2
    assert {pair["seconds_between"] for pair in pairs} == {10.0}
    assert not any(pair["remarks"] for pair in pairs)


def test_a_pair_that_was_parted_says_so() -> None:
    made = cells(8)
    again = cell("new", 1, 60.0 * 20, on="n2")  # measured again, after all others

    pairs = compare_pairs(table({P90: SLOWER}), [made[0], again, *made[2:]], [], ASKED)["pairs"]

    assert "something else between them" in pairs[0]["remarks"][0]
    assert pairs[0]["remarks"][1] == "they ran on different nodes: n1, n2"
    assert not any(pair["remarks"] for pair in pairs[1:])


def test_two_that_ran_side_by_side_say_so() -> None:
    made = cells(8)
    made[1] = cell("new", 1, 40.0)  # ten seconds before the other one of its pair was over

    pairs = compare_pairs(table({P90: SLOWER}), made, [], ASKED)["pairs"]

    assert pairs[0]["seconds_between"] == -10.0
    assert pairs[0]["remarks"] == ["the two ran side by side, and disturbed each other"]


def test_a_long_pause_counts_as_drift() -> None:
    made = [*cells(1)[:1], cell("new", 1, 700.0)]

    (pair,) = compare_pairs(table({P90: times(1.0)}), made, [], ASKED)["pairs"]

    assert "the two began 700 s apart, which is long" in pair["remarks"][0]


def test_it_is_about_monitoring_where_nothing_else_differs() -> None:
    assert compared({P90: SLOWER}, monitoring="off")["monitoring"] == {"on": "old", "off": "new"}
    assert compared({P90: SLOWER})["monitoring"] is None
    other = compared({P90: SLOWER}, monitoring="off", defined={"recipe": "other"})
    assert other["monitoring"] is None


def test_nothing_measured_is_nothing_to_compare() -> None:
    section = compare_pairs(table({}), [], [], ASKED)

    assert [row["verdict"] for row in section["rows"]] == ["not comparable"]
    assert section["pairs"] == []


@pytest.mark.parametrize(
    ("ratio", "pairs", "counts", "code"),
    [
        (1.2, 8, True, 1),
        (1.2, 8, False, 0),
        (0.8, 8, True, 0),
        (1.2, 4, True, 4),
        (1.2, 4, False, 0),
    ],
)
def test_the_exit_code_follows_it_only_when_it_counts(
    ratio: float,
    pairs: int,
    counts: bool,  # noqa: FBT001 - a case of the table
    code: int,
) -> None:
    question = Question("old", "new", (P90,), step=1, counts=counts)
    values = times(*[ratio + 0.001 * place for place in range(pairs)])

    section = compared({P90: values, RATE: values}, question, pairs=pairs)

    assert exit_code({"slos": [], "pairs": section}) == code


RATIOS = st.lists(st.floats(0.5, 2.0), min_size=8, max_size=8)


@given(RATIOS)
@settings(max_examples=25, deadline=None)
def test_a_verdict_needs_the_interval_and_the_margin(ratios: list[float]) -> None:
    (row,) = compared({P90: times(*ratios)})["rows"]

    low, high = row["ci_low"], row["ci_high"]
    assert min(ratios) * 0.999999 <= low <= row["ratio"] * 1.000001
    assert row["ratio"] <= high * 1.000001 <= max(ratios) * 1.000002
    if row["verdict"] == "worse":
        assert row["ratio"] > 1.05
        assert row["p_adjusted"] <= 0.05
    if row["verdict"] == "better":
        assert row["ratio"] < 0.95
    if row["verdict"] == "inconclusive":
        assert row["ratio"] > 1.05
        assert row["p_adjusted"] > 0.05


@given(RATIOS)
@settings(max_examples=15, deadline=None)
def test_the_order_of_the_cells_has_no_say(ratios: list[float]) -> None:
    kpis = table({P90: times(*ratios)})

    there = compare_pairs(kpis, cells(8), [], ASKED)
    back = compare_pairs(kpis.iloc[::-1], cells(8)[::-1], [], ASKED)

    assert there == back
