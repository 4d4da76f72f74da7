"""A GPU that can't be read, as a gate of each step."""

from __future__ import annotations

from typing import Any

import pytest

from unit.analysis.builders import NODE_TARGET, cell, scraped, up
from unit.analysis.gated import SECONDS, gates_of, good_step

TWO = [{"index": 0, "uuid": "GPU-a"}, {"index": 1, "uuid": "GPU-b"}]


def readable(uuid: str, *, lost: range = range(0), metric: str = "escalade_gpu_up") -> list[Any]:
    """Give a GPU's samples of each second; while it is lost `up` is 0, and nothing else is there."""
    labels = {"gpu": "0", "uuid": uuid, "name": "H100"}
    own = metric == "escalade_gpu_up"
    levels = {at: float(at not in lost) for at in SECONDS if own or at not in lost}
    return scraped(metric, labels, levels)


def gate(*samples: list[Any], gpus: object = TWO) -> dict[str, Any] | None:
    flat = [sample for each in (up(NODE_TARGET, SECONDS), *samples) for sample in each]
    return gates_of(cell(good_step(samples=flat), gpus=gpus)).get("gpu_samples")


@pytest.mark.parametrize("metric", ["escalade_gpu_up", "escalade_gpu_memory_used_bytes"])
@pytest.mark.parametrize(("lost", "outcome"), [(range(4, 6), "pass"), (range(4, 7), "fail")])
def test_a_gpu_that_is_lost_for_three_seconds_invalidates(
    lost: range, outcome: str, metric: str
) -> None:
    found = gate(readable("GPU-a", metric=metric), readable("GPU-b", lost=lost, metric=metric))

    assert found is not None
    assert (found["outcome"], found["invalidates"]) == (outcome, True)
    assert found["value"] == pytest.approx(len(lost) + 1)
    assert "GPU 1 could not be read" in found["detail"]


def test_a_gpu_that_is_lost_for_good_invalidates_what_comes_then() -> None:
    found = gate(readable("GPU-a"), readable("GPU-b", lost=range(-100, 100)))

    assert found is not None
    assert found["outcome"] == "fail"


def test_a_gpu_of_which_nothing_was_scraped_leaves_it_open() -> None:
    found = gate(readable("GPU-a"))

    assert found is not None
    assert (found["outcome"], found["invalidates"]) == ("unknown", False)
    assert gate(gpus=[]) is None
