"""The truth server in virtual time: answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from escalade.load.records import SCHEMA
from escalade.load.rows import PlannedRows
from escalade.load.schedule import StepPlan, draw_schedule
from escalade.load.truth_batch import BatchRules
from escalade.load.virtual import Batching, Server, Slots, measure

RNG = np.random.default_rng(1)


def rows(
    arrivals: list[float], prompts: list[int] | None = None, lengths: list[int] | None = None
) -> PlannedRows:
    """Give requests at given times."""
    n = len(arrivals)
    return PlannedRows(
        plan=StepPlan(1, 1.0, 0.0, 100.0, "poisson", 1, 1),
        offset_seconds=np.array(arrivals),
        in_window=np.ones(n, dtype=bool),
        payload_id=np.arange(n),
        input_tokens=np.array(prompts or [1] * n, dtype=np.int32),
        output_tokens=np.array(lengths or [1] * n, dtype=np.int32),
        index=np.arange(n, dtype=np.int32),
    )


def ends(server: Server, planned: PlannedRows) -> list[float]:
    """Give the ends of requests."""
    return server.serve(planned, RNG).ended.tolist()


def test_requests_take_the_first_free_slot_in_turn() -> None:
    assert ends(Slots(2, 1.0), rows([0.0, 0.1, 0.2, 3.0])) == pytest.approx([1.0, 1.1, 2.0, 4.0])


def test_more_slots_than_requests_keep_nobody_waiting() -> None:
    assert ends(Slots(9, 1.0), rows([0.0, 0.1])) == pytest.approx([1.0, 1.1])


def test_random_times_are_served_first_come_first_served() -> None:
    arrivals = rows(np.linspace(0, 10, 500).tolist())
    served = Slots(3, 0.1, exponential=True).serve(arrivals, np.random.default_rng(3)).ended
    times = np.random.default_rng(3).exponential(0.1, 500)
    free = [0.0, 0.0, 0.0]
    for at, seconds, end in zip(arrivals.offset_seconds, times, served, strict=True):
        free.sort()
        free[0] = max(at, free[0]) + seconds
        assert end == pytest.approx(free[0])


def test_service_slows_down_while_too_many_wait() -> None:
    server = Slots(1, 1.0, collapse_beyond=1, collapse_factor=3.0)

    # At 1 s three have come and two still wait beside the next: it takes three seconds;
    # at 4 s one waits beside the next, which is not too many.
    assert ends(server, rows([0.0, 0.1, 0.2, 0.3])) == pytest.approx([1.0, 4.0, 5.0, 6.0])


def test_a_server_that_may_collapse_and_does_not_is_as_any_other() -> None:
    arrivals = rows([0.0, 0.1, 0.2, 3.0])

    assert ends(Slots(2, 1.0, collapse_beyond=5), arrivals) == ends(Slots(2, 1.0), arrivals)


def test_sequences_share_steps_and_wait_for_a_place_in_them() -> None:
    rules = BatchRules(2, step_seconds=1.0, sequence_seconds=0.1, prefill_seconds=0.01)
    planned = rows([0.0, 0.5, 0.6, 20.0], prompts=[10, 20, 30, 40], lengths=[2, 2, 1, 1])

    served = Batching(rules).serve(planned, RNG)

    # 0.0: one sequence and 10 prompt tokens, 1.2 s. 1.2: two and 20, 1.4 s; the first leaves.
    # 2.6: two and 30, 1.5 s; both leave. 20.0: one and 40, 1.5 s.
    assert served.tokens is not None
    assert [times.tolist() for times in served.tokens] == [
        pytest.approx([1.2, 2.6]),
        pytest.approx([2.6, 4.1]),
        pytest.approx([4.1]),
        pytest.approx([21.5]),
    ]
    assert served.ended.tolist() == pytest.approx([2.6, 4.1, 4.1, 21.5])


def test_the_capacity_of_a_batch_by_hand() -> None:
    rules = BatchRules(4, step_seconds=0.02, sequence_seconds=0.005, prefill_seconds=0.001)

    # A full step takes 0.02 + 4 * 0.005 = 0.04 s, finishes 4 / 8 = 0.5 sequences and reads
    # 0.5 * 20 prompt tokens in 0.01 s: 0.5 / 0.05 = 10 a second.
    assert rules.capacity_qps(20, 8) == pytest.approx(10.0)


def test_a_ladder_in_virtual_time_has_the_log_and_outcomes_of_a_real_one() -> None:
    plans = [StepPlan(step, 10.0 * step, 2.0, 8.0, "poisson", 16, 4) for step in (1, 2)]
    schedule = draw_schedule(plans, seed=5)
    server = Batching(BatchRules(4, 0.05))

    table, outcomes = measure(schedule, server, seed=5)
    log = table.to_pandas()

    assert table.schema == SCHEMA
    assert len(log) == len(schedule)
    assert log["index"].tolist() == schedule["index"].tolist()
    for outcome in outcomes:
        mine = log[log["step"] == outcome["step"]]
        offsets = schedule.loc[schedule["step"] == outcome["step"], "offset_seconds"]
        assert (mine["planned_at"] - outcome["started_at"]).tolist() == pytest.approx(
            offsets.tolist()
        )
        assert (mine["sent_at"] == mine["planned_at"]).all()
        assert (mine["first_chunk_at"] > mine["planned_at"]).all()
        assert outcome["window_end"] - outcome["window_start"] == pytest.approx(8.0)
        assert mine["ended_at"].max() <= outcome["drained_at"]
    assert outcomes[1]["started_at"] > outcomes[0]["drained_at"]
    assert measure(schedule, server, seed=5)[0].equals(table)
