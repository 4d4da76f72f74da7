"""Clients that leave, as the server saw it."""

from __future__ import annotations

from typing import Any

import pytest

from escalade.load.rows import read_rows

TOKENS = 40


def test_the_server_sees_clients_leave_and_frees_their_slots(
    start_truth: Any, plan_step: Any, run: Any
) -> None:
    # One slot and answers of 0.8 s: were it not freed, six clients would need 4.8 s.
    truth = start_truth("--slots", "1", "--ttft-seconds", "0.02", "--itl-seconds", "0.02")
    step = plan_step(
        truth.url,
        6,
        1.0,
        workload="openai_chat",
        output_tokens=TOKENS,
        abandon={"share": 1.0, "after_tokens": 3},
    )
    done = run(step)
    joined = done.joined(truth)

    assert set(joined.error) == {"abandoned"}
    assert done.outcome["drained"]
    assert (joined.status == 200).all()
    assert joined.left.all()
    assert (joined.chunk_offsets.map(len) == 3).all()
    assert (joined.tokens < TOKENS / 2).all()
    assert joined.end.max() - joined.arrival.min() < 3.0
    assert joined.output_tokens.isna().all()  # the count comes at the end of a stream


@pytest.mark.parametrize("workers", [1, 3])
def test_those_leave_that_the_schedule_says(
    workers: int, start_truth: Any, plan_step: Any, run_workers: Any
) -> None:
    truth = start_truth("--ttft-seconds", "0.05", "--itl-seconds", "0.02")
    step = plan_step(
        truth.url,
        20,
        1.5,
        workload="openai_chat",
        output_tokens=20,
        abandon={"share": 0.3, "after_seconds": 0.2},
        workers=workers,
    )
    table = run_workers(step)

    rows = read_rows(step.schedule, 1)
    assert rows.leaving is not None
    assert rows.leaving.sum() == 9
    assert table[table.error == "abandoned"]["index"].tolist() == rows.index[rows.leaving].tolist()
    assert table.leaving.tolist() == rows.leaving.tolist()
    assert table.error.isna().sum() == 21
    left = table[table.error == "abandoned"]
    assert ((left.ended_at - left.planned_at) / 0.2).median() == pytest.approx(1, abs=0.3)


def test_a_client_that_has_no_stream_leaves_at_its_time(
    start_truth: Any, plan_step: Any, run: Any
) -> None:
    truth = start_truth("--service-seconds", "3", "--slots", "1")
    step = plan_step(
        truth.url, 4, 1.0, workload="plain_http", abandon={"share": 1.0, "after_seconds": 0.2}
    )
    done = run(step)

    assert set(done.requests.error) == {"abandoned"}
    assert done.outcome["drained"]
    truth.stop()
    joined = done.joined(truth)
    assert len(joined) == 4
    assert joined.left.all()
    assert joined.end.max() - joined.arrival.min() < 3.0  # one answer alone would take as long
