"""Loads without a rate against queues of known times: fixed concurrency, and all at once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from escalade.load.step import run_step

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = pytest.mark.alone

SLOTS, SERVICE_SECONDS = 4, 0.1
CAPACITY = SLOTS / SERVICE_SECONDS
TIMES = ("--slots", str(SLOTS), "--service-seconds", str(SERVICE_SECONDS))


def closed(concurrency: int, samples_per_query: int = 1) -> dict[str, Any]:
    """Give the parameters of a closed loop."""
    together = {"samples_per_query": samples_per_query, "max_requests": 8_000}
    return {"arrivals": "closed", "counts": {"concurrency": concurrency, **together}}


def in_window(done: Any) -> pd.DataFrame:
    """Give the requests that were sent in the window."""
    start, end = done.outcome["window_start"], done.outcome["window_end"]
    sent = done.requests
    return sent[sent.sent_at.between(start, end, inclusive="left")]


def throughput(done: Any) -> float:
    """Give the answers in the window by its length, in 1/s."""
    start, end = done.outcome["window_start"], done.outcome["window_end"]
    return float(done.requests.ended_at.between(start, end).sum() / (end - start))


@pytest.mark.parametrize("users", [1, 3, 4, 10])
def test_users_against_slots_get_what_theory_says(
    users: int, start_truth: Callable[..., Any], plan_step: Any, run: Any
) -> None:
    # Closed M/D/c without think time: X = min(N, c) / s, and W = N / X by Little's law.
    expected = min(users, SLOTS) / SERVICE_SECONDS
    for _ in range(3):  # neighbours may take the cores
        truth = start_truth(*TIMES)
        done = run(plan_step(truth.url, None, 3.0, warmup_seconds=0.5, **closed(users)))
        check_loop(done, truth, users)
        latency = (in_window(done).ended_at - in_window(done).sent_at).mean()
        if throughput(done) == pytest.approx(expected, rel=0.05) and latency == pytest.approx(
            users / expected, rel=0.05
        ):
            return
    pytest.fail(f"{throughput(done):.2f}/s where {expected:.2f}/s is true; {latency:.4f} s")


def check_loop(done: Any, truth: Any, users: int) -> None:
    """Check what holds on any machine: N in flight at most, each row once and in order."""
    outcome, sent = done.outcome, done.requests
    assert outcome["outcome"] == "measured"
    assert outcome["drained"] is True
    assert outcome["target_qps"] is None
    assert outcome["concurrency"] == users
    assert outcome["planned"] == {"warmup": None, "window": None}
    assert sent.error.isna().all()
    assert sent["index"].tolist() == list(range(len(sent)))
    assert len(truth.lines()) == len(sent)
    joined = done.joined(truth)
    assert (joined.payload_id == joined["index"]).all()
    events = [(at, 1) for at in sent.sent_at] + [(at, -1) for at in sent.ended_at]
    flying = most = 0
    for _, change in sorted(events):
        flying += change
        most = max(most, flying)
    assert most == users
    assert sent.sent_at.max() < outcome["window_end"] + 0.05
    warm = sent.sent_at < outcome["window_start"]
    assert (warm == (sent.phase == "warmup")).all()


def test_the_same_seed_gives_the_same_sequence_on_any_number_of_workers(
    start_truth: Any, plan_step: Any, forker: Any
) -> None:
    truth = start_truth(*TIMES)
    step = replace(plan_step(truth.url, None, 1.5, **closed(6)), workers=2)
    outcome = run_step(step, forker, truth.watch)
    logs = [pd.read_parquet(each.requests_file) for each in step.each()]

    assert outcome["outcome"] == "measured"
    for worker, log in enumerate(logs):
        assert log["index"].tolist() == list(range(worker, 2 * len(log), 2))
        assert (log.payload_id == log["index"]).all()
    assert sum(map(len, logs)) / 1.5 == pytest.approx(CAPACITY, rel=0.15)


def test_a_query_takes_as_long_as_the_last_of_its_samples(
    start_truth: Any, plan_step: Any, run: Any
) -> None:
    # Eight samples on four slots: two rounds of the service time.
    for _ in range(3):
        truth = start_truth(*TIMES)
        done = run(plan_step(truth.url, None, 2.0, **closed(1, 8)))
        queries = done.requests.groupby(done.requests["index"] // 8)
        seconds = queries.ended_at.max() - queries.sent_at.min()
        assert (queries.size() == 8).all()
        assert (queries.sent_at.min().iloc[1:].to_numpy() >= queries.ended_at.max().iloc[:-1]).all()
        if seconds.median() == pytest.approx(2 * SERVICE_SECONDS, rel=0.05):
            return
    pytest.fail(f"a query took {seconds.median():.4f} s")


def test_samples_sent_at_once_are_answered_at_the_capacity(
    start_truth: Any, plan_step: Any, run: Any
) -> None:
    for _ in range(3):
        truth = start_truth(*TIMES)
        changes: dict[str, Any] = {"arrivals": "at_once", "counts": {"samples": 120}}
        done = run(plan_step(truth.url, None, 30.0, **changes))
        sent = done.requests
        assert len(sent) == len(truth.lines()) == 120
        assert done.outcome["planned"] == {"warmup": 0, "window": 120}
        assert done.outcome["window_end"] >= sent.ended_at.max()
        assert done.wall_seconds < 15  # it does not wait for the end of the 30 s
        if 120 / (sent.ended_at.max() - sent.sent_at.min()) == pytest.approx(CAPACITY, rel=0.05):
            return
    seconds = sent.ended_at.max() - sent.sent_at.min()
    pytest.fail(f"120 samples took {seconds:.3f} s, which is {120 / seconds:.2f}/s")


def test_a_loop_that_uses_up_its_rows_says_when(start_truth: Any, plan_step: Any, run: Any) -> None:
    truth = start_truth(*TIMES)
    few = {"concurrency": 4, "samples_per_query": 1, "max_requests": 40}
    done = run(plan_step(truth.url, None, 3.0, arrivals="closed", counts=few))

    assert len(done.requests) == 40
    assert done.outcome["used_up_at"] < done.outcome["window_end"] - 1
    assert done.outcome["outcome"] == "measured"
