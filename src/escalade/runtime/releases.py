"""Official releases of tools, pinned by version and SHA-256."""

from __future__ import annotations

import hashlib
import platform
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TIMEOUT_SECONDS = 30.0
_CHUNK_BYTES = 1 << 20
_PROCESSORS = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class Release:
    """A release of a project of the Prometheus organisation.

    Parameters
    ----------
    project
        Name of its repository, and of the tool in the archive.
    version
        Without the leading "v".
    sha256
        Of the archive for Linux, by processor in Go's words.
    site
        What comes before `/<project>/releases/…` in the address.
    """

    project: str
    version: str
    sha256: Mapping[str, str]
    site: str = "https://github.com/prometheus"

    def archive(self, processor: str) -> str:
        """Name the archive for a processor; its only folder has the same name."""
        return f"{self.project}-{self.version}.linux-{processor}"

    def url(self, processor: str) -> str:
        """Give the address of the archive."""
        name = f"{self.archive(processor)}.tar.gz"
        return f"{self.site}/{self.project}/releases/download/v{self.version}/{name}"


# The long-term release that the distributions are nearest to. The sums are those of
# the projects' sha256sums.txt.
PROMETHEUS = Release(
    "prometheus",
    "2.53.4",
    {
        "amd64": "b8b497c4610d1b93208252b60c8f20f6b2e78596ae8df43397a2e805aa53d475",
        "arm64": "ec7236ecea7154d0bfe142921708b1ae7b5e921e100e0ee85ab92b7c444357e0",
    },
)
NODE_EXPORTER = Release(
    "node_exporter",
    "1.8.2",
    {
        "amd64": "6809dd0b3ec45fd6e992c19071d6b5253aed3ead7bf0686885a51d85c6643c66",
        "arm64": "627382b9723c642411c33f48861134ebe893e70a63bcc8b3fc0619cd0bfac4be",
    },
)


def unpack(release: Release, into: Path, machine: str | None = None) -> str:
    """Download a release, compare its checksum, and unpack it.

    Parameters
    ----------
    release
        What to get.
    into
        Folder that receives the archive's only folder.
    machine
        The processor, in the words of `uname -m`; by default this machine's.

    Returns
    -------
    str
        Name of the folder in `into`.

    Raises
    ------
    InfrastructureError
        When the processor is not supported, there is no network, or the archive
        is not the pinned one; nothing of it is then unpacked.
    """
    machine = platform.machine() if machine is None else machine
    processor = _PROCESSORS.get(machine.lower())
    if processor is None or processor not in release.sha256:
        raise InfrastructureError(f"no release is pinned for the processor {machine}")
    url = release.url(processor)
    archive = into / "archive.tar.gz"
    found = _download(url, archive)
    expected = release.sha256[processor]
    if found != expected:
        archive.unlink()
        raise InfrastructureError(f"{url} has the SHA-256 {found}, expected {expected}: refused")
    _extract(archive, into)
    archive.unlink()
    return release.archive(processor)


def _download(url: str, target: Path) -> str:
    """Write what `url` gives to `target`; returns its SHA-256."""
    digest = hashlib.sha256()
    opener = urllib.request.build_opener()  # urlopen would keep the first call's proxies
    try:
        with (
            opener.open(url, timeout=_TIMEOUT_SECONDS) as answer,
            target.open("wb") as written,
        ):
            while chunk := answer.read(_CHUNK_BYTES):
                digest.update(chunk)
                written.write(chunk)
    except (OSError, urllib.error.URLError) as error:
        raise InfrastructureError(f"{url}: {getattr(error, 'reason', error)}") from error
    return digest.hexdigest()


def _extract(archive: Path, into: Path) -> None:
    try:
        with tarfile.open(archive) as opened:
            if hasattr(tarfile, "data_filter"):
                opened.extractall(into, filter="data")
            else:  # Python 3.11.3 and before; the checksum vouches for the content
                opened.extractall(into)  # noqa: S202
    except (OSError, tarfile.TarError) as error:
        raise InfrastructureError(f"{archive.name} can't be unpacked: {error}") from error
