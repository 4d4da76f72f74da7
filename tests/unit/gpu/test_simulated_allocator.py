"""The counts of the sampler against an allocator whose truth is known, and the reproducer on it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from caching_allocator import MIB, CachingAllocator, Held, OutOfMemorySimulatedError
from escalade.gpu.fragmentation import CAPACITY, FRAGMENTATION, UNJUDGED, watch_allocator

if TYPE_CHECKING:
    from types import ModuleType

SCRIPT = Path(__file__).parents[3] / "benchmarks" / "fragmentation.py"
DOCS = Path(__file__).parents[3] / "docs" / "fragmentation.md"
LIMIT = 8192 * MIB


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fragmentation_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


play = loaded().play


def counts(registry: CollectorRegistry) -> dict[str, float | None]:
    def of(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(name, {"device": "0", "uuid": "GPU-0", **labels})

    return {
        "fragmentation": of(FRAGMENTATION, kind="oom"),
        "retry": of(FRAGMENTATION, kind="retry"),
        "capacity": of(CAPACITY),
        "unjudged": of(UNJUDGED),
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_large_blocks_that_are_kept_whole_fail_less_often(seed: int) -> None:
    failures = {
        max_split: play(
            CachingAllocator(LIMIT, max_split).allocate,
            OutOfMemorySimulatedError,
            LIMIT,
            3000,
            seed,
        )
        for max_split in (None, 128 * MIB)
    }

    assert failures[None] > 50
    assert failures[128 * MIB] < failures[None] / 10


def test_the_figures_of_the_documentation_are_those_of_the_stand_in() -> None:
    as_it_is, split = CachingAllocator(LIMIT), CachingAllocator(LIMIT, 128 * MIB)
    for allocator in (as_it_is, split):
        play(allocator.allocate, OutOfMemorySimulatedError, LIMIT, 6000, 1)

    page = DOCS.read_text(encoding="utf-8")
    for name, made in (("not set", as_it_is), ("`max_split_size_mb:128`", split)):
        figures = f"{made.truth['fragmentation']} | {made.truth['retry']}"
        assert f"| {name} | {figures} |" in page
    assert split.truth["retry"] > as_it_is.truth["retry"]
    assert split.truth["fragmentation"] < as_it_is.truth["fragmentation"]


@settings(max_examples=25, deadline=None)
@given(
    mebibytes=st.integers(64, 1500),
    max_split=st.none() | st.sampled_from([32 * MIB, 128 * MIB]),
    seed=st.integers(0, 2**16),
    every=st.integers(1, 100),
)
def test_what_is_shown_is_what_happened_however_often_it_is_scraped(
    mebibytes: int, max_split: int | None, seed: int, every: int
) -> None:
    allocator = CachingAllocator(mebibytes * MIB, max_split)
    registry = CollectorRegistry()
    watch_allocator(registry, torch=allocator)
    counts(registry)
    asked = 0

    def allocate(size: int) -> Held:
        nonlocal asked
        asked += 1
        if asked % every == 0:
            counts(registry)
        return allocator.allocate(size)

    failures = play(allocate, OutOfMemorySimulatedError, mebibytes * MIB, 200, seed)

    assert counts(registry) == {**allocator.truth, "unjudged": 0}
    assert allocator.ooms == failures


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 300 * MIB), max_size=40),
    max_split=st.none() | st.just(64 * MIB),
    data=st.data(),
)
def test_the_stand_in_keeps_account_of_every_byte(
    sizes: list[int], max_split: int | None, data: Any
) -> None:
    allocator = CachingAllocator(1024 * MIB, max_split)
    held: list[Held] = []
    for size in sizes:
        if held and data.draw(st.booleans()):
            del held[data.draw(st.integers(0, len(held) - 1))]
        try:
            held.append(allocator.allocate(size))
        except OutOfMemorySimulatedError:
            continue
        assert sum(held_.size for held_ in held) == allocator.active
        assert allocator.active <= allocator.reserved <= allocator.total

    held.clear()
    found = allocator.statistics()
    assert (found["active_bytes.all.current"], found["inactive_split_bytes.all.current"]) == (0, 0)


@pytest.mark.skipif(
    importlib.util.find_spec("torch") is not None, reason="there may be a GPU to measure"
)
def test_the_reproducer_says_clearly_that_there_is_nothing_to_measure() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "No fragmentation was measured: PyTorch is not installed. Install it (pip install torch) "
        "on a machine with a GPU.\n"
    )
