"""Which cores the client and the service get, so that neither slows the other."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_CLIENT_SHARE = 4


def available_cores() -> tuple[int, ...]:
    """Give the logical CPUs this process may use, in ascending order."""
    return tuple(sorted(os.sched_getaffinity(0)))


def stay_on(cpus: Iterable[int]) -> None:
    """Move this process to `cpus`; where it may not, it stays where it is."""
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, cpus)


def plan_cores(
    available: Iterable[int] | None = None,
    siblings: Callable[[int], frozenset[int]] | None = None,
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Split the cores of a machine between the client and the service.

    The client (load generator, Prometheus, exporters) gets a quarter, at least one
    core, the service the rest. Threads of one physical core stay together wherever
    there are two physical cores or more. With a single CPU both share it.

    Parameters
    ----------
    available
        Logical CPUs that may be used; by default those of this process.
    siblings
        Gives the logical CPUs that share a physical core with the given one; by
        default the kernel's word.

    Returns
    -------
    tuple of tuple of int
        The client's CPUs and the service's, each ascending; disjoint from two
        available CPUs on.
    """
    cpus = sorted(set(available_cores() if available is None else available))
    if len(cpus) < 2:
        return tuple(cpus), tuple(cpus)
    cores = _physical_cores(cpus, siblings or thread_siblings)
    if len(cores) < 2:
        cores = [[cpu] for cpu in cpus]
    share = max(1, len(cores) // _CLIENT_SHARE)
    client = [cpu for core in cores[:share] for cpu in core]
    service = [cpu for core in cores[share:] for cpu in core]
    return tuple(sorted(client)), tuple(sorted(service))


def thread_siblings(cpu: int) -> frozenset[int]:
    """Give the logical CPUs of the physical core of `cpu`; just `cpu` when unknown."""
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return parse_cpu_list(path.read_text(encoding="ascii")) | {cpu}
    except (OSError, ValueError):
        return frozenset({cpu})


def parse_cpu_list(text: str) -> frozenset[int]:
    """Read the kernel's notation of CPU sets: "0-3,8" is {0, 1, 2, 3, 8}."""
    found: set[int] = set()
    for part in text.strip().split(","):
        if part:
            first, _, last = part.partition("-")
            found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)


def _physical_cores(cpus: list[int], siblings: Callable[[int], frozenset[int]]) -> list[list[int]]:
    cores: dict[int, list[int]] = {}
    for cpu in cpus:
        cores.setdefault(min(siblings(cpu)), []).append(cpu)
    return list(cores.values())
