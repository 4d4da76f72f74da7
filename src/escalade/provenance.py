"""What made a result: versions, machine, source, seeds and command."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from escalade.files import sha256_of

_NO_LIMIT = 2**60
"""Version 1 of control groups writes a number near 2⁶³ where there is no limit."""
_LOCK = Path("requirements.lock")


def host_facts() -> dict[str, Any]:
    """Describe this machine; what can't be read is None."""
    return {
        "hostname": socket.gethostname(),
        "cpu_model": _cpu_model(),
        "cpus": os.cpu_count(),
        "cpus_usable": len(os.sched_getaffinity(0)),
        "cpu_governor": _first_line(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "memory_limit_bytes": memory_limit(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "os": _os_name(),
    }


def memory_limit(
    cgroup: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Give the memory in bytes that the control group of this process may use; None without a limit.

    Parameters
    ----------
    cgroup
        Says which group it is.
    mounted
        Where the groups are, in version 2 (`memory.max`) or 1 (`memory.limit_in_bytes`). Limits of
        groups above hold too.
    """
    limits = []
    for line in _lines(cgroup):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number != "0" and "memory" not in controllers.split(","):
            continue
        root = mounted if number == "0" else mounted / "memory"
        name = "memory.max" if number == "0" else "memory.limit_in_bytes"
        below = root / path.lstrip("/")
        for group in (below, *below.parents):
            limits += [int(text) for text in _lines(group / name)[:1] if text.isdigit()]
            if group == root:
                break
    return min((limit for limit in limits if limit < _NO_LIMIT), default=None)


def software_facts() -> dict[str, Any]:
    """Name Python, Escalade and every package of the environment with its version."""
    packages = {
        dist.metadata["Name"].lower(): dist.version
        for dist in metadata.distributions()
        if dist.metadata["Name"]
    }
    return {
        "escalade": metadata.version("escalade"),
        "python": platform.python_version(),
        "packages": dict(sorted(packages.items())),
        "lock_sha256": sha256_of(_LOCK) if _LOCK.is_file() else None,
    }


def source_facts(folder: Path) -> dict[str, Any]:
    """Give the git commit of the sources and whether they differ from it.

    Both are None where there is no git or no repository: an installed package.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit.strip() if commit is not None else None,
        "dirty": bool(changes.strip()) if changes is not None else None,
    }


def _git(folder: Path, *arguments: str) -> str | None:
    if shutil.which("git") is None:
        return None
    answer = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    return answer.stdout if answer.returncode == 0 else None


def _cpu_model() -> str | None:
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith(("model name", "Model")):
            return line.split(":", 1)[1].strip()
    return platform.processor() or None


def _os_name() -> str | None:
    for line in _lines(Path("/etc/os-release")):
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip().strip('"')
    return None


def _first_line(path: Path) -> str | None:
    lines = _lines(path)
    return lines[0] if lines else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
