"""Streaming answers, against the server's own record of each token."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.alone
TOKENS = 6


@pytest.fixture
def chat(start_truth: Callable[..., Any], plan_step: Any, run: Any) -> tuple[Any, Any, str]:
    """Run 40 chat requests a second for 3 s; give the joined logs, the step, and the page."""
    truth = start_truth("--ttft-seconds", "0.06", "--itl-seconds", "0.02")
    step = plan_step(truth.url, 40, 3.0, workload="openai_chat", output_tokens=TOKENS)
    done = run(step)
    page = requests.get(f"{truth.url}/metrics", timeout=5).text
    return done.joined(truth), done, page


def test_a_stream_is_recorded_as_the_server_sent_it(chat: tuple[Any, Any, str]) -> None:
    joined, done, page = chat

    assert len(joined) == 120
    assert joined.error.isna().all()
    assert (joined.status == 200).all()

    # Counts are the server's own, row by row and in total.
    assert (joined.output_tokens == joined.tokens).all()
    assert (joined.chunk_offsets.map(len) == TOKENS).all()
    assert (joined.input_tokens > 10).all()
    assert (joined.bytes_in > 100).all()
    assert f"truth_tokens_total {120 * TOKENS}" in page

    # The prompts are distinct: no cache answered for the model.
    assert (joined.cached_tokens == 0).all()
    assert "truth_cached_prompt_tokens_total 0" in page

    # Nothing is seen before it happened (the two clocks are anchored apart: 5 ms).
    first = joined.first_chunk_at - joined.first_token_unix
    assert (first > -0.005).all()
    assert (joined.sent_at - 0.005 < joined.arrival_unix).all()
    assert (joined.ended_at >= joined.last_chunk_at).all()

    # The first chunk is the first token, not the role that comes at once.
    seen = joined.first_chunk_at - joined.sent_at
    true = joined.first_token - joined.arrival
    assert seen.median() / true.median() == pytest.approx(1.1, abs=0.2)
    in_order = joined.sort_values("first_token").first_chunk_at
    assert sum(one > other + 0.002 for one, other in pairwise(in_order)) < 12
    gaps = np.concatenate([np.diff(offsets) for offsets in joined.chunk_offsets])
    assert np.median(gaps) / 0.02 == pytest.approx(1, abs=0.2)
    assert done.outcome["client"]["backlog_max"] == 0
