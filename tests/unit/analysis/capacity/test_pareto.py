"""The front of latency and throughput."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from escalade.analysis.capacity.pareto import front, front_rows
from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import Slo
from unit.analysis.builders import Request, Step, cell

POINTS = st.lists(
    st.tuples(st.integers(0, 9).map(float), st.integers(0, 9).map(float)), min_size=1, max_size=25
)


def test_a_point_is_on_the_front_when_none_has_both_more_throughput_and_less_latency() -> None:
    # (2, 0.5) is beaten by (3, 0.4); (1, 0.3) and (3, 0.4) beat each other in one
    assert front([(1.0, 0.3), (3.0, 0.4), (2.0, 0.5)]) == {0, 1}


def test_equal_points_do_not_beat_each_other() -> None:
    assert front([(1.0, 0.3), (1.0, 0.3)]) == {0, 1}


@given(POINTS)
def test_the_front_is_never_empty_and_beats_everything_else(
    points: list[tuple[float, float]],
) -> None:
    best = front(points)

    assert best
    for place, (rate, seconds) in enumerate(points):
        beaten = any(points[b][0] >= rate and points[b][1] <= seconds for b in best - {place})
        assert place in best or beaten


def steps(latency: float) -> list[Step]:
    """Give two steps of 1 and 2 requests per second, each answered after the same time."""
    return [
        Step([Request(at / rate, latency=latency) for at in range(80 * rate)], 80.0, float(rate))
        for rate in (1, 2)
    ]


def test_the_deployments_of_a_campaign_are_set_against_each_other() -> None:
    cells = [cell(*steps(0.5), deployment="slow"), cell(*steps(0.1), deployment="quick")]
    kpis = pd.concat([cell_kpis(c) for c in cells], ignore_index=True)

    rows = front_rows(kpis, cells, [], [])

    # both do 1 and 2 requests/s; the quick one in a fifth of the time, so that its faster step
    # beats the slow ones, and its slower step for the same latency
    said = [(row["deployment"], row["target_qps"], row["on_front"]) for row in rows]
    assert said == [
        ("slow", 1.0, False),
        ("slow", 2.0, False),
        ("quick", 1.0, False),
        ("quick", 2.0, True),
    ]
    assert {row["stat"] for row in rows} == {"p90"}


def test_an_invalid_step_is_not_among_them_and_the_judged_percentile_is_taken() -> None:
    cells = [cell(*steps(0.5), deployment="slow"), cell(*steps(0.1), deployment="quick")]
    kpis = pd.concat([cell_kpis(c) for c in cells], ignore_index=True)
    bad = {"cell": cells[1].name, "step": 2, "invalidates": True, "outcome": "fail"}
    slo = Slo("fast", "latency_seconds", "p95", 1.0)
    gates = [bad, *cell_gates(cells[0], kpis[kpis["cell"] == cells[0].name])]
    gates = [{**row, "outcome": "pass"} if row is not bad else row for row in gates]

    rows = front_rows(kpis, cells, gates, [replace(slo, stat="p50"), slo])

    assert [(row["deployment"], row["step"]) for row in rows] == [
        ("slow", 1),
        ("slow", 2),
        ("quick", 1),
    ]
    assert {row["stat"] for row in rows} == {"p95"}


def test_one_deployment_has_no_front_to_be_on() -> None:
    only = cell(*steps(0.5))

    assert front_rows(cell_kpis(only), [only], [], []) == []
