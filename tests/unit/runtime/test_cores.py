"""Which cores client and service get."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.runtime.cores import available_cores, parse_cpu_list, plan_cores, thread_siblings


def single(cpu: int) -> frozenset[int]:
    return frozenset({cpu})


def paired(cpu: int) -> frozenset[int]:
    """CPUs 0 and 4, 1 and 5, … are threads of one core, as on many laptops."""
    return frozenset({cpu % 4, cpu % 4 + 4})


@pytest.mark.parametrize(
    ("available", "siblings", "client", "service"),
    [
        ([3], single, (3,), (3,)),
        ([0, 1], single, (0,), (1,)),
        ([0, 4], paired, (0,), (4,)),  # one physical core: its threads are all there is
        (range(8), single, (0, 1), (2, 3, 4, 5, 6, 7)),
        (range(8), paired, (0, 4), (1, 2, 3, 5, 6, 7)),
        ([], single, (), ()),
    ],
)
def test_the_client_gets_a_quarter_and_threads_of_a_core_stay_together(
    available: list[int], siblings: object, client: tuple[int, ...], service: tuple[int, ...]
) -> None:
    assert plan_cores(available, siblings) == (client, service)  # type: ignore[arg-type]


@given(st.sets(st.integers(0, 255), min_size=2), st.sampled_from([single, paired]))
def test_from_two_cpus_on_the_parts_are_disjoint_and_whole(
    available: set[int], how: object
) -> None:
    client, service = plan_cores(available, how)  # type: ignore[arg-type]

    assert client
    assert service
    assert not set(client) & set(service)
    assert set(client) | set(service) == available


def test_by_default_the_cores_of_this_process_are_planned() -> None:
    client, service = plan_cores()

    assert set(client) | set(service) == os.sched_getaffinity(0)
    assert available_cores() == tuple(sorted(os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("text", "cpus"), [("0-3,8\n", {0, 1, 2, 3, 8}), ("5\n", {5}), ("\n", set())]
)
def test_the_kernels_cpu_lists_are_read(text: str, cpus: set[int]) -> None:
    assert parse_cpu_list(text) == cpus


def test_a_cpu_of_unknown_topology_is_its_own_core() -> None:
    assert thread_siblings(10_000) == {10_000}
