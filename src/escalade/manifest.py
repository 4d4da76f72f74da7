"""The manifest: the SHA-256 of every artifact of a campaign, and its check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.errors import InputError
from escalade.files import read_json, sha256_of, write_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAME = "MANIFEST.json"
UNSEALED = "report.partial"
"""Begin of the names of what was rendered in the middle of a campaign: no result of it."""
_UNCOVERED = {NAME, "logs"}


@dataclass(frozen=True)
class Difference:
    """One artifact that is not what the manifest says."""

    path: str
    what: str


def write_manifest(campaign: Path, name: str = "") -> None:
    """Cover every file of the campaign but the manifest itself, partial reports and the driver's logs.

    Parameters
    ----------
    campaign
        Its folder, or another one whose files belong together.
    name
        What it is called; by default as the folder is.
    """
    artifacts = {
        path.relative_to(campaign).as_posix(): {
            "sha256": sha256_of(path),
            "bytes": path.stat().st_size,
        }
        for path in _artifacts(campaign)
    }
    named = name or campaign.name
    write_json(campaign / NAME, {"schema": 1, "campaign": named, "artifacts": artifacts})


def seal_again(campaign: Path, files: Iterable[Path]) -> list[str]:
    """Cover files that were rendered anew, where the manifest has other content of them.

    Returns
    -------
    list of str
        Names of the files whose entry has changed; none where there is no manifest.

    Raises
    ------
    InputError
        When the manifest is none.
    """
    if not (campaign / NAME).exists():
        return []
    artifacts = read_manifest(campaign)
    changed = []
    for path in files:
        name = path.relative_to(campaign).as_posix()
        entry = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
        if artifacts.get(name) != entry:
            artifacts[name] = entry
            changed.append(name)
    if changed:
        content = read_json(campaign / NAME, "manifest")
        write_json(campaign / NAME, {**content, "artifacts": artifacts})
    return changed


def verify(campaign: Path) -> list[Difference]:
    """Compare the files with the manifest; an empty list means that all agree.

    Raises
    ------
    InputError
        When there is no manifest, or it is none.
    """
    artifacts = read_manifest(campaign)
    differences = [
        Difference(name, what)
        for name, entry in artifacts.items()
        if (what := _difference(campaign / name, entry))
    ]
    covered = set(artifacts)
    extra = [path.relative_to(campaign).as_posix() for path in _artifacts(campaign)]
    return differences + [
        Difference(name, "is not in the manifest") for name in extra if name not in covered
    ]


def differences(campaign: Path, files: Iterable[Path]) -> list[Difference]:
    """Compare some of a campaign's files with the manifest.

    Raises
    ------
    InputError
        As `verify`.
    """
    artifacts = read_manifest(campaign)
    found = []
    for path in files:
        name = path.relative_to(campaign).as_posix()
        entry = artifacts.get(name)
        what = "is not in the manifest" if entry is None else _difference(path, entry)
        if what:
            found.append(Difference(name, what))
    return found


def read_manifest(campaign: Path) -> dict[str, dict[str, Any]]:
    """Read the artifacts of a manifest: path → sha256 and bytes."""
    path = campaign / NAME
    if not path.exists():
        raise InputError(
            f"manifest: {path} does not exist. Either {campaign} is no campaign's folder, or the "
            "campaign is not over: escalade run goes on with it."
        )
    content = read_json(path, "manifest")
    if not isinstance(content, dict) or not isinstance(content.get("artifacts"), dict):
        raise InputError(f"{path} is no manifest: expected the key `artifacts`.")
    artifacts: dict[str, dict[str, Any]] = content["artifacts"]
    return artifacts


def _difference(path: Path, entry: dict[str, Any]) -> str:
    if not path.is_file():
        return "is missing"
    if path.stat().st_size != entry.get("bytes") or sha256_of(path) != entry.get("sha256"):
        return "was changed"
    return ""


def _artifacts(campaign: Path) -> list[Path]:
    return sorted(
        path
        for path in campaign.rglob("*")
        if path.is_file()
        and path.relative_to(campaign).parts[0] not in _UNCOVERED
        and not path.relative_to(campaign).as_posix().startswith(UNSEALED)
        and not path.name.endswith((".tmp", ".snakemake_timestamp"))
    )
