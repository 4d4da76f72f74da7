"""Component benchmarks as rows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.analysis.scenarios.components import component_rows, missing_row, values_of

SECONDS = {"name": "seconds", "unit": "s", "better": "lower"}
RATE = {"name": "bytes_per_second", "unit": "bytes/s", "better": "higher"}


def by_stat(rows: list, repetition: int | None = 1) -> dict:
    return {row["stat"]: row for row in rows if row["repetition"] == repetition}


def test_percentiles_and_ranks_are_those_worked_out_by_hand() -> None:
    # 1..1000 shuffled, so independent. p50 is between 500 and 501 (type 7: 500.5). The exact
    # binomial ranks of the median of 1000 at 95 % are 469 and 532 (scipy.stats.binom(1000, .5):
    # ppf(.025) = 469, ppf(.975) + 1 = 532).
    values = np.random.default_rng(3).permutation(np.arange(1.0, 1001.0))

    row = by_stat(component_rows("spawn", SECONDS, [values]))["p50"]

    assert (row["value"], row["ci_low"], row["ci_high"]) == (500.5, 469.0, 532.0)
    assert (row["n"], row["ci_method"], row["quality"]) == (1000, "order statistics", "ok")


def test_the_tail_of_a_rate_is_its_low_end() -> None:
    values = np.random.default_rng(3).permutation(np.arange(1.0, 1001.0))

    rows = by_stat(component_rows("copy", RATE, [values]))

    assert list(rows) == ["p50", "p10", "p5", "p1"]
    assert rows["p10"]["value"] == pytest.approx(100.9)  # 1 + 0.1 · 999


def test_below_the_sample_floor_there_is_no_number() -> None:
    rows = by_stat(component_rows("spawn", SECONDS, [np.random.default_rng(1).random(100)]))

    assert math.isfinite(rows["p90"]["value"])  # needs 36
    assert math.isnan(rows["p99"]["value"])  # needs 368
    assert rows["p99"]["quality"] == "not estimable: needs n ≥ 368"


def test_dependent_iterations_are_worth_fewer() -> None:
    steps = np.random.default_rng(5).normal(size=2000)
    walk = np.zeros(2000)
    for place in range(1, 2000):
        walk[place] = 0.95 * walk[place - 1] + steps[place]

    row = by_stat(component_rows("copy", SECONDS, [np.exp(walk / 10)]))["p50"]

    assert row["n_eff"] < 400
    assert "n_eff" in row["ci_method"]


def test_repetitions_are_joined_on_the_logarithm_from_three_on() -> None:
    # medians 1, 2 and 4: the geometric mean is 2, whatever the iterations inside
    flat = [np.full(1000, value) for value in (1.0, 2.0, 4.0)]

    assert by_stat(component_rows("x", SECONDS, flat[:2]), None) == {}
    joined = by_stat(component_rows("x", SECONDS, flat), None)["p50"]
    # t(0.975, 2) = 4.3027; s of (0, ln 2, ln 4) is ln 2; half = 4.3027 · ln 2 / √3 = 1.7219
    assert joined["value"] == pytest.approx(2.0)
    assert joined["ci_high"] == pytest.approx(2 * math.exp(1.7219), rel=1e-3)
    assert joined["n"] == 3


def test_what_is_wrong_with_a_repetition_stands_beside_its_numbers() -> None:
    rows = component_rows("x", SECONDS, [np.arange(1.0, 501.0)], [["500 of 1000 iterations"]])

    assert all("500 of 1000 iterations" in row["quality"] for row in rows)


def test_what_is_not_there_has_no_number() -> None:
    row = missing_row("copy", "not available", "no CUDA driver")

    assert math.isnan(row["value"])
    assert row["quality"] == "missing: no CUDA driver"


def test_warm_up_is_left_out_and_repetitions_are_kept_apart() -> None:
    samples = {
        "repetition": np.array([1, 1, 1, 2, 2]),
        "warmup": np.array([True, False, False, True, False]),
        "seconds": np.array([9.0, 1.0, 2.0, 9.0, 3.0]),
    }

    first, second = values_of(samples, "seconds")

    assert (first.tolist(), second.tolist()) == ([1.0, 2.0], [3.0])


@given(st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=400), st.sampled_from([SECONDS, RATE]))
def test_a_value_lies_in_its_interval_and_the_tail_is_no_better_than_the_median(
    values: list[float], metric: dict
) -> None:
    rows = by_stat(component_rows("x", metric, [np.array(values)]))

    known = [row for row in rows.values() if math.isfinite(row["value"])]
    for row in known:
        assert row["ci_low"] <= row["value"] * (1 + 1e-12)
        assert row["value"] <= row["ci_high"] * (1 + 1e-12)
    ordered = [row["value"] for row in known]
    assert ordered == sorted(ordered, reverse=metric["better"] == "higher")
