"""What is written down of the machine: how much memory a control group leaves to a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.provenance import memory_limit

if TYPE_CHECKING:
    from pathlib import Path


def group(folder: Path, line: str, limits: dict[str, str]) -> int | None:
    told = folder / "cgroup"
    told.write_text(line, encoding="utf-8")
    for name, text in limits.items():
        path = folder / "mounted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return memory_limit(told, folder / "mounted")


def test_the_tightest_limit_on_the_way_up_holds(tmp_path: Path) -> None:
    limits = {"job/memory.max": "4096\n", "job/step/memory.max": "max\n"}

    assert group(tmp_path, "0::/job/step\n", limits) == 4096


def test_a_group_without_limit_has_none(tmp_path: Path) -> None:
    assert group(tmp_path, "0::/job\n", {"job/memory.max": "max\n"}) is None


def test_the_first_version_of_control_groups_is_read_too(tmp_path: Path) -> None:
    lines = "9:name=systemd:/\n5:cpu,memory:/job\n"
    limits = {
        "memory/job/memory.limit_in_bytes": "8192\n",
        "memory/memory.limit_in_bytes": "9223372036854771712\n",
    }

    assert group(tmp_path, lines, limits) == 8192


def test_a_machine_without_control_groups_has_no_limit(tmp_path: Path) -> None:
    assert memory_limit(tmp_path / "nothing", tmp_path) is None
    assert group(tmp_path, "no colons here", {}) is None
