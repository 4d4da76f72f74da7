"""Name what an environment lacks of a lock file: `.venv/bin/python envs/verify.py LOCK`."""
# ruff: noqa: INP001 - run by path, no package

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

from packaging.requirements import Requirement

INSTALLERS = {"setuptools", "uv"}
"""Another version of these changes nothing that a campaign measures."""


def differences(lock: str) -> list[str]:
    """Compare the pins of a lock file with what is installed."""
    found = []
    for line in lock.splitlines():
        if not line or line.startswith((" ", "#")):
            continue
        pin = Requirement(line.rstrip("\\ "))
        if pin.name in INSTALLERS or (pin.marker and not pin.marker.evaluate()):
            continue
        try:
            installed = importlib.metadata.version(pin.name)
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{pin.name} is missing, the lock has {pin.specifier}")
        else:
            if not pin.specifier.contains(installed, prereleases=True):
                found.append(f"{pin.name} is {installed}, the lock has {pin.specifier}")
    return found


if __name__ == "__main__":
    lacking = differences(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.writelines(f"{line}\n" for line in lacking)
    sys.exit(bool(lacking))
