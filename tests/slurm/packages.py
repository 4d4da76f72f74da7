"""Where the programs of Slurm come from: PATH, or the distribution's packages unpacked privately.

Unpacked programs look for their libraries and plugins where the packages would have
put them, so each is called through a wrapper that says where they are.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from escalade.errors import InfrastructureError
from escalade.runtime.distribution import Distribution
from escalade.runtime.toolbox import tools_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacct", "sacctmgr")
ACCOUNTING = ("slurmdbd", "mariadbd", "mariadb-install-db", "mariadb")
_PACKAGES = ("munge", "slurm-wlm-basic-plugins", "slurm-client", "slurmctld", "slurmd")
_STEP_DAEMON = "slurmstepd"
_ALTERNATIVE = "-wlm"  # how the packages name the daemons, for the alternatives system
_SYSTEM = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # not on everybody's PATH


@dataclass(frozen=True, slots=True)
class Software:
    """Programs of one Slurm.

    Parameters
    ----------
    programs
        Their paths, by name.
    libraries
        Folders that they need on LD_LIBRARY_PATH; none when Slurm is installed.
    plugins
        Slurm's PluginDir, where it is not the one that Slurm was built with.
    step_daemon
        Path of slurmstepd, likewise.
    """

    programs: Mapping[str, Path]
    libraries: tuple[Path, ...] = ()
    plugins: Path | None = None
    step_daemon: Path | None = None

    def write_wrappers(self, folder: Path, configuration: Path) -> None:
        """Write a script for each program that calls it with its libraries and configuration.

        Also commands that a job starts find their way by them, whatever was dropped
        from their environment in between.
        """
        folder.mkdir()
        for name, path in self.programs.items():
            lines = ["#!/bin/sh", f"export SLURM_CONF='{configuration}'"]
            if self.libraries:
                places = ":".join(map(str, self.libraries))
                lines.append(
                    f"export LD_LIBRARY_PATH='{places}'${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}"
                )
            (folder / name).write_text("\n".join([*lines, f"exec '{path}' \"$@\"", ""]))
            (folder / name).chmod(0o755)


def locate() -> Software:
    """Find Slurm, or unpack it; whatever comes of it, it is tried once.

    Raises
    ------
    InfrastructureError
        When it is neither installed nor to be had; the message says why.
    """
    found = _located()
    if isinstance(found, InfrastructureError):
        raise found
    return found


@functools.cache
def _located() -> Software | InfrastructureError:
    found = _find((*DAEMONS, *COMMANDS, *ACCOUNTING))
    absent = [name for name in (*DAEMONS, *COMMANDS) if name not in found]
    if not absent:
        return Software(found)
    folder = tools_folder()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "slurm.lock"):
            return _unpacked(folder)
    except InfrastructureError as error:
        return InfrastructureError(f"no {', '.join(absent)} on PATH; {error}")


def _find(names: Iterable[str]) -> dict[str, Path]:
    path = os.pathsep.join([os.environ.get("PATH", ""), *_SYSTEM])
    return {name: Path(found) for name in names if (found := shutil.which(name, path=path))}


def _unpacked(folder: Path) -> Software:
    """Give the Slurm in the tools folder, put there now if need be."""
    tree = folder / "slurm"
    if not tree.exists():
        unfinished = folder / ".slurm-unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        distribution = Distribution(folder / "apt")
        for package in _PACKAGES:
            distribution.unpack(package, unfinished)
        _link_alternatives(unfinished)
        _add_libraries(distribution, unfinished)
        unfinished.rename(tree)
    return _software(tree)


def _software(tree: Path) -> Software:
    places = [tree / "usr" / "bin", tree / "usr" / "sbin"]
    programs = {path.name: path for place in places for path in place.iterdir()}
    absent = [name for name in (*DAEMONS, *COMMANDS, _STEP_DAEMON) if name not in programs]
    if absent:
        raise InfrastructureError(f"the distribution's packages hold no {', '.join(absent)}")
    plugins = _plugins(tree)
    libraries = (plugins, plugins.parent)
    return Software(programs, libraries, plugins, programs[_STEP_DAEMON])


def _link_alternatives(tree: Path) -> None:
    """Call the daemons by their usual names: they behave by the name they are called."""
    for path in (tree / "usr" / "sbin").glob(f"*{_ALTERNATIVE}"):
        path.with_name(path.name.removesuffix(_ALTERNATIVE)).symlink_to(path.name)


def _plugins(tree: Path) -> Path:
    """Find the folder of Slurm's plugins, which also holds a library of its own."""
    return next(tree.glob("usr/lib/*/slurm-wlm"))


def _add_libraries(distribution: Distribution, tree: Path) -> None:
    """Unpack the packages of the libraries that the machine lacks."""
    for _ in range(4):  # a library may need others
        lacking = _lacking(tree)
        if not lacking:
            return
        for library in lacking:
            _unpack_library(distribution, library, tree)
    raise InfrastructureError(f"libraries are missing: {', '.join(sorted(lacking))}")


def _lacking(tree: Path) -> set[str]:
    plugins = _plugins(tree)
    binaries = [path for place in ("bin", "sbin") for path in (tree / "usr" / place).iterdir()]
    needed = [
        plugins / name for name in ("auth_munge.so", "select_cons_tres.so", "task_affinity.so")
    ]
    said = subprocess.run(
        ["ldd", *(str(path) for path in [*binaries, *needed] if path.is_file())],
        env={**os.environ, "LC_ALL": "C", "LD_LIBRARY_PATH": f"{plugins}:{plugins.parent}"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return set(re.findall(r"^\s*(\S+) => not found", said, re.MULTILINE))


def _unpack_library(distribution: Distribution, library: str, tree: Path) -> None:
    """Unpack the package of a shared library, named as Debian's policy says (8.1)."""
    match = re.fullmatch(r"(.+)\.so\.(\d+)(?:\..*)?", library)
    if match is None:
        raise InfrastructureError(f"{library} is missing")
    name, version = match.groups()
    dash = "-" if name[-1].isdigit() else ""
    package = f"{name.lower().replace('_', '-')}{dash}{version}"
    try:
        distribution.unpack(package, tree)
    except InfrastructureError:
        distribution.unpack(f"{package}t64", tree)  # since the end of 32-bit times
    for folder in tree.glob("lib/*"):  # where the loader isn't told to look
        shutil.copytree(
            folder, tree / "usr" / "lib" / folder.name, symlinks=True, dirs_exist_ok=True
        )
