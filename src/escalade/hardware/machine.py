"""Caches and memory of this machine, as the kernel shows them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from escalade.runtime.cores import parse_cpu_list

if TYPE_CHECKING:
    from collections.abc import Iterable

_CPUS = Path("/sys/devices/system/cpu")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_SIZE = re.compile(r"^(\d+)([KMG]?)$")


def last_level_cache_bytes(cpus: Iterable[int], root: Path = _CPUS) -> int | None:
    """Add up the last-level caches that some CPUs use, each once, in bytes; None when unknown."""
    caches: dict[tuple[int, str], int] = {}
    for cpu in cpus:
        levels = {
            int(level): folder
            for folder in sorted((root / f"cpu{cpu}" / "cache").glob("index*"))
            if (level := _text(folder / "level")).isdecimal()
            and _text(folder / "type") != "Instruction"
        }
        if not levels:
            return None
        last = max(levels)
        size = _SIZE.match(_text(levels[last] / "size"))
        if size is None:
            return None
        shared = _text(levels[last] / "shared_cpu_list") or str(cpu)
        caches[min(parse_cpu_list(shared)), str(last)] = int(size[1]) * _UNITS[size[2]]
    return sum(caches.values()) or None


def free_memory_bytes(root: Path = Path("/")) -> int:
    """Give the memory that a program may still take, in bytes: of the machine, and of its cgroups."""
    told = re.search(r"^MemAvailable:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    free = int(told[1]) * 1024 if told else 0
    own = re.search(r"^0::(/.*)$", _text(root / "proc/self/cgroup"), re.MULTILINE)
    group = Path(own[1]) if own else Path("/")
    for path in (group, *group.parents):
        folder = root / "sys/fs/cgroup" / path.relative_to("/")
        most, used = _text(folder / "memory.max"), _text(folder / "memory.current")
        if most.isdecimal() and used.isdecimal():
            free = min(free, max(0, int(most) - int(used)))
    return free


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
