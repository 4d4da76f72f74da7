"""The headroom of the GPUs, as a gate of each step."""

from __future__ import annotations

from typing import Any

import pytest

from unit.analysis.builders import NODE_TARGET, cell, scraped, up
from unit.analysis.gated import SECONDS, gates_of, good_step

GB = 10**9
TWO = [
    {"index": 0, "uuid": "GPU-a", "memory_total_bytes": 80 * GB},
    {"index": 1, "uuid": "GPU-b", "memory_total_bytes": 40 * GB},
]
CACHE = {"kv_cache_usage_ratio": "vllm:kv_cache_usage_perc"}


def used(uuid: str, gigabytes: dict[float, float]) -> list[Any]:
    labels = {"index": "0", "uuid": uuid, "name": "H100"}
    return scraped(
        "escalade_gpu_memory_used_bytes", labels, {at: GB * it for at, it in gigabytes.items()}
    )


def gate(*samples: list[Any], gpus: object = TWO, **environment: Any) -> dict[str, Any] | None:
    flat = [sample for each in (up(NODE_TARGET, SECONDS), *samples) for sample in each]
    return gates_of(cell(good_step(samples=flat), gpus=gpus, **environment)).get("gpu_headroom")


@pytest.mark.parametrize(("second", "outcome"), [(32.0, "pass"), (33.0, "fail")])
def test_a_fifth_of_the_fullest_gpus_memory_is_to_be_free(second: float, outcome: str) -> None:
    # 40 of 80 GB are half; 32 of 40 GB leave exactly a fifth, at their fullest
    found = gate(used("GPU-a", {0.0: 40, 9.0: 40}), used("GPU-b", {0.0: 10, 4.0: second, 9.0: 10}))

    assert found is not None
    assert (found["outcome"], found["invalidates"]) == (outcome, False)
    assert found["value"] == pytest.approx(1 - second / 40)


def test_an_engine_that_reserved_the_memory_is_judged_by_its_cache() -> None:
    full = used("GPU-a", {0.0: 72, 9.0: 72}), used("GPU-b", {0.0: 36, 9.0: 36})
    cache = scraped("vllm:kv_cache_usage_perc", {}, {0.0: 0.1, 5.0: 0.7, 9.0: 0.2})

    by_memory, by_cache = gate(*full), gate(*full, cache, metric_names=CACHE)

    assert by_memory is not None
    assert by_memory["outcome"] == "fail"
    assert by_cache is not None
    assert by_cache["outcome"] == "pass"
    assert by_cache["value"] == pytest.approx(0.3)


def test_a_gpu_of_which_nothing_is_known_leaves_it_open() -> None:
    unsized = [{**TWO[0], "memory_total_bytes": None}]

    for found in (
        gate(used("GPU-a", {0.0: 40, 9.0: 40})),  # the other one was not scraped
        gate(used("GPU-a", {0.0: 40, 9.0: 40}), gpus=unsized),
    ):
        assert found is not None
        assert (found["outcome"], found["value"]) == ("unknown", None)


@pytest.mark.parametrize("gpus", [[], None])
def test_a_cell_without_gpus_has_no_such_gate(gpus: object) -> None:
    assert gate(gpus=gpus) is None
