"""What several workers say of one step: sums where they add up, else the worst of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.load.rows import PlannedRows
from escalade.load.schedule import StepPlan
from escalade.load.workers import joined


def report(**changes: Any) -> dict[str, Any]:
    client = {
        "cpu_seconds": 2.0,
        "wall_seconds": 10.0,
        "cpu_ratio": 0.2,
        "cores": 1,
        "event_loop_lag_seconds": {"p50": 0.001, "p99": 0.002, "max": 0.003},
        "steal_ratio": 0.0,
        "users": 10,
        "backlog_max": 0,
        "suspended_seconds": 0.0,
    }
    times = {"started_at": 5.0, "window_start": 6.0, "window_end": 16.0, "drained_at": 17.0}
    own = {name: changes.pop(name) for name in list(changes) if name in client}
    return {**times, "drained": True, "complete": True, **changes, "client": client | own}


def test_one_worker_speaks_for_itself() -> None:
    alone = report()

    assert joined([alone])["client"] == alone["client"] | {"workers": 1}
    assert joined([alone])["drained_at"] == 17.0


def test_times_add_up_and_the_worst_is_told() -> None:
    slow = report(
        cpu_seconds=5.0,
        cpu_ratio=0.5,
        users=30,
        backlog_max=2,
        drained_at=20.0,
        drained=False,
        event_loop_lag_seconds={"p50": 0.0, "p99": 0.2, "max": 0.4},
    )
    both = joined([report(), slow])

    assert both["client"]["cpu_seconds"] == 7.0
    assert both["client"]["cpu_ratio"] == 0.5
    assert both["client"]["users"] == 40
    assert both["client"]["backlog_max"] == 2
    assert both["client"]["event_loop_lag_seconds"] == {"p50": 0.001, "p99": 0.2, "max": 0.4}
    assert (both["drained_at"], both["drained"]) == (20.0, False)


def test_what_a_lost_worker_did_not_say_is_unknown_but_for_the_shared_start() -> None:
    never = dict.fromkeys(("started_at", "window_start", "window_end", "drained_at"))
    both = joined([report(), {**never, "drained": False, "complete": False}])

    assert both["started_at"] == 5.0
    assert both["drained_at"] is None
    assert both["client"]["cpu_seconds"] is None
    assert both["client"]["event_loop_lag_seconds"] is None
    assert both["client"]["workers"] == 2


@given(st.integers(0, 200), st.integers(1, 16))
def test_parts_of_a_schedule_are_the_whole_of_it(count: int, workers: int) -> None:
    plan = StepPlan(1, 1.0, 0.0, 10.0, "constant", 1, 1)
    numbers = np.arange(count)
    rows = PlannedRows(plan, numbers / 7.0, numbers > 3, numbers, numbers, numbers, numbers)
    parts = [rows.part(worker, workers) for worker in range(workers)]

    assert sorted(np.concatenate([part.index for part in parts]).tolist()) == numbers.tolist()
    for part in parts:
        assert part.offset_seconds == pytest.approx(part.index / 7.0)
        assert max(map(len, parts)) - len(part) <= 1
