"""Objectives with a lower limit: rates of answers, and recall."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.analysis.capacity.slo_capacity import slo_capacity
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData, Slo
from escalade.analysis.verdicts.judge import judge
from escalade.analysis.verdicts.sample_size import more_requests
from unit.analysis.builders import (
    GOOD_CLIENT,
    NODE_TARGET,
    Queue,
    Request,
    Step,
    cell,
    queue_step,
    up,
)

SECONDS = [float(at) for at in range(-2, 13)]
FAST = Slo("fast", "latency_seconds", "p90", 0.5)


def at_least(limit: float, metric: str = "throughput_qps", **changes: Any) -> Slo:
    stat = "mean" if metric == "recall_at_k" else "value"
    return replace(Slo("enough", metric, stat, limit, at_least=True), **changes)


def steady(latencies: list[float] | None = None, **changes: Any) -> Step:
    """Give 100 requests in ten seconds, each answered after 50 ms by default."""
    requests = [
        Request(0.1 * at, latency=(latencies or [0.05] * 100)[at], sent=0.1 * at + 0.0002)
        for at in range(100)
    ]
    samples = up(NODE_TARGET, SECONDS)
    return replace(Step(requests, target_qps=10.0, client=GOOD_CLIENT, samples=samples), **changes)


def verdicts(data: CellData | list[CellData], *slos: Slo) -> list[dict[str, Any]]:
    cells = data if isinstance(data, list) else [data]
    kpis = pd.concat([cell_kpis(each, slos) for each in cells], ignore_index=True)
    rows = judge(kpis, cells, slos)["slos"]
    return [row for row in rows if row["slo"] == slos[0].name]


@pytest.mark.parametrize(
    ("limit", "verdict"),
    # 100 answers in 10 s; Garwood's interval of a count of 100 is 81.36 to 121.63
    [(8.0, "PASS"), (8.13, "PASS"), (8.2, "INCONCLUSIVE"), (10.0, "INCONCLUSIVE")],
)
def test_a_throughput_passes_when_its_whole_interval_reaches_the_minimum(
    limit: float, verdict: str
) -> None:
    (row,) = verdicts(cell(steady()), at_least(limit))

    assert (row["verdict"], row["at_least"]) == (verdict, True)
    assert f"at least {limit:g} 1/s" in row["reason"]


def test_a_throughput_that_is_not_reached_fails() -> None:
    half = [0.05 if at % 2 else 30.0 for at in range(100)]  # 50 end in the window: 3.7 to 6.6

    (row,) = verdicts(cell(steady(half)), at_least(8.0))

    assert row["verdict"] == "FAIL"
    assert row["value"] == pytest.approx(5.0)


def test_how_much_more_would_decide_counts_from_the_lower_bound() -> None:
    (row,) = verdicts(cell(steady()), at_least(9.0))

    # (10 − 8.136)² / (10 − 9)² = 3.47 times the sample
    assert "about 250 more requests would decide" in row["reason"]


def test_a_rate_is_not_judged_where_less_is_asked_for() -> None:
    data = cell(replace(steady(), target_qps=5.0), steady())

    assert [row["step"] for row in verdicts(data, at_least(8.0))] == [2]
    (row,) = verdicts(data, at_least(12.0))
    assert row["verdict"] == "NOT_RUN"
    assert row["reason"] == "the cell has no step at 12 requests/s or more"


def test_goodput_is_that_of_the_objective_it_names() -> None:
    slow = [0.05 if at % 5 else 2.0 for at in range(100)]  # one in five is too slow
    strict = replace(FAST, name="strict", limit=0.01)
    good = at_least(6.0, "goodput_qps", of="fast")

    (row,) = verdicts(cell(steady(slow)), good, FAST, strict)
    (none,) = verdicts(cell(steady(slow)), replace(good, of="strict"), FAST, strict)

    assert (row["verdict"], row["of"]) == ("PASS", "fast")
    assert row["value"] == pytest.approx(8.0)
    assert (none["verdict"], none["value"]) == ("FAIL", 0.0)


def test_an_overloaded_service_has_a_throughput_but_no_lasting_goodput() -> None:
    data = cell(queue_step(20.0, 60.0, seed=4, queue=Queue(capacity=10.0)))

    (throughput,) = verdicts(data, at_least(8.0, at_qps=20.0))
    loose = replace(FAST, limit=60.0)  # all are within a minute, in so short a window
    (goodput,) = verdicts(data, at_least(8.0, "goodput_qps", of="fast", at_qps=20.0), loose)

    assert throughput["verdict"] == "PASS"
    assert goodput["verdict"] == "INCONCLUSIVE"
    assert "over-saturated" in goodput["reason"]


def recalling(*values: float) -> CellData:
    data = cell(steady())
    return replace(
        data, requests=data.requests.assign(note_recall=pd.Series(values, dtype="Float64"))
    )


def test_recall_has_a_minimum() -> None:
    values = [1.0, 0.9] * 50  # mean 0.95, standard error 0.005

    (kept,) = verdicts(recalling(*values), at_least(0.9, "recall_at_k"))
    (missed,) = verdicts(recalling(*values), at_least(0.98, "recall_at_k"))

    assert (kept["verdict"], missed["verdict"]) == ("PASS", "FAIL")
    assert kept["value"] == pytest.approx(0.95)


def test_repetitions_are_judged_by_their_lower_bound_and_recall_never_exceeds_one() -> None:
    cells = [
        replace(
            recalling(*([value] * 100)),
            cell={"cell": f"c{place}", "deployment": "d", "repetition": place},
        )
        for place, value in enumerate((0.96, 0.99, 0.97), start=1)
    ]

    row = verdicts(cells, at_least(0.9, "recall_at_k", at_qps=10.0))[-1]

    assert (row["cell"], row["verdict"]) == (None, "PASS")
    assert row["ci_high"] == 1.0  # t on the logarithm would say 1.01


def ladder_of(values: dict[float, float], metric: str, stat: str) -> pd.DataFrame:
    rows = [
        {"step": step, "target_qps": rate, "metric": metric, "stat": stat, "value": value}
        | {"ci_low": value / 1.02, "ci_high": value * 1.02, "n": 100, "quality": "ok", "source": ""}
        for step, (rate, value) in enumerate(values.items(), start=1)
    ]
    return pd.DataFrame(rows)


def test_the_rate_up_to_which_recall_holds_is_interpolated() -> None:
    kpis = ladder_of({2.0: 0.99, 4.0: 0.95, 8.0: 0.5}, "recall_at_k", "mean")

    found = slo_capacity(kpis, [], [at_least(0.9, "recall_at_k")])

    # log(0.95 / 0.9) / log(0.95 / 0.5) of the way from 4 to 8
    assert found.qps == pytest.approx(4 + 4 * math.log(0.95 / 0.9) / math.log(0.95 / 0.5))
    assert found.low < found.qps < found.high
    assert "recall_at_k mean ≥ 0.9" in found.reason


def test_a_rate_of_answers_says_nothing_about_the_highest_rate() -> None:
    kpis = ladder_of({2.0: 2.0, 4.0: 4.0}, "throughput_qps", "value")

    assert slo_capacity(kpis, [], [at_least(3.0)]).reason == "no SLO"


numbers = st.floats(0.01, 100.0)


@given(numbers, numbers, numbers)
def test_a_lower_limit_is_the_upper_limit_of_the_reciprocal(
    limit: float, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    lower = at_least(limit)
    upper = Slo("a", "latency_seconds", "p90", 1 / limit)
    near = any(math.isclose(each, limit, rel_tol=1e-9) for each in (low, high))

    assert near or lower.holds(low, high) == upper.holds(1 / high, 1 / low)
    assert near or lower.fails(low, high) == upper.fails(1 / high, 1 / low)
    assert not (lower.holds(low, high) and lower.fails(low, high))
    assert not lower.holds(math.nan, math.nan)
    assert not lower.fails(math.nan, math.nan)


@given(st.floats(0.5, 20.0), st.floats(0.1, 0.4), st.sampled_from([-1, 1]))
def test_more_requests_are_needed_the_closer_the_limit(
    value: float, share: float, side: int
) -> None:
    row = {"n": 100, "n_eff": 100.0, "value": value, "ci_low": value * 0.5, "ci_high": value * 1.5}

    def needed(distance: float) -> int:
        limit = value * (1 + side * distance)
        words = more_requests(row, at_least(limit), 0.0)
        return int(next(word for word in words.split() if word.isdigit()))

    assert needed(share / 2) >= needed(share)


def test_without_an_interval_nothing_is_decided_and_the_reason_says_why() -> None:
    data = recalling(*([0.5] * 100))
    data = replace(data, requests=data.requests.assign(note_query=np.arange(100.0) % 2))

    (row,) = verdicts(data, at_least(0.9, "recall_at_k"))

    assert row["verdict"] == "INCONCLUSIVE"
    assert "2 different queries, needs 10" in row["reason"]
