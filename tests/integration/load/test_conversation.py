"""Conversations, as the server saw them."""

from __future__ import annotations

from typing import Any

import pytest

TALK = {"turns": 3, "think_seconds": 0.1}


@pytest.mark.parametrize("workers", [1, 3])
def test_turns_follow_with_the_history_that_a_prefix_cache_knows(
    workers: int, start_truth: Any, plan_step: Any, run_workers: Any
) -> None:
    truth = start_truth("--ttft-seconds", "0.02", "--itl-seconds", "0.005")
    step = plan_step(
        truth.url,
        6,
        2.0,
        workload="openai_chat",
        parameters={"body": {"cache_prompt": True}},
        output_tokens=4,
        conversation=TALK,
        workers=workers,
    )
    table = run_workers(step)

    assert len(table) == 36
    assert set(table.error.dropna()) <= {"not_due"}
    done = table[table.error.isna()].set_index(["conversation", "turn"])
    assert len(done.xs(3, level="turn")) >= 6
    for number in done.xs(3, level="turn").index:
        first, second, third = (done.loc[(number, turn)] for turn in (1, 2, 3))
        assert second.planned_at == pytest.approx(first.ended_at + 0.1, abs=1e-5)
        assert third.planned_at == pytest.approx(second.ended_at + 0.1, abs=1e-5)
        # The server knows all but the turn's own prompt: prompts and its own four words each.
        assert first.cached_tokens == 0
        assert second.cached_tokens == first.input_tokens + 4
        assert third.cached_tokens == second.input_tokens + 4
    lag = done.sent_at - done.planned_at
    assert (lag >= 0).all()
    assert lag.median() < 0.02
    assert truth.lines().shape[0] == len(done)
