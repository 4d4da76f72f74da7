"""What this machine offers to a campaign, row by row."""

from __future__ import annotations

import platform
import secrets
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from escalade.runtime import toolbox
from escalade.runtime.cores import available_cores, plan_cores

_OLDEST_PYTHON = (3, 11)
_LITTLE_DISK_BYTES = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report.

    Parameters
    ----------
    name
        What was looked for.
    ok
        False when a campaign can't run without doing something about it.
    where
        Where it was found: "path", "distribution", "release", "module", or "".
    version
        Its version, or its size; "" when there is none.
    path
        Where it lies; "" for what has no place.
    note
        Why not, or what follows.
    """

    name: str
    ok: bool
    where: str = ""
    version: str = ""
    path: str = ""
    note: str = ""


def report(folder: Path | None = None) -> list[Row]:
    """Look at Python, tools, GPU, cores, disk and write access; nothing is fetched.

    Parameters
    ----------
    folder
        Where campaigns are to be written; by default the working folder.
    """
    folder = (folder or Path()).resolve()
    return [
        _python(),
        *(_tool(name) for name in toolbox.NAMES),
        _gpu(),
        _cores(),
        _disk(folder),
        _access("campaign folder", folder),
        _access("tools folder", toolbox.tools_folder()),
    ]


def _python() -> Row:
    ok = sys.version_info[:2] >= _OLDEST_PYTHON
    note = "" if ok else f"{'.'.join(map(str, _OLDEST_PYTHON))} or newer is needed"
    return Row("python", ok, "", platform.python_version(), sys.executable, note)


def _tool(name: str) -> Row:
    found, reasons = toolbox.look(name)
    if found is None:
        why = "; ".join(" ".join(reason.split()) for reason in reasons)
        return Row(name, ok=False, note=f"{why}; `make tools` fetches it")
    return Row(name, ok=True, where=found.origin, version=found.version, path=str(found.path))


def _gpu() -> Row:
    from escalade.gpu.nvml import gpus  # noqa: PLC0415 - only here, and it loads a library

    found, note = gpus()
    names = ", ".join(sorted({gpu["name"] for gpu in found}))
    return Row("GPU", ok=True, version=f"{len(found)} × {names}" if found else "", note=note or "")


def _cores() -> Row:
    client, service = plan_cores()
    note = f"client on {_list(client)}, service on {_list(service)}"
    if client == service:
        note = "client and service share the only core: the client's lag will show in results"
    return Row("cores", ok=True, version=str(len(available_cores())), note=note)


def _disk(folder: Path) -> Row:
    free = shutil.disk_usage(_existing(folder)).free
    note = "" if free >= _LITTLE_DISK_BYTES else "less than 1 GB: a campaign may not fit"
    return Row("free disk", not note, version=f"{free / 1e9:.1f} GB", path=str(folder), note=note)


def _access(name: str, folder: Path) -> Row:
    """Write and remove a file: permission bits do not tell of quotas and read-only mounts."""
    place = _existing(folder)
    probe = place / f".escalade-{secrets.token_hex(4)}"
    try:
        probe.write_bytes(b"x")
        probe.unlink()
    except OSError as error:
        return Row(name, ok=False, path=str(folder), note=f"can't be written: {error.strerror}")
    return Row(name, ok=True, path=str(folder))


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _list(cpus: tuple[int, ...]) -> str:
    return ",".join(map(str, cpus)) if len(cpus) < 9 else f"{len(cpus)} CPUs"
