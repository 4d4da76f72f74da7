"""The other workloads, against the server's own record of each request."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path

TOKENS = 5


def test_a_completion_is_recorded_as_the_server_sent_it(
    start_truth: Any, plan_step: Any, run: Any
) -> None:
    truth = start_truth("--ttft-seconds", "0.03", "--itl-seconds", "0.01")
    step = plan_step(truth.url, 20, 1.0, workload="openai_completions", output_tokens=TOKENS)
    joined = run(step).joined(truth)

    assert len(joined) == 20
    assert set(joined.path) == {"/v1/completions"}
    assert joined.error.isna().all()
    assert (joined.chunk_offsets.map(len) == TOKENS).all()
    assert (joined.output_tokens == joined.tokens).all()
    assert (joined.cached_tokens == 0).all()


def test_an_embedding_is_counted_by_the_server(start_truth: Any, plan_step: Any, run: Any) -> None:
    truth = start_truth("--service-seconds", "0.01")
    step = plan_step(truth.url, 20, 1.0, workload="openai_embeddings")
    done = run(step)
    joined = done.joined(truth)

    assert len(joined) == 20
    assert joined.error.isna().all()
    assert (joined.input_tokens > 5).all()
    assert joined.first_chunk_at.isna().all()
    assert (joined.bytes_in > 20).all()


@pytest.mark.parametrize(
    "body", [{"input": None}, {"input": []}], ids=["refused", "without a vector"]
)
def test_an_answer_without_a_vector_is_an_error(
    body: dict[str, Any], start_truth: Any, plan_step: Any, run: Any
) -> None:
    path = {} if body["input"] is None else {"path": "/no-vectors-here"}
    parameters = {"body": body, **path}
    done = run(
        plan_step(start_truth().url, 10, 0.5, workload="openai_embeddings", parameters=parameters)
    )

    expected = "http_4xx" if body["input"] is None else "malformed"
    assert set(done.requests.error) == {expected}


def test_prompts_of_a_file_arrive_with_what_they_share(
    start_truth: Any, plan_step: Any, run: Any, tmp_path: Path
) -> None:
    file = tmp_path / "prompts.jsonl"
    words = ["one", "one two", "one two three"]
    file.write_text("\n".join(json.dumps({"prompt": text}) for text in words))
    truth = start_truth("--ttft-seconds", "0")
    plain = run(plan_step(truth.url, 12, 1.0, workload="openai_chat", prompts=file))
    shared = run(
        plan_step(
            truth.url,
            12,
            1.0,
            workload="openai_chat",
            prompts=file,
            prefix={"tokens": 30, "groups": 1},
        )
    )

    counts = [1 + number % 3 for number in plain.requests.payload_id]
    assert plain.requests.input_tokens.tolist() == counts  # as the server counts words
    longer = shared.requests.input_tokens - plain.requests.input_tokens
    assert longer.nunique() == 1
    assert 25 <= longer.iloc[0] <= 30


def test_a_seen_prompt_is_told_as_cached(start_truth: Any, plan_step: Any, run: Any) -> None:
    truth = start_truth("--ttft-seconds", "0")
    step = plan_step(
        truth.url,
        10,
        1.0,
        workload="openai_completions",
        parameters={"body": {"cache_prompt": True, "prompt": "always the same words"}},
    )
    cached = run(step).requests.cached_tokens

    assert np.count_nonzero(cached == 4) == 9
    assert np.count_nonzero(cached == 0) == 1
