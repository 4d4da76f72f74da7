"""A real llama.cpp with the demo's model: what a measurement relies on."""

from __future__ import annotations

import concurrent.futures
import json
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from escalade.services.recipes import load_recipe

CONFIG = Path(__file__).parents[3] / "config"
TOKENS = 6


def post(url: str, **body: Any) -> list[str]:
    """Ask for a streamed answer; give its lines."""
    content = {
        "messages": [{"role": "user", "content": "Tell me about rivers."}],
        "max_tokens": TOKENS,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
        **body,
    }
    answer = requests.post(
        f"{url}/v1/chat/completions", json=content, headers={"Connection": "close"}, timeout=60
    )
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    return [line for line in answer.content.decode().splitlines() if line]


def events(lines: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def sample(url: str) -> dict[str, float]:
    page = requests.get(f"{url}/metrics", timeout=30).text
    rows = [line.split() for line in page.splitlines() if line[0] != "#"]
    return {name: float(value) for name, value in rows}


def test_the_state_says_where_the_service_is_and_what_it_took(llama: dict[str, Any]) -> None:
    service = llama["service"]

    assert llama["outcome"] == "ready"
    assert llama["metrics_path"] == "/metrics"
    assert llama["agreement"] == {
        "quantity": "output_tokens",
        "metric": "llamacpp:tokens_predicted_total",
    }
    assert llama["workload_parameters"]["model"] == "smollm2-135m"
    assert service["recipe"] == "llama_cpp"
    assert service["version"] is not None
    assert service["parameters"]["slots"] == 2
    assert service["argv"][1:3] == ["-m", "escalade.services.llama_server"]
    assert 0 < service["ready_seconds"] < 60
    assert json.loads(json.dumps(llama, allow_nan=False)) == llama


def test_measured_memory_stands_beside_declared_memory(llama: dict[str, Any]) -> None:
    (model,) = llama["service"]["models"]
    memory = llama["service"]["memory"]

    assert len(model["sha256"]) == 64
    assert model["size_bytes"] < model["measured_bytes"] < 10 * model["size_bytes"]
    assert memory["declared_bytes"] == model["declared_bytes"]
    expected = memory["measured_bytes"] / memory["declared_bytes"] - 1
    assert memory["difference_ratio"] == pytest.approx(expected, abs=1e-4)
    assert abs(memory["difference_ratio"]) < 1


def test_it_runs_on_the_cpus_of_the_service_with_a_thread_for_each(llama: dict[str, Any]) -> None:
    threads = llama["service"]["parameters"]["threads"]

    assert len(psutil.Process(llama["replicas"][0]["pid"]).cpu_affinity()) == threads
    assert psutil.Process(llama["replicas"][0]["pid"]).environ()["OMP_NUM_THREADS"] == str(threads)


def test_a_streamed_answer_has_exactly_the_tokens_asked_for(llama: dict[str, Any]) -> None:
    lines = post(llama["url"])
    stream = events(lines)
    tokens = [
        choice["delta"]["content"]
        for event in stream
        for choice in event["choices"]
        if choice["delta"].get("content")
    ]

    assert lines[-1] == "data: [DONE]"
    assert len(tokens) == TOKENS
    assert [event for event in stream if "usage" in event] == [stream[-1]]
    assert stream[-1]["usage"]["completion_tokens"] == TOKENS
    assert stream[-1]["usage"]["prompt_tokens"] > 4


def test_no_cache_answers_for_the_model_even_for_the_same_prompt(llama: dict[str, Any]) -> None:
    for _ in range(4):  # each of the two slots gets the prompt twice
        usage = events(post(llama["url"]))[-1]["usage"]
        assert usage["prompt_tokens_details"]["cached_tokens"] == 0

    assert sample(llama["url"])["llamacpp:prompt_tokens_cached_total"] == 0


def test_counters_grow_by_what_the_client_counts(llama: dict[str, Any]) -> None:
    before = sample(llama["url"])
    usages = [events(post(llama["url"]))[-1]["usage"] for _ in range(2)]
    after = sample(llama["url"])

    def growth(canonical: str) -> float:
        name = llama["metric_names"][canonical]
        return after[name] - before[name]

    assert growth("output_tokens_total") == sum(usage["completion_tokens"] for usage in usages)
    assert growth("input_tokens_total") == sum(usage["prompt_tokens"] for usage in usages)


def test_waiting_requests_are_visible_in_the_metrics(llama: dict[str, Any]) -> None:
    names, url, sent = llama["metric_names"], llama["url"], 14
    with concurrent.futures.ThreadPoolExecutor(sent) as pool:
        asked = [pool.submit(post, url, max_tokens=1) for _ in range(sent)]
        seen = []
        while not all(request.done() for request in asked):
            seen.append(sample(url))
            time.sleep(0.02)

    assert max(page[names["requests_running"]] for page in seen) == 2
    assert max(page[names["queue_length"]] for page in seen) > 8
    assert all(events(request.result())[-1]["usage"] for request in asked)


def test_every_name_of_the_recipe_is_on_the_live_page(llama: dict[str, Any]) -> None:
    recipe = load_recipe("llama_cpp", CONFIG / "recipes")

    names = recipe.metric_names(llama["service"]["version"])

    assert names == llama["metric_names"]
    assert set(names.values()) - set(sample(llama["url"])) == set()


def test_no_web_page_is_served(llama: dict[str, Any]) -> None:
    assert requests.get(llama["url"], timeout=10).status_code == 404
