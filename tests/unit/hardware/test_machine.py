"""Caches and memory, from folders like the kernel's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from escalade.hardware.machine import free_memory_bytes, last_level_cache_bytes

if TYPE_CHECKING:
    from pathlib import Path

GIB = 2**30


def cache(root: Path, cpu: int, index: int, **told: str) -> None:
    folder = root / f"cpu{cpu}" / "cache" / f"index{index}"
    folder.mkdir(parents=True)
    for name, text in told.items():
        (folder / name).write_text(f"{text}\n")


def machine(root: Path) -> Path:
    """Four CPUs, two of which share a third-level cache each time."""
    for cpu, shared in ((0, "0-1"), (1, "0-1"), (2, "2-3"), (3, "2-3")):
        own = str(cpu)
        cache(root, cpu, 0, level="1", type="Data", size="32K", shared_cpu_list=own)
        cache(root, cpu, 1, level="1", type="Instruction", size="32K", shared_cpu_list=own)
        cache(root, cpu, 2, level="2", type="Unified", size="1M", shared_cpu_list=own)
        cache(root, cpu, 3, level="3", type="Unified", size="32768K", shared_cpu_list=shared)
    return root


@pytest.mark.parametrize(
    ("cpus", "mebibytes"), [((0,), 32), ((0, 1), 32), ((1, 2), 64), ((0, 1, 2, 3), 64)]
)
def test_a_cache_that_cpus_share_counts_once(
    tmp_path: Path, cpus: tuple[int, ...], mebibytes: int
) -> None:
    assert last_level_cache_bytes(cpus, machine(tmp_path)) == mebibytes * 2**20


def test_without_a_third_level_the_second_is_the_last(tmp_path: Path) -> None:
    for cpu in (0, 1):
        cache(tmp_path, cpu, 2, level="2", type="Unified", size="512K", shared_cpu_list=str(cpu))

    assert last_level_cache_bytes((0, 1), tmp_path) == 2**20


def test_what_the_kernel_does_not_tell_is_not_known(tmp_path: Path) -> None:
    cache(tmp_path, 0, 3, level="3", type="Unified", size="unknown", shared_cpu_list="0")

    assert last_level_cache_bytes((0,), tmp_path) is None  # a size that is none
    assert last_level_cache_bytes((1,), tmp_path) is None  # no such folder


def tree(root: Path, available: int, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(
        f"MemTotal: 1 kB\nMemAvailable:  {available // 1024} kB\nCached: 5 kB\n"
    )
    (root / "proc/self/cgroup").write_text("0::/jobs/one\n")
    for path, text in files.items():
        file = root / "sys/fs/cgroup" / path.replace("__", "/").replace("_dot_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_free_memory_is_that_of_the_machine_without_a_limit(tmp_path: Path) -> None:
    limits = {"jobs__one__memory_dot_max": "max\n", "jobs__one__memory_dot_current": "7\n"}

    assert free_memory_bytes(tree(tmp_path, 8 * GIB, **limits)) == 8 * GIB


def test_a_limit_of_any_group_above_counts_less_what_it_uses(tmp_path: Path) -> None:
    limits = {
        "jobs__one__memory_dot_max": "max",
        "jobs__memory_dot_max": f"{4 * GIB}",
        "jobs__memory_dot_current": f"{GIB}",
    }

    assert free_memory_bytes(tree(tmp_path, 8 * GIB, **limits)) == 3 * GIB
