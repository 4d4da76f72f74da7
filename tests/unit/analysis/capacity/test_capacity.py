"""Capacity of a ladder: two segments, lower bounds, collapse, repetitions, objectives."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from escalade.analysis.capacity.capacity import (
    Rung,
    deployment_capacity,
    fitted,
    ladder_capacity,
    two_segments,
)
from escalade.analysis.capacity.slo_capacity import SloCapacity, bounded, slo_capacity
from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import Slo
from escalade.analysis.stats.scalability import Scalability, scalability
from unit.analysis.builders import Queue, ladder


def rung(step: int, offered: float, throughput: float, seconds: float = 100.0) -> Rung:
    return Rung(
        step, offered, throughput, round(throughput * seconds), piles_up=throughput < 0.97 * offered
    )


def test_two_segments_by_hand() -> None:
    offered = np.array([2.0, 4.0, 6.0, 8.0])

    assert two_segments(offered, np.array([[2.0, 4.0, 5.0, 5.2]]), np.ones(4)) == pytest.approx(
        [5.1]
    )


def test_a_capacity_never_exceeds_the_rate_that_was_offered() -> None:
    assert two_segments(np.array([2.0, 4.0]), np.array([[2.0, 4.4]]), np.ones(2)) == pytest.approx(
        [4.0]
    )


def test_the_knee_of_a_known_queue_is_found() -> None:
    data = ladder([3.0, 6.0, 9.0, 14.0], seconds=60.0, queue=Queue(capacity=10.0))
    kpis = cell_kpis(data)

    found = ladder_capacity(kpis, cell_gates(data, kpis), [])

    assert found["capacity_qps"] == pytest.approx(10.0, rel=0.01)
    assert found["ci_low"] < 10.0 < found["ci_high"]
    assert found["saturated"]
    assert found["steps_used"] == [1, 2, 3, 4]
    assert found["slo_reason"] == "no SLO"


def test_without_saturation_there_is_a_lower_bound_and_no_number() -> None:
    found = fitted([rung(1, 2.0, 2.0), rung(2, 4.0, 3.98)], seed=1)

    assert np.isnan(found.qps)
    assert found.low == pytest.approx(3.98)
    assert not found.saturated
    assert found.reason.startswith("at least 3.98 requests/s: no valid step went beyond saturation")


def test_lagging_throughput_without_backlog_or_errors_is_no_saturation() -> None:
    edge = replace(rung(2, 4.0, 3.8), piles_up=False)  # answers fell beyond the window's end

    assert not fitted([rung(1, 2.0, 2.0), edge], seed=1).saturated


def test_a_collapse_is_flagged_and_bracketed() -> None:
    found = fitted([rung(1, 4.0, 4.0), rung(2, 8.0, 7.5), rung(3, 12.0, 5.0)], seed=1)

    assert found.collapse
    assert (found.low, found.high) == (4.0, 8.0)  # the best stable step, and the first that was not
    assert 4.0 <= found.qps <= 8.0
    assert found.reason.startswith(
        "collapse: throughput fell from 7.5 at 8 offered requests/s to 5 at 12"
    )


def test_the_scalability_law_is_recovered_and_its_peak_is_the_capacity() -> None:
    law = Scalability(contention=0.01, crosstalk=0.0016)  # its peak: 1 / (0.01 + 2 * 0.04), at 25/s
    offered = np.array([2.0, 10.0, 20.0, 30.0, 60.0, 90.0])
    exact = law.throughput(offered)

    found = scalability(offered, exact, np.ones(6))

    assert (found.contention, found.crosstalk) == pytest.approx((0.01, 0.0016))
    assert found.peak == pytest.approx(1 / 0.09)
    assert exact.max() <= found.peak


@pytest.mark.parametrize(
    ("throughput", "expected"),
    [
        ([2.0, 4.0, 8.0], (0.0, 0.0)),  # follows what is offered: nothing limits it
        ([2 / 1.4, 4 / 1.8, 8 / 2.6], (0.2, 0.0)),  # levels off
        ([2 / 1.4, 4 / 2.6, 8 / 7.4], (0.0, 0.1)),  # turns back
        ([2.0, 4 / 0.9, 8.0], (0.0, 0.0)),  # noise above what was offered
        ([0.0, 0.0, 0.0], (0.0, 0.0)),
    ],
)
def test_the_scalability_law_at_its_limits(
    throughput: list[float], expected: tuple[float, float]
) -> None:
    found = scalability(np.array([2.0, 4.0, 8.0]), np.array(throughput), np.ones(3))

    assert (found.contention, found.crosstalk) == pytest.approx(expected, abs=1e-9)


def test_a_service_that_was_never_stable_has_no_capacity_but_a_collapse() -> None:
    found = fitted([rung(1, 8.0, 7.0), rung(2, 12.0, 5.0)], seed=1)

    assert found.collapse
    assert np.isnan(found.qps)
    assert np.isnan(found.low)
    assert found.high == 8.0
    assert "add lower steps" in found.reason


def test_a_dip_within_chance_is_no_collapse_but_said() -> None:
    found = fitted([rung(1, 4.0, 4.0, 20), rung(2, 8.0, 5.2, 20), rung(3, 12.0, 5.0, 20)], seed=1)

    assert found.qps == pytest.approx(5.1)
    assert "3.8 % below the best step, within chance" in found.reason


def test_no_valid_step_is_no_capacity() -> None:
    found = fitted([], seed=1)

    assert np.isnan(found.qps)
    assert found.reason == "no valid step"


def test_the_interval_is_drawn_from_the_cells_own_seed() -> None:
    steps = [rung(1, 4.0, 4.0, 30), rung(2, 8.0, 5.0, 30)]

    assert fitted(steps, seed=1) == fitted(steps, seed=1)
    assert fitted(steps, seed=1).low != fitted(steps, seed=2).low


def test_the_interval_covers_the_rate_of_a_poisson_server() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for seed in range(100):
        counts = rng.poisson(5.0 * 60, 2)
        steps = [
            rung(1, 3.0, 3.0, 60),
            *(Rung(2 + k, 8.0 + k, counts[k] / 60, int(counts[k]), piles_up=True) for k in (0, 1)),
        ]
        found = fitted(steps, seed)
        covered += found.low <= 5.0 <= found.high
    assert covered >= 88


def kpis_of(
    metric: str, stat: str, values: dict[float, float], quality: str = "ok"
) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "step": step,
                "target_qps": qps,
                "metric": metric,
                "stat": stat,
                "source": "requests.parquet",
                "value": value,
                "ci_low": 0.625 * value,
                "ci_high": 2.0 * value,
                "n": 100,
                "quality": quality
                if np.isfinite(value)
                else "not estimable: 30 % of requests failed",
            }
            for step, (qps, value) in enumerate(values.items(), start=1)
        ]
    )


P90 = Slo("fast", "latency_seconds", "p90", 1.0)


def test_of_several_steps_at_one_rate_that_with_the_most_requests_counts() -> None:
    kpis = kpis_of("latency_seconds", "p90", {2.0: 0.25, 4.0: 2.0, 8.0: 4.0})
    longer = kpis[kpis["target_qps"] == 4.0].assign(step=4, value=0.5, n=200)

    found = slo_capacity(pd.concat([kpis, longer]), [], [P90])

    assert found.qps == pytest.approx(4 + 4 * np.log(2) / np.log(8))  # between 0.5 at 4 and 4 at 8


def test_the_slo_capacity_is_interpolated_on_the_logarithm() -> None:
    kpis = kpis_of("latency_seconds", "p90", {2.0: 0.25, 4.0: 0.5, 8.0: 2.0})

    found = slo_capacity(kpis, [], [P90])

    assert found.qps == pytest.approx(6.0)  # 0.5 → 1 → 2: half of the way on the logarithm
    assert "by point estimates kept at 4 and missed at 8 requests/s; interpolated" in found.reason
    # Twice the values reach 1 at 4; five eighths of them are 5/16 at 4 and 5/4 at 8.
    assert (found.low, found.high) == (
        pytest.approx(4.0),
        pytest.approx(4 + 4 * math.log(3.2) / math.log(4)),
    )


@pytest.mark.parametrize(
    ("intervals", "low", "high"),
    [
        ({2.0: (0.1, 0.4), 4.0: (0.3, 0.9), 8.0: (1.2, 4.0)}, 4.3, 7.2),  # both are crossed
        ({2.0: (0.1, 0.4), 4.0: (0.3, math.inf), 8.0: (1.2, 4.0)}, 2.0, 7.2),  # not bounded at 4
        ({2.0: (0.1, 1.4), 4.0: (0.3, 2.0), 8.0: (1.2, 4.0)}, math.nan, 7.2),  # nowhere for sure
        ({2.0: (0.1, 0.4), 4.0: (0.3, 0.9), 8.0: (0.8, 4.0)}, 4.3, math.nan),  # missed nowhere
        ({2.0: (0.1, 0.4), 4.0: (-math.inf, 0.9), 8.0: (1.2, 4.0)}, 4.3, 8.0),
        ({2.0: (0.1, 0.4), 4.0: (math.nan, math.nan), 8.0: (1.2, 4.0)}, 2.0, 8.0),
    ],
)
def test_the_interval_of_the_slo_capacity_is_where_the_statistics_intervals_cross(
    intervals: dict[float, tuple[float, float]], low: float, high: float
) -> None:
    kpis = kpis_of("latency_seconds", "p90", {2.0: 0.2, 4.0: 0.5, 8.0: 2.0})
    kpis["ci_low"], kpis["ci_high"] = zip(*intervals.values(), strict=True)

    found = slo_capacity(kpis, [], [P90])

    # (1 / 0.9) of (4 / 0.9) and (1 / 0.3) of (1.2 / 0.3), on the logarithm, of the way from 4 to 8
    assert found.low == pytest.approx(low, abs=0.1, nan_ok=True)
    assert found.high == pytest.approx(high, abs=0.3, nan_ok=True)
    assert found.method == "where the statistic's interval crosses the limit"


def test_of_several_objectives_each_end_is_that_of_the_first_to_cross() -> None:
    kpis = kpis_of("latency_seconds", "p90", {2.0: 0.25, 4.0: 0.5, 8.0: 2.0})
    loose = replace(P90, name="loose", limit=1.5)

    both, strict = (slo_capacity(kpis, [], slos) for slos in ([loose, P90], [P90]))

    assert (both.qps, both.low, both.high) == (strict.qps, strict.low, strict.high)


def test_an_objective_that_holds_everywhere_is_bounded_from_below_only() -> None:
    found = slo_capacity(kpis_of("latency_seconds", "p90", {2.0: 0.25, 4.0: 0.4}), [], [P90])

    assert (found.qps, found.low) == (4.0, 4.0)
    assert math.isnan(found.high)


@pytest.mark.parametrize(
    ("values", "qps", "reason"),
    [
        ({2.0: 0.2, 4.0: 0.5}, 4.0, "kept up to 4 requests/s, the highest step: at least that"),
        ({2.0: 1.5, 4.0: 2.5}, np.nan, "missed at 2 requests/s, the lowest step"),
        ({2.0: 0.5, 4.0: np.nan}, 2.0, "not interpolated: at the upper one it lies among failed"),
        ({2.0: 0.5, 4.0: 2.0, 6.0: 0.9}, 3.0, "kept at 2 and missed at 4"),
    ],
)
def test_the_slo_capacity_at_the_ends_of_a_ladder(
    values: dict[float, float], qps: float, reason: str
) -> None:
    found = slo_capacity(kpis_of("latency_seconds", "p90", values), [], [P90])

    assert found.qps == pytest.approx(qps, nan_ok=True)
    assert reason in found.reason


def test_the_objective_that_gives_way_first_decides() -> None:
    kpis = kpis_of("latency_seconds", "p90", {2.0: 0.25, 8.0: 4.0})

    found = slo_capacity(kpis, [], [P90, replace(P90, name="strict", limit=0.5)])

    assert found.qps == pytest.approx(3.5)
    assert found.reason.startswith("strict")


def test_an_error_ratio_of_zero_is_not_interpolated() -> None:
    kpis = kpis_of("error_ratio", "value", {2.0: 0.0, 4.0: 0.2})

    found = slo_capacity(kpis, [], [Slo("errors", "error_ratio", "value", 0.01)])

    assert found.qps == 2.0
    assert "not interpolated: the lower one is 0" in found.reason


def test_invalid_steps_are_left_out_and_named() -> None:
    data = ladder([3.0, 6.0, 14.0], seconds=30.0)
    kpis = cell_kpis(data)
    gates = cell_gates(data, kpis)
    for gate in gates:
        if gate["step"] == 3 and gate["gate"] == "client_suspended":
            gate.update(outcome="fail", detail="the client was stopped for 9 s")

    found = ladder_capacity(kpis, gates, [])

    assert found["steps_used"] == [1, 2]
    assert found["capacity_qps"] is None
    assert "step 3 is left out: the client was stopped for 9 s" in found["reason"]


def test_a_ladder_of_ramps_has_no_capacity_and_says_why() -> None:
    data = ladder([3.0, 6.0, 14.0], seconds=30.0)
    for step in data.windows["steps"]:
        step["arrivals"] = "ramp"
    kpis = cell_kpis(data)
    slo = Slo("fast", "latency_seconds", "p50", 100.0)

    found = ladder_capacity(kpis, cell_gates(data, kpis), [slo])

    assert found["capacity_qps"] is None
    assert found["slo_capacity_qps"] is None
    assert found["steps_used"] == []
    assert "steps 1, 2, 3 are left out: the rate changes within the window" in found["reason"]


def row(capacity: float | None, low: float | None = None) -> dict[str, Any]:
    return {
        "deployment": "demo",
        "capacity_qps": capacity,
        "ci_low": low,
        "collapse": False,
        "saturated": capacity is not None,
        "slo_capacity_qps": capacity,
        "steps_used": [1, 2],
    }


def test_a_deployment_joins_its_repetitions_on_the_logarithm() -> None:
    found = deployment_capacity([row(4.0), row(5.0), row(6.25)], [P90])

    assert found["cell"] is None
    assert found["capacity_qps"] == pytest.approx(5.0)
    assert found["ci_low"] < 4.0
    assert found["method"] == "t on the logarithm over repetitions"
    assert found["slo_capacity_qps"] == pytest.approx(5.0)


def test_a_deployment_with_a_repetition_that_never_saturated_has_a_lower_bound() -> None:
    found = deployment_capacity([row(4.0, 3.9), row(5.0, 4.8), row(None, 6.0)], [])

    assert found["capacity_qps"] is None
    assert found["ci_low"] == 3.9
    assert found["reason"].startswith("2 of 3 repetitions have a capacity")
    assert found["saturated"]  # two of them went beyond saturation


def test_a_deployment_is_saturated_when_any_repetition_went_that_far() -> None:
    assert not deployment_capacity([row(None, 6.0)] * 3, [])["saturated"]
    assert deployment_capacity([row(None, 6.0), row(None, 6.0), row(4.0, 3.9)], [])["saturated"]


def test_what_only_the_point_estimate_says_is_told_as_that() -> None:
    kpis = kpis_of("latency_seconds", "p90", {2.0: 0.5, 4.0: 2.0})
    kpis["ci_high"] = [math.inf, math.inf]

    found = slo_capacity(kpis, [], [P90])

    assert "by point estimates kept at 2 (its interval leaves that open) and missed" in found.reason
    assert math.isnan(found.low)


@pytest.mark.parametrize(
    ("interpolated", "capacity", "expected"),
    [(5.2, 4.8, 4.8), (4.5, 4.8, 4.5), (5.2, math.nan, 5.2)],
)
def test_an_slo_capacity_is_never_above_the_capacity(
    interpolated: float, capacity: float, expected: float
) -> None:
    found = bounded(SloCapacity(interpolated, "interpolated"), capacity)

    assert found.qps == expected
    assert bounded(SloCapacity(interpolated, "", 4.0, 6.0), capacity, 5.5).high == 5.5
    assert ("not above the capacity" in found.reason) == (expected < interpolated)
