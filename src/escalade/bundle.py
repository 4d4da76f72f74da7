"""A campaign in one portable file: what somebody else needs to read and to check it."""

from __future__ import annotations

import zipfile
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING

from escalade.errors import InputError
from escalade.files import replacing
from escalade.manifest import NAME, differences, read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

SUMS = "SHA256SUMS"
"""In the file: the hash of each of its artifacts, as `sha256sum --check` reads them."""
_RAW = "cells/"
_PACKED = (".parquet", ".zst")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date that the format knows: same content, same bytes
_NAMED = 5


def bundle(campaign: Path, destination: Path, *, raw: bool = False) -> int:
    """Write report, KPIs, verdicts, configuration, provenance and manifest into a zip file.

    Paths in it are relative and begin with the campaign's name. The manifest is whole: it
    holds the hashes of raw data that stay behind too.

    Parameters
    ----------
    campaign
        Folder of a campaign whose manifest is written.
    destination
        The file; an older one is replaced.
    raw
        Whether request logs, samples, the Prometheus archive and logs of all cells go with it.

    Returns
    -------
    int
        Number of files in it.

    Raises
    ------
    InputError
        When there is no manifest, or a file that belongs into the bundle is missing or was changed.
    InfrastructureError
        When it can't be written; `destination` is then as it was before.
    """
    artifacts = read_manifest(campaign)
    _refuse_outside(campaign, artifacts)
    names = [name for name in sorted(artifacts) if raw or not name.startswith(_RAW)]
    _refuse_changed(campaign, names)
    with (
        replacing(destination) as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
    ):
        for name in [NAME, *names]:
            with archive.open(_member(campaign, name), "w", force_zip64=True) as member:
                _copy(campaign / name, member)
        archive.writestr(_member(campaign, SUMS), _sums(artifacts, names))
    return len(names) + 2


def _refuse_outside(campaign: Path, artifacts: Iterable[str]) -> None:
    """Refuse a manifest that somebody else wrote to have other files packed."""
    for name in artifacts:
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise InputError(
                f"{campaign / NAME} names {name}, which lies outside of the campaign: it was not "
                "written by Escalade. Nothing was bundled."
            )


def _refuse_changed(campaign: Path, names: Sequence[str]) -> None:
    changed = differences(campaign, [campaign / name for name in names])
    if changed:
        told = ", ".join(f"{each.path} {each.what}" for each in changed[:_NAMED])
        more = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        raise InputError(
            f"{campaign} is not as its manifest says: {told}{more}. `escalade replay {campaign}` "
            "rebuilds what follows from the raw data; nothing was bundled."
        )


def _member(campaign: Path, name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(f"{campaign.resolve().name}/{name}", _EPOCH)
    info.external_attr = 0o644 << 16
    info.compress_type = zipfile.ZIP_STORED if name.endswith(_PACKED) else zipfile.ZIP_DEFLATED
    return info


def _copy(source: Path, member: IO[bytes]) -> None:
    with source.open("rb") as opened:
        while block := opened.read(1 << 20):
            member.write(block)


def _sums(artifacts: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> str:
    return "".join(f"{artifacts[name]['sha256']}  {name}\n" for name in names)
