"""Later turns count as offered when they became due, and not for the gates on the schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from escalade.analysis.capacity.slo_capacity import slo_capacity
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import Slo
from escalade.analysis.verdicts.judge import judge
from unit.analysis.builders import Request, Step, cell

if TYPE_CHECKING:
    from escalade.analysis.measured.cell import CellData

FIRST = [Request(planned=float(k), latency=0.4, chunks=(0.3, 0.4)) for k in range(10)]
# Second turns of the first four, sent with their histories from the cache.
LATER = [
    Request(planned=k + 0.401, latency=0.2, chunks=(0.1, 0.2), input_tokens=40, cached_tokens=30)
    for k in range(4)
]


def talks() -> CellData:
    """Give ten conversations, one a second, of which four went on and six did not."""
    never = [Request(planned=9.9, latency=None, error="not_due")] * 6
    data = cell(Step([*FIRST, *LATER, *never]))
    log = data.requests
    log["conversation"] = pd.array([*range(10), *range(10)], dtype="Int32")
    log["turn"] = pd.array([1] * 10 + [2] * 10, dtype="Int16")
    log.loc[log["error"] == "not_due", ["planned_at", "sent_at"]] = float("nan")
    return data


def value(kpis: pd.DataFrame, metric: str, stat: str = "value", turn: str = "") -> float:
    label = f'{{turn="{turn}"}}' if turn else ""
    rows = kpis[(kpis["source"] == f"requests.parquet{label}") & (kpis["stat"] == stat)]
    (found,) = rows[rows["metric"] == metric]["value"]
    return float(found)


def test_what_became_due_is_offered_and_the_rest_is_counted_apart() -> None:
    kpis = cell_kpis(talks())

    assert value(kpis, "offered_qps") == pytest.approx(1.4)
    assert value(kpis, "offered_qps", turn="first turn") == pytest.approx(1.0)
    assert value(kpis, "offered_qps", turn="later turns") == pytest.approx(0.4)
    assert value(kpis, "turns_not_due") == 6
    assert value(kpis, "error_ratio") == 0
    assert value(kpis, "throughput_qps") == pytest.approx(1.4)


def test_the_rate_at_which_objectives_hold_is_one_of_requests() -> None:
    data = talks()
    slos = [Slo("fast", "latency_seconds", "p50", 1.0)]

    found = slo_capacity(cell_kpis(data, slos), [], slos)
    assert found.qps == pytest.approx(1.4)  # of 1.0 conversations a second


def test_later_turns_show_what_a_prefix_cache_is_worth() -> None:
    kpis = cell_kpis(talks())

    assert value(kpis, "cached_token_ratio", turn="first turn") == 0
    assert value(kpis, "cached_token_ratio", turn="later turns") == pytest.approx(0.75)
    assert value(kpis, "ttft_seconds", "mean", "first turn") == pytest.approx(0.3)
    assert value(kpis, "ttft_seconds", "mean", "later turns") == pytest.approx(0.1)


def test_gates_on_rate_and_gaps_judge_what_the_schedule_says() -> None:
    data = talks()
    kpis = cell_kpis(data)
    gates = {gate["gate"]: gate for gate in judge(kpis, [data], [])["gates"]}

    assert value(kpis, "planned_gap_cv") == pytest.approx(0, abs=1e-6)  # one a second
    assert gates["arrival_rate"]["outcome"] == "pass"
    assert "of the 1 that" in gates["arrival_rate"]["detail"]
    assert gates["gap_cv"]["outcome"] == "pass"
    # A first turn that leaves late is seen, though later turns fill the gap.
    data.requests.loc[9, "sent_at"] += 0.5
    late = {gate["gate"]: gate for gate in judge(cell_kpis(data), [data], [])["gates"]}
    assert late["arrival_rate"]["outcome"] == "fail"
