"""Slopes with intervals, and what is called steady, growing and undecided."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.scenarios.stability import BLOCKS, HOUR, Stability, stability_rows
from escalade.analysis.stats.slope import MIN_POINTS, theil_sen
from unit.analysis.builders import GOOD_CLIENT, NODE_TARGET, Request, Step, cell, scraped, up

SECONDS = 3600.0
WANTED = Stability(least_seconds=SECONDS, memory_per_hour=0.01, latency_per_hour=0.05)
SERVICE = {"role": "service", **NODE_TARGET}
MEMORY = "escalade_process_resident_memory_bytes"


def hour(
    leak: float = 0.0, drift: float = 0.0, seconds: float = SECONDS, **changes: Any
) -> dict[str, dict[str, Any]]:
    """Give the rows of an hour whose memory and latency grow by these shares of 1 GB and 1 s."""
    rng = np.random.default_rng(7)
    times = np.linspace(0, seconds, 600, endpoint=False)
    part = times / SECONDS
    requests = [
        Request(float(at), latency=float(1 + drift * share + 0.01 * noise), sent=float(at))
        for at, share, noise in zip(times, part, rng.normal(size=600), strict=True)
    ]
    levels = 1e9 * (1 + leak * part + 1e-4 * rng.normal(size=600))
    samples = scraped(MEMORY, SERVICE, dict(zip(times.tolist(), levels.tolist(), strict=True)))
    settings: dict[str, Any] = {"client": GOOD_CLIENT, "samples": samples} | changes
    data = cell(Step(requests, seconds=seconds, **settings))
    rows = stability_rows(WANTED, [data], [])
    assert json.loads(json.dumps(rows, allow_nan=False)) == rows
    return {row["quantity"]: row for row in rows}


def test_the_slope_is_the_median_of_all_pairs() -> None:
    # ten points on 2 t, one of them wild: of 45 pairs' slopes 36 are 2
    times = np.arange(10.0)
    values = 2 * times
    values[4] = 100.0

    assert theil_sen(times, values).value == pytest.approx(2.0)


def test_it_agrees_with_scipy_where_points_are_independent() -> None:
    rng = np.random.default_rng(3)
    times = np.sort(rng.uniform(0, 100, 40))
    values = 0.3 * times + rng.permutation(np.tile([-1.0, 1.0], 20)) * rng.uniform(0, 1, 40)
    found = theil_sen(times, values)

    theirs = stats.theilslopes(values, times, 0.95)

    assert found.value == pytest.approx(theirs.slope)
    assert found.inflation >= 1
    # theirs rounds ranks to the nearest, ours outwards; both widen with the square root
    assert found.low <= theirs.low_slope
    assert found.high >= theirs.high_slope


def test_dependent_points_widen_the_interval() -> None:
    rng = np.random.default_rng(5)
    steps = rng.normal(size=60)
    walk = np.empty(60)
    walk[0] = steps[0]
    for place in range(1, 60):
        walk[place] = 0.8 * walk[place - 1] + steps[place]
    times = np.arange(60.0)

    dependent, shuffled = theil_sen(times, walk), theil_sen(times, rng.permutation(walk))

    assert dependent.inflation > 3 > shuffled.inflation
    assert dependent.high - dependent.low > shuffled.high - shuffled.low


def test_a_constant_has_no_slope_and_an_interval_of_nothing() -> None:
    found = theil_sen(np.arange(20.0), np.full(20, 5.0))

    assert (found.value, found.low, found.high, found.inflation) == (0, 0, 0, 1)


@pytest.mark.parametrize("count", [0, 1, MIN_POINTS - 1])
def test_too_few_points_have_no_slope(count: int) -> None:
    found = theil_sen(np.arange(float(count)), np.ones(count))

    assert not found.known
    assert math.isnan(found.low)


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=MIN_POINTS, max_size=40),
    st.floats(-10, 10),
    st.floats(0.1, 10),
)
def test_slopes_follow_shift_and_scale_and_lie_in_their_intervals(
    values: list[float], more: float, scale: float
) -> None:
    times = np.arange(float(len(values)))
    found = theil_sen(times, np.array(values))
    moved = theil_sen(times, scale * np.array(values) + more * times)

    assert found.low <= found.value <= found.high
    assert moved.value == pytest.approx(scale * found.value + more, abs=1e-6)


def test_memory_that_leaks_is_found_and_latency_beside_it_is_steady() -> None:
    rows = hour(leak=0.05)

    memory, latency = rows["service_memory_bytes"], rows["latency_seconds"]
    assert memory["status"] == "grows"
    assert memory["slope_per_hour"] == pytest.approx(0.05e9, rel=0.03)
    assert memory["ci_low"] < memory["slope_per_hour"] < memory["ci_high"]
    assert memory["level"] == pytest.approx(1.025e9, rel=0.01)
    assert latency["status"] == "steady"
    assert (latency["points"], latency["unit"]) == (BLOCKS, "s")


def test_latency_that_drifts_is_found() -> None:
    rows = hour(drift=0.2)

    assert rows["latency_seconds"]["status"] == "grows"
    assert rows["latency_seconds"]["slope_per_hour"] == pytest.approx(0.2, rel=0.1)
    assert rows["service_memory_bytes"]["status"] == "steady"


def test_what_falls_is_steady() -> None:
    assert hour(leak=-0.2)["service_memory_bytes"]["status"] == "steady"


def test_growth_on_the_limit_is_undecided_and_says_how_long_would_decide() -> None:
    # the level is that of the middle: 1 % of 1.005 GB
    row = hour(leak=0.01005)["service_memory_bytes"]

    assert row["status"] == "undecided"
    assert "times as long would decide" in row["words"] or "no reasonable" in row["words"]


def test_minutes_say_nothing_about_hours() -> None:
    row = hour(leak=5.0, seconds=600.0)["service_memory_bytes"]

    assert row["status"] == "undecided"
    assert "a window of 600 s says nothing about hours: 3600 s are asked for" in row["words"]
    assert row["slope_per_hour"] > 0


def test_without_samples_nothing_is_said_of_memory() -> None:
    row = hour(samples=())["service_memory_bytes"]

    assert (row["status"], row["slope_per_hour"], row["points"]) == ("undecided", None, 0)
    assert row["words"] == "0 of 30 parts of the window have enough samples, 10 are needed"


def test_a_step_that_a_gate_makes_invalid_is_undecided() -> None:
    data = cell(
        Step(
            [Request(6.0 * at) for at in range(600)],
            seconds=SECONDS,
            client={**GOOD_CLIENT, "suspended_seconds": 30.0},
            samples=up(NODE_TARGET, [0.0]),
        )
    )
    gate = {"cell": data.name, "step": 1, "gate": "client_suspended", "outcome": "fail"}
    gates = [{**gate, "invalidates": True, "detail": "stopped"}]

    rows = stability_rows(WANTED, [data], gates)

    assert {row["status"] for row in rows} == {"undecided"}
    assert "gate client_suspended: stopped" in rows[1]["words"]


def test_a_step_that_did_not_run_has_no_row() -> None:
    assert stability_rows(WANTED, [cell(Step(outcome="not_run"))], []) == []


def test_it_leaves_the_kpis_alone() -> None:
    data = cell(Step([Request(0.0)]))
    before = cell_kpis(data)
    stability_rows(WANTED, [data], [])

    assert cell_kpis(data).equals(before)
    assert HOUR == 3600
