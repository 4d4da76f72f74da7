"""What the allocator's statistics say of fragmentation, and what they leave unsaid."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from escalade.gpu.fragmentation import (
    CAPACITY,
    FRAGMENTATION,
    MEMORY,
    RATIO,
    SETTINGS,
    SWARM,
    UNJUDGED,
    Statistics,
    Tally,
    allocator_settings,
    cause_of_failure,
    watch_allocator,
)

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parents[3] / "docs" / "fragmentation.md"
MIB = 1024**2
DEVICE = 8192 * MIB
UUID = "3a1f0c52-8d0e-4c6b-9f1e-0f2d6a7b8c9d"
GPU = {"device": "0", "uuid": f"GPU-{UUID}"}


def statistics(
    reserved: int = 0, active: int = 0, split: int = 0, retries: int = 0, ooms: int = 0
) -> dict[str, int]:
    """Give what `torch.cuda.memory_stats` does, by its documented keys; of each the part used here."""
    return {
        "active_bytes.all.current": active,
        "allocated_bytes.all.current": active,
        "inactive_split_bytes.all.current": split,
        "num_alloc_retries": retries,
        "num_ooms": ooms,
        "reserved_bytes.all.current": reserved,
    }


class Torch:
    """As much of torch as the collector asks: one device, whose statistics a test sets."""

    def __init__(self, backend: str = "native") -> None:
        self.found: dict[str, int] = statistics()
        self.initialized = True
        self.observers: list[Callable[[int, int, int, int], None]] = []
        self._C = SimpleNamespace(_cuda_attach_out_of_memory_observer=self.observers.append)
        self.cuda = SimpleNamespace(
            is_initialized=lambda: self.initialized,
            get_allocator_backend=lambda: backend,
            device_count=lambda: 1,
            memory_stats=lambda _: self.found,
            get_device_properties=lambda _: SimpleNamespace(uuid=UUID),
        )

    def fail(self, requested: int, free: int) -> None:
        """Fail as the allocator does: it tries again, counts both, and tells its observers."""
        self.found["num_alloc_retries"] += 1
        self.found["num_ooms"] += 1
        for tell in self.observers:
            tell(0, requested, DEVICE, free)


@pytest.fixture
def torch() -> Torch:
    return Torch()


@pytest.fixture
def registry(torch: Torch) -> CollectorRegistry:
    registry = CollectorRegistry()
    watch_allocator(registry, torch=torch, swarm_names=True)
    generate_latest(registry)
    return registry


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, {**GPU, **labels})


def events(registry: CollectorRegistry) -> dict[str, float | None]:
    return {
        "retry": value(registry, FRAGMENTATION, kind="retry"),
        "oom": value(registry, FRAGMENTATION, kind="oom"),
        "capacity": value(registry, CAPACITY),
        "unjudged": value(registry, UNJUDGED),
    }


def test_the_ratio_is_of_what_is_idle_and_cannot_be_given_back(
    torch: Torch, registry: CollectorRegistry
) -> None:
    torch.found = statistics(reserved=1000 * MIB, active=600 * MIB, split=250 * MIB)

    assert value(registry, RATIO) == 0.25
    assert value(registry, MEMORY, state="reserved") == 1000 * MIB
    assert value(registry, MEMORY, state="active") == 600 * MIB
    assert value(registry, MEMORY, state="inactive_split") == 250 * MIB


def test_of_nothing_reserved_there_is_no_ratio(registry: CollectorRegistry) -> None:
    assert value(registry, RATIO) is None
    assert value(registry, MEMORY, state="reserved") == 0


def test_an_allocation_that_failed_with_enough_idle_in_pieces_is_fragmentation(
    torch: Torch, registry: CollectorRegistry
) -> None:
    torch.found = statistics(reserved=7000 * MIB, active=5000 * MIB, split=2000 * MIB)

    torch.fail(requested=2050 * MIB, free=100 * MIB)

    assert events(registry) == {"retry": 0, "oom": 1, "capacity": 0, "unjudged": 0}
    assert value(registry, SWARM) == 1


def test_an_allocation_that_failed_for_want_of_memory_is_not(
    torch: Torch, registry: CollectorRegistry
) -> None:
    torch.found = statistics(reserved=7000 * MIB, active=6900 * MIB, split=100 * MIB)

    torch.fail(requested=2050 * MIB, free=100 * MIB)

    assert events(registry) == {"retry": 0, "oom": 0, "capacity": 1, "unjudged": 0}
    assert value(registry, SWARM) == 0


def test_free_memory_beyond_the_share_of_the_process_does_not_count() -> None:
    state = Statistics(reserved=1000, active=990, inactive_split=10, retries=1, ooms=1)

    assert cause_of_failure(state, requested=500, limit=1200, free=5000) == "capacity"
    assert cause_of_failure(state, requested=500, limit=6000, free=5000) == "fragmentation"


def test_an_allocation_that_succeeded_when_tried_again_is_fragmentation(
    torch: Torch, registry: CollectorRegistry
) -> None:
    torch.found = statistics(reserved=100, active=50, retries=3)

    assert events(registry) == {"retry": 3, "oom": 0, "capacity": 0, "unjudged": 0}


def test_a_failure_before_the_first_scrape_is_not_judged_and_not_left_out(torch: Torch) -> None:
    torch.fail(requested=1, free=DEVICE)
    registry = CollectorRegistry()
    watch_allocator(registry, torch=torch)

    assert events(registry) == {"retry": 0, "oom": 0, "capacity": 0, "unjudged": 1}


def test_a_release_that_tells_of_no_failures_has_them_unjudged(torch: Torch) -> None:
    torch._C = SimpleNamespace()
    registry = CollectorRegistry()
    watch_allocator(registry, torch=torch)
    torch.found = statistics(reserved=100, active=50, retries=5, ooms=2)

    assert events(registry) == {"retry": 3, "oom": 0, "capacity": 0, "unjudged": 2}


def test_counts_survive_a_reset_of_the_allocators_own(
    torch: Torch, registry: CollectorRegistry
) -> None:
    torch.found = statistics(reserved=100, active=50, retries=4)
    torch.fail(requested=DEVICE, free=0)
    generate_latest(registry)

    torch.found = statistics(reserved=100, active=50, retries=1)  # reset, then one more

    assert events(registry) == {"retry": 5, "oom": 0, "capacity": 1, "unjudged": 0}


def test_one_observer_is_attached_however_often_it_is_scraped(
    torch: Torch, registry: CollectorRegistry
) -> None:
    for _ in range(3):
        generate_latest(registry)

    assert len(torch.observers) == 1


@pytest.mark.parametrize(
    "absent",
    [
        pytest.param(None, id="no torch"),
        pytest.param(SimpleNamespace(), id="torch without cuda"),
        pytest.param(
            SimpleNamespace(cuda=SimpleNamespace(is_initialized=lambda: False)), id="idle"
        ),
    ],
)
def test_without_torch_or_cuda_there_is_nothing_and_no_zero(absent: object) -> None:
    registry = CollectorRegistry()
    watch_allocator(registry, torch=absent, swarm_names=True)

    assert generate_latest(registry) == b""


def test_a_build_without_statistics_shows_no_counts(
    torch: Torch, registry: CollectorRegistry
) -> None:
    torch.found = {}

    assert {family.name for family in registry.collect()} == {SETTINGS}


def test_an_allocator_that_does_not_count_these_things_shows_its_name_only() -> None:
    registry = CollectorRegistry()
    watch_allocator(registry, torch=Torch("cudaMallocAsync"))

    (family,) = registry.collect()
    assert family.samples[0].labels["backend"] == "cudaMallocAsync"


def test_the_names_of_the_swarm_are_shown_on_demand_only(torch: Torch) -> None:
    registry = CollectorRegistry()
    watch_allocator(registry, torch=torch)

    assert value(registry, FRAGMENTATION, kind="oom") == 0
    assert value(registry, SWARM) is None


@pytest.mark.parametrize(
    ("environment", "settings"),
    [
        ({}, ""),
        ({"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:128"}, "max_split_size_mb:128"),
        ({"PYTORCH_ALLOC_CONF": "a:1", "PYTORCH_CUDA_ALLOC_CONF": "b:2"}, "a:1"),
        ({"PYTORCH_ALLOC_CONF": "", "PYTORCH_CUDA_ALLOC_CONF": "b:2"}, "b:2"),
    ],
)
def test_the_settings_are_those_of_the_environment(
    environment: dict[str, str], settings: str
) -> None:
    assert allocator_settings(environment) == settings


def test_the_page_says_which_settings_the_service_ran_with(
    torch: Torch, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:128")

    labels = {"backend": "native", "conf": "max_split_size_mb:128"}
    assert registry.get_sample_value(SETTINGS, labels) == 1


@pytest.mark.parametrize("setting", ["expandable_segments:True", "a:1, expandable_segments:true"])
def test_idle_parts_that_torch_does_not_count_are_absent(
    setting: str, torch: Torch, registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", setting)
    torch.found = statistics(reserved=1000, active=600)

    assert value(registry, RATIO) is None
    assert value(registry, MEMORY, state="inactive_split") is None
    assert value(registry, MEMORY, state="active") == 600
    assert value(registry, FRAGMENTATION, kind="oom") == 0


SIZES = st.integers(0, 2**40)


@given(reserved=SIZES, idle=SIZES, requested=SIZES, limit=SIZES, free=SIZES, more=SIZES)
def test_more_memory_never_turns_fragmentation_into_want_of_it(
    *, reserved: int, idle: int, requested: int, limit: int, free: int, more: int
) -> None:
    state = Statistics(reserved + idle, reserved, idle, 1, 1)
    cause = cause_of_failure(state, requested, limit, free)

    if cause == "fragmentation":
        assert cause_of_failure(state, requested, limit + more, free + more) == cause
        assert idle + free >= requested
    else:
        assert cause_of_failure(state, requested + more, limit, free) == cause
        assert idle < requested


ALLOCATIONS = st.lists(st.sampled_from(["retried", "lacked", "in pieces", "unseen", "reset"]))


@given(happened=ALLOCATIONS, scraped=st.lists(st.booleans(), min_size=1))
def test_each_event_is_counted_once_whenever_it_is_scraped(
    happened: list[str], scraped: list[bool]
) -> None:
    tally, retries, ooms = Tally(), 0, 0

    def scrape() -> None:
        tally.take(Statistics(100, 50, 50, retries, ooms))

    for number, event in enumerate(happened):
        if event == "reset":
            scrape()  # what nobody read before it was reset is lost to everybody
            retries = ooms = 0
            scrape()
            continue
        retries += 1
        ooms += event != "retried"
        if event in {"lacked", "in pieces"}:
            tally.failed["capacity" if event == "lacked" else "fragmentation"] += 1
        if scraped[number % len(scraped)]:
            scrape()
    scrape()

    assert tally.recovered == happened.count("retried")
    assert tally.failed["capacity"] == happened.count("lacked")
    assert tally.failed["fragmentation"] == happened.count("in pieces")
    assert tally.unjudged == happened.count("unseen")


@given(readings=st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50))))
def test_no_order_of_readings_makes_a_counter_go_back(readings: list[tuple[int, int]]) -> None:
    tally, before = Tally(), (0, 0)

    for retries, ooms in readings:
        tally.take(Statistics(100, 50, 50, retries, ooms))
        now = (tally.recovered, tally.unjudged)
        assert now[0] >= before[0]
        assert now[1] >= before[1]
        before = now


def test_it_brings_neither_torch_nor_tables_into_the_service() -> None:
    code = "import sys, escalade.gpu.fragmentation; print(*sys.modules)"
    argv = [sys.executable, "-c", code]
    told = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout

    heavy = {"torch", "numpy", "pandas", "pyarrow", "pydantic", "pynvml", "escalade.analysis"}
    assert not heavy & {*told.split()}


def test_the_example_of_the_documentation_runs_without_torch() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), flags=re.DOTALL)

    argv = [sys.executable, "-c", example]
    told = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout

    assert "python_info" in told
    assert "escalade_cuda" not in told


def test_the_documentation_lists_what_is_shown(torch: Torch, registry: CollectorRegistry) -> None:
    torch.found = statistics(reserved=100, active=50)
    listed = re.findall(r"^\| `(\w+)` \| (counter|gauge)", DOCS.read_text("utf-8"), re.MULTILINE)

    shown = re.findall(r"^# TYPE (\w+) (\w+)$", generate_latest(registry).decode(), re.MULTILINE)
    assert {*listed} == {*shown}
