"""Loops that the service drives, on greenlets that stand in for locust's users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gevent
import numpy as np
import pytest

from escalade.errors import InputError
from escalade.files import read_json, read_table, write_table
from escalade.load.clock import now
from escalade.load.crews import Crew
from escalade.load.loops import ENGINES
from escalade.load.records import SCHEMA
from escalade.load.rows import read_rows
from escalade.load.schedule import StepPlan, draw_schedule, schedule_sha256

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from escalade.load.plan import LoadStep

LENGTHS = {"uniform": [1, 1000]}


def closed(concurrency: int = 2, together: int = 1, most: int = 400, **changes: Any) -> StepPlan:
    counts = {
        "concurrency": concurrency,
        "samples_per_query": together,
        "max_requests": most,
    }
    times = {"warmup_seconds": 0.1, "window_seconds": 0.3} | changes
    return StepPlan(
        3,
        None,
        arrivals="closed",
        input_tokens=LENGTHS,
        output_tokens=4,
        parameters=counts,
        **times,
    )  # type: ignore[arg-type]


def at_once(samples: int) -> StepPlan:
    return StepPlan(3, None, 0.0, 5.0, "at_once", 8, 4, {"samples": samples})


def ran(step: LoadStep, plan: StepPlan, serve: Callable[[int], float]) -> pd.DataFrame:
    """Run a step whose requests take `serve(row)` seconds."""
    write_table(step.schedule, draw_schedule([plan], seed=1))
    users: list[gevent.Greenlet] = []

    def live() -> None:
        while True:
            engine.next_arrival("User")
            arrival = engine.current()
            assert arrival is not None
            arrival.sending()
            gevent.sleep(serve(arrival.row))
            arrival.answered(now(), 200, None)

    def spawn(count: int) -> list[gevent.Greenlet]:
        started = [gevent.spawn(live) for _ in range(count)]
        users.extend(started)
        return started

    rows = read_rows(step.schedule, 3)
    engine = ENGINES[plan.arrivals](step, rows, {"User": Crew(1.0, spawn)})
    try:
        engine.drive()
    finally:
        gevent.killall(users)
    return read_table(step.requests_file, "request log", SCHEMA.names)


def test_the_next_request_leaves_when_the_one_before_has_ended(load_step: LoadStep) -> None:
    log = ran(load_step, closed(1), lambda _: 0.02)

    assert log["index"].tolist() == list(range(len(log)))
    assert (log.sent_at.iloc[1:].to_numpy() >= log.ended_at.iloc[:-1].to_numpy()).all()
    due = log.planned_at.iloc[1:].to_numpy()
    assert due == pytest.approx(log.ended_at.iloc[:-1].to_numpy(), abs=0.005)
    assert (log.sent_at >= log.planned_at).all()
    assert 5 <= len(log) <= 20  # 0.4 s of 20 ms each


def test_as_many_are_in_flight_as_were_asked_for(load_step: LoadStep) -> None:
    log = ran(load_step, closed(5), lambda row: 0.01 + 0.01 * (row % 3))
    flying = [((log.sent_at <= at) & (log.ended_at > at)).sum() for at in log.sent_at]

    assert max(flying) == 5
    facts = read_json(load_step.client_file, "facts")
    inside = log.sent_at.between(facts["window_start"], facts["window_end"], inclusive="left")
    assert (inside == (log.phase == "window"))[log.sent_at < facts["window_end"]].all()
    assert facts["drained"] is True
    assert facts["used_up_at"] is None


def test_a_query_waits_for_the_slowest_of_the_one_before(load_step: LoadStep) -> None:
    log = ran(load_step, closed(1, together=4), lambda row: 0.03 if row % 4 == 3 else 0.0)
    queries = log.groupby(log["index"] // 4)

    assert (queries.size() == 4).all()
    assert (queries.sent_at.min().iloc[1:].to_numpy() >= queries.ended_at.max().iloc[:-1]).all()


def test_rows_that_are_used_up_end_the_loop_and_are_told(load_step: LoadStep) -> None:
    log = ran(load_step, closed(2, most=6), lambda _: 0.001)
    facts = read_json(load_step.client_file, "facts")

    assert len(log) == 6
    assert facts["started_at"] < facts["used_up_at"] < facts["window_end"]


def test_what_hangs_is_unfinished_and_holds_nothing_else_up(load_step: LoadStep) -> None:
    log = ran(load_step, closed(2), lambda row: 9.0 if row == 0 else 0.01)

    hung = log[log["index"] == 0].iloc[0]
    assert hung.error is not None
    assert len(log) > 10


def test_samples_leave_at_once_and_the_window_ends_with_the_last(load_step: LoadStep) -> None:
    log = ran(load_step, at_once(120), lambda row: 0.1 if row == 7 else 0.01)
    facts = read_json(load_step.client_file, "facts")

    assert len(log) == 120
    assert log.error.isna().all()
    assert log.planned_at.min() == log.planned_at.max()
    assert log.ended_at.max() <= facts["window_end"] < log.ended_at.max() + 1
    assert (log.phase == "window").all()


def test_the_same_seed_draws_the_same_rows_whatever_the_workers() -> None:
    frames = [draw_schedule([closed(most=40)], seed) for seed in (1, 1, 2)]

    assert schedule_sha256(frames[0]) == schedule_sha256(frames[1])
    assert schedule_sha256(frames[0]) != schedule_sha256(frames[2])
    assert frames[0].offset_seconds.isna().all()
    assert len(frames[0]) == 40


def test_workers_share_whole_queries(load_step: LoadStep) -> None:
    write_table(load_step.schedule, draw_schedule([closed(2, together=4, most=24)], seed=1))
    rows = read_rows(load_step.schedule, 3)
    parts = [rows.part(worker, 2).index.tolist() for worker in range(2)]

    assert parts[0] == [*range(4), *range(8, 12), *range(16, 20)]
    assert sorted(np.concatenate(parts)) == list(range(24))
    assert rows.first(3).index.tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["concurrency", "samples_per_query", "max_requests"])
def test_counts_of_nothing_are_refused(name: str) -> None:
    counts = {"concurrency": 1, "samples_per_query": 1, "max_requests": 1, name: 0}

    with pytest.raises(InputError, match=f"{name} must be 1 or more"):
        StepPlan(1, None, 0.0, 1.0, "closed", 8, 4, counts)


def test_a_closed_loop_with_a_rate_is_refused() -> None:
    counts = {"concurrency": 1, "samples_per_query": 1, "max_requests": 1}

    with pytest.raises(InputError, match="target_qps"):
        StepPlan(1, 5.0, 0.0, 1.0, "closed", 8, 4, counts)
