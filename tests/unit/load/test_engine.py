"""The open loop, on greenlets that stand in for locust's users."""

from __future__ import annotations

import gc
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import isnan
from typing import TYPE_CHECKING

import gevent
import pytest

from escalade.errors import InfrastructureError
from escalade.files import read_json, read_table
from escalade.load.clock import Timer, now, unix_offset
from escalade.load.crews import Crew
from escalade.load.engine import Engine
from escalade.load.records import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from escalade.load.plan import LoadStep
    from escalade.load.rows import PlannedRows

    Make = Callable[..., PlannedRows]


@dataclass
class Bench:
    """An engine with users that run `task` for each arrival."""

    step: LoadStep
    rows: PlannedRows
    task: Callable[[Engine], None]
    kinds: dict[str, float] = field(default_factory=lambda: {"User": 1.0})
    on_start: Callable[[], None] = lambda: None
    users: list[gevent.Greenlet] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.crews = {
            kind: Crew(weight, lambda count, kind=kind: self.spawn(kind, count))
            for kind, weight in self.kinds.items()
        }
        self.engine = Engine(self.step, self.rows, self.crews)

    def spawn(self, kind: str, count: int) -> list[gevent.Greenlet]:
        started = [gevent.spawn(self.live, kind) for _ in range(count)]
        self.users += started
        return started

    def live(self, kind: str) -> None:
        self.on_start()
        while True:
            self.engine.next_arrival(kind)
            try:
                self.task(self.engine)
            except Exception as error:  # noqa: BLE001 - locust catches everything, too
                self.engine.failed(error)

    def run(self) -> pd.DataFrame:
        try:
            self.engine.drive()
        finally:
            gevent.killall(self.users)
        return read_table(self.step.requests_file, "request log", SCHEMA.names)


def serving(seconds: float) -> Callable[[Engine], None]:
    def serve(engine: Engine) -> None:
        arrival = engine.current()
        assert arrival is not None
        arrival.sending()
        gevent.sleep(seconds)
        arrival.answered(now(), 200, None)

    return serve


def test_every_planned_request_is_sent_once_after_its_time(
    load_step: LoadStep, rows_at: Make
) -> None:
    rows = rows_at([k / 100 for k in range(50)], 0.2, 0.5)
    table = Bench(load_step, rows, serving(0.001)).run()

    assert len(table) == 50
    assert table.error.isna().all()
    assert (table.sent_at >= table.planned_at).all()
    assert (table.ended_at > table.sent_at).all()
    assert table.planned_at.diff().dropna().to_numpy() == pytest.approx(0.01, abs=1e-6)


def test_slow_requests_hold_nothing_up(load_step: LoadStep, rows_at: Make) -> None:
    patient = replace(load_step, drain_timeout_seconds=2.0, request_timeout_seconds=2.0)
    rows = rows_at([k / 200 for k in range(100)], 0.0, 0.5)  # 100 at once: 15 spare users
    bench = Bench(patient, rows, serving(0.6))
    table = bench.run()

    assert table.sent_at.max() < table.ended_at.min() + 0.2
    assert table.error.isna().all()
    assert len(bench.users) > 100


def test_latency_counts_from_the_planned_send_when_users_run_short(
    load_step: LoadStep, rows_at: Make
) -> None:
    patient = replace(load_step, drain_timeout_seconds=2.0)
    bench = Bench(patient, rows_at([0.0, 0.0, 0.0, 0.0], 0.0, 0.05), serving(0.1))
    only = iter([bench.spawn("User", 1)])
    bench.crews["User"].spawn = lambda _: next(only, [])
    table = bench.run()

    latency = (table.ended_at - table.planned_at).sort_values()
    assert (latency.diff().dropna() > 0.09).all()  # one after the other
    assert read_json(load_step.client_file, "facts")["client"]["backlog_max"] == 3


def test_what_is_in_flight_at_the_drain_timeout_is_unfinished(
    load_step: LoadStep, rows_at: Make
) -> None:
    patient = replace(load_step, request_timeout_seconds=9.0)
    table = Bench(patient, rows_at([0.0, 0.1], 0.0, 0.2), serving(5.0)).run()
    facts = read_json(load_step.client_file, "facts")

    assert table.error.tolist() == ["unfinished", "unfinished"]
    assert table.ended_at.isna().all()
    assert facts["drained"] is False
    assert facts["drained_at"] >= facts["window_end"] + load_step.drain_timeout_seconds - 0.01


def test_a_request_beyond_its_timeout_ends_as_one(load_step: LoadStep, rows_at: Make) -> None:
    patient = replace(load_step, drain_timeout_seconds=2.0)
    table = Bench(patient, rows_at([0.0, 0.1], 0.0, 0.2), serving(5.0)).run()

    assert table.error.tolist() == ["timeout", "timeout"]
    assert (table.ended_at - table.sent_at >= load_step.request_timeout_seconds - 0.01).all()


def test_a_task_that_goes_on_after_its_timeout_keeps_no_other_from_ending(
    load_step: LoadStep, rows_at: Make
) -> None:
    patient = replace(load_step, drain_timeout_seconds=3.0, request_timeout_seconds=0.2)

    def task(engine: Engine) -> None:
        arrival = engine.current()
        assert arrival is not None
        arrival.sending()
        with suppress(TimeoutError):
            gevent.sleep(5)
        if arrival.row == 0:
            gevent.sleep(1)
        else:
            arrival.answered(now(), 0, TimeoutError())

    table = Bench(patient, rows_at([0.0, 0.1]), task).run()
    first, second = table.itertuples()
    assert second.error == "timeout"
    assert 0.19 < second.ended_at - second.planned_at < 0.7  # not after the first one's second
    assert first.ended_at - first.planned_at > 1.1


def test_a_task_that_breaks_off_or_sends_nothing_is_an_error(
    load_step: LoadStep, rows_at: Make
) -> None:
    def task(engine: Engine) -> None:
        arrival = engine.current()
        assert arrival is not None
        if arrival.row == 0:
            raise KeyError("a bug in the task")

    table = Bench(load_step, rows_at([0.0, 0.05], 0.0, 0.1), task).run()

    assert table.error.tolist() == ["aborted", "not_sent"]
    assert read_json(load_step.client_file, "facts")["drained"] is True


def test_a_user_that_dies_takes_only_its_own_arrival_along(
    load_step: LoadStep, rows_at: Make
) -> None:
    def task(engine: Engine) -> None:
        arrival = engine.current()
        assert arrival is not None
        arrival.sending()
        if arrival.row == 0:
            raise gevent.GreenletExit  # as locust's StopUser does
        arrival.answered(now(), 200, None)

    table = Bench(load_step, rows_at([0.0, 0.05, 0.06], 0.0, 0.1), task).run()

    assert table.error.fillna("").tolist() == ["aborted", "", ""]


def test_a_request_of_a_greenlet_that_the_task_spawned_belongs_to_its_arrival(
    load_step: LoadStep, rows_at: Make
) -> None:
    def task(engine: Engine) -> None:
        gevent.spawn(serving(0.001), engine).join()

    table = Bench(load_step, rows_at([0.0, 0.05], 0.0, 0.1), task).run()

    assert table.status.tolist() == [200, 200]


def test_arrivals_are_shared_by_weight_and_the_same_for_the_same_seed(
    load_step: LoadStep, rows_at: Make
) -> None:
    rows = rows_at([k / 4000 for k in range(400)], 0.0, 0.1)
    kinds = {"Reader": 3.0, "Writer": 1.0}
    shares = [
        [crew.weight for crew in Bench(load_step, rows, serving(0), kinds).engine._crew_of]
        for _ in range(2)
    ]

    assert shares[0] == shares[1]
    assert shares[0].count(3.0) == pytest.approx(300, abs=40)


def test_no_user_that_becomes_ready_is_an_error_that_says_so(
    load_step: LoadStep, rows_at: Make
) -> None:
    def refuse() -> None:
        raise gevent.GreenletExit

    bench = Bench(load_step, rows_at([0.0]), serving(0), on_start=refuse)

    with pytest.raises(InfrastructureError, match="No user of User became ready"):
        bench.run()


def test_an_early_end_keeps_what_there_is(load_step: LoadStep, rows_at: Make) -> None:
    bench = Bench(load_step, rows_at([0.0, 5.0], 0.0, 10.0), serving(0.001))
    driving = gevent.spawn(bench.engine.drive)
    with gevent.Timeout(30):
        while isnan(bench.engine.records.ended[0]):
            gevent.sleep(0.01)
    bench.engine.abort()
    driving.kill()
    gevent.killall(bench.users)
    table = read_table(load_step.requests_file, "request log", SCHEMA.names)

    assert table.error.fillna("").tolist() == ["", "not_sent"]
    facts = read_json(load_step.client_file, "facts")
    assert (facts["drained"], facts["complete"]) == (False, False)


def test_the_facts_say_when_the_step_was_and_how_the_client_fared(
    load_step: LoadStep, rows_at: Make
) -> None:
    before = time.time()
    table = Bench(load_step, rows_at([0.0, 0.1, 0.2], 0.1, 0.3), serving(0.001)).run()
    facts = read_json(load_step.client_file, "facts")

    assert before < facts["started_at"] < facts["drained_at"] < time.time()
    assert facts["started_at"] == pytest.approx(table.planned_at[0], abs=1e-6)
    assert facts["window_start"] - facts["started_at"] == pytest.approx(0.1, abs=1e-6)
    assert facts["window_end"] - facts["started_at"] == pytest.approx(0.3, abs=1e-6)
    assert (facts["drained"], facts["complete"]) == (True, True)
    assert facts["client"]["users"] >= 10
    assert facts["client"]["wall_seconds"] == pytest.approx(
        facts["drained_at"] - facts["started_at"], abs=0.5
    )
    assert facts["client"]["suspended_seconds"] == 0
    assert read_json(load_step.started_file, "start")["started_at"] == facts["started_at"]


def test_the_collector_rests_during_the_step_and_works_after_it(
    load_step: LoadStep, rows_at: Make
) -> None:
    seen: list[bool] = []

    def task(engine: Engine) -> None:
        seen.append(gc.isenabled())
        serving(0)(engine)

    Bench(load_step, rows_at([0.0], 0.0, 0.01), task).run()

    assert seen == [False]
    assert gc.isenabled()


def test_the_timer_is_never_early_and_returns_at_once_for_the_past() -> None:
    with Timer() as timer:
        for ahead in (0.02, 0.001, -1.0):
            due = now() + ahead
            timer.sleep_until(due)
            assert now() >= due


def test_the_clock_tells_unix_time() -> None:
    assert now() + unix_offset() == pytest.approx(time.time(), abs=0.05)
