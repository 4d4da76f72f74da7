"""Packages of the Linux distribution, unpacked by an ordinary user into a folder.

apt-get works on lists and a cache of its own, so that nothing of the system changes
and no root is needed; signatures are checked against the system's keyring. Only the
standard library is used: the bootstrap runs this before anything is installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from functools import partial
from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError
from escalade.runtime.lifeline import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_LISTS_SECONDS = 3600.0
_PATIENCE_SECONDS = 300.0
# Hooks of the system would clean its cache, or fail for want of root.
_CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


class Distribution:
    """The distribution's package archive, seen from a private folder.

    Parameters
    ----------
    folder
        Where lists and downloads are kept; made when it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._doubt = ""

    def unpack(self, package: str, into: Path) -> str:
        """Download a package and unpack it, without running any of its scripts.

        Parameters
        ----------
        package
            Its name in the distribution.
        into
            Root of the unpacked tree.

        Returns
        -------
        str
            File name of the package, with version and architecture.

        Raises
        ------
        InfrastructureError
            When there is no apt-get here, no network, no such package, or its
            signature is not good; the message is the first complaint of apt-get.
        """
        for program in ("apt-get", "dpkg"):
            if shutil.which(program) is None:
                raise InfrastructureError(f"no {program} here: no Debian or Ubuntu")
        self._prepare()
        archive = self._download(package)
        self._run("dpkg", "-x", str(archive), str(into))
        archive.unlink()
        return archive.name

    def _prepare(self) -> None:
        for name in ("state/lists/partial", "cache/archives/partial", "download"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "apt.conf").write_text(_CONFIGURATION, encoding="ascii")

    def _download(self, package: str) -> Path:
        if not self._lists_are_fresh():
            self._update()
        place = self._folder / "download"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        try:
            self._apt("download", package, cwd=place)
        except InfrastructureError as error:  # for want of lists, as a rule
            raise InfrastructureError(self._doubt or str(error)) from error
        return next(place.glob("*.deb"))

    def _update(self) -> None:
        """Fetch the lists; a source that fails is no matter while another has the package."""
        complaints = self._apt("update")
        if complaints:
            self._doubt = f"apt-get update: {_first_complaint(complaints)}"
        else:
            (self._folder / "updated").touch()

    def _lists_are_fresh(self) -> bool:
        try:
            return time.time() - (self._folder / "updated").stat().st_mtime < _LISTS_SECONDS
        except OSError:
            return False

    def _apt(self, *arguments: str, cwd: Path | None = None) -> str:
        options = {
            "Dir::State": f"{self._folder}/state",
            "Dir::State::status": "/var/lib/dpkg/status",
            "Dir::Cache": f"{self._folder}/cache",
            "Dir::Cache::pkgcache": "",
            "Dir::Cache::srcpkgcache": "",
            "Debug::NoLocking": "true",
            "Acquire::Languages": "none",
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": "20",
            "Acquire::https::Timeout": "20",
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "APT::Get::AllowUnauthenticated": "false",
        }
        if os.geteuid() == 0:  # the sandbox's user could not write into a private folder
            options["APT::Sandbox::User"] = "root"
        command = ["apt-get", "-c", str(self._folder / "apt.conf"), "-qq"]
        for key, value in options.items():
            command += ["-o", f"{key}={value}"]
        return self._run(*command, *arguments, cwd=cwd)

    def _run(self, *command: str, cwd: Path | None = None) -> str:
        """Run a command; gives what it complained about without failing."""
        what = " ".join((command[0], *_words(command)))
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_PATIENCE_SECONDS,
                check=False,
                preexec_fn=partial(die_with_parent, os.getpid()),
            )
        except subprocess.TimeoutExpired:
            raise InfrastructureError(f"{what} took over {_PATIENCE_SECONDS:g} s") from None
        if done.returncode != 0:
            raise InfrastructureError(f"{what}: {_first_complaint(done.stderr)}")
        return done.stderr.strip()


def _words(command: Sequence[str]) -> list[str]:
    """Give what a reader needs of a command: its verb and object."""
    return [word for word in command[-2:] if not word.startswith("-") and "=" not in word]


def _first_complaint(output: str) -> str:
    """Give the line that says most: the first error, else the first warning with a cause."""
    lines = output.strip().splitlines() or ["it said nothing"]
    for beginning in ("E:", "dpkg", "W: Failed"):
        for line in lines:
            if line.startswith(beginning):
                return line
    return lines[0]
