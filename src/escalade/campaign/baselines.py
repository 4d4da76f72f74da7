"""Stored baselines: what regressions are checked against, kept by the name of the campaign.

A baseline is a campaign without what can be derived again, and without Prometheus' data and logs:
configuration, provenance, the request log and the samples of each cell, and a manifest of these.
"""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from escalade.campaign.layout import CampaignFolder
from escalade.campaign.measured import inputs_of, read_campaign
from escalade.errors import InfrastructureError, InputError
from escalade.files import read_json, sha256_of, write_json
from escalade.manifest import NAME as MANIFEST
from escalade.manifest import read_manifest

HOME = Path("baselines")


def keep_baseline(campaign: Path, home: Path = HOME, *, replace: bool = False) -> Path:
    """Store a measured campaign as the baseline of its name.

    Parameters
    ----------
    campaign
        Folder of the campaign.
    home
        Folder of the baselines; each gets a folder of its campaign's name.
    replace
        Whether one that is there gives way.

    Returns
    -------
    Path
        The baseline's folder.

    Raises
    ------
    InputError
        When the campaign can't be read, or there is a baseline of that name already.
    InfrastructureError
        When it can't be written; a baseline that was there is kept.
    """
    measured = read_campaign(campaign)
    target = home / measured.name
    if target.exists() and not replace:
        raise InputError(
            f"{target} is there already. Add --replace to put {campaign} in its place, or choose "
            "another folder with --folder."
        )
    scratch = home / f".{measured.name}.{secrets.token_hex(4)}.tmp"
    try:
        scratch.mkdir(parents=True)
        _copy(measured.folder, [cell.name for cell in measured.cells], scratch)
        _put(scratch, target)
    except OSError as error:
        raise InfrastructureError(
            f"{target} could not be written: {error.strerror or error}. Free some space or choose "
            "another folder with --folder."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def baseline_of(name: str | None, candidate: Path) -> Path:
    """Find a baseline: a folder, a name under `baselines/`, or by default that of the candidate's campaign.

    Raises
    ------
    InputError
        When there is none; the message says how to store one.
    """
    if name is not None and Path(name).is_dir():
        return Path(name)
    wanted = HOME / (name or _name_of(candidate))
    if wanted.is_dir():
        return wanted
    known = sorted(entry.name for entry in HOME.iterdir()) if HOME.is_dir() else []
    there = f" Stored are: {', '.join(known)}." if known else ""
    raise InputError(
        f"There is no baseline {wanted}.{there} `escalade baseline RESULTS` stores a campaign as "
        "one; --baseline names another, or any campaign's folder."
    )


def _name_of(candidate: Path) -> str:
    """Give a campaign's name; what else it is made of is looked at when it is compared."""
    folder = CampaignFolder(candidate)
    if not folder.provenance.exists():
        return read_campaign(candidate).name  # says what is wrong with it
    return str(read_json(folder.provenance, "provenance").get("campaign"))


def _copy(folder: CampaignFolder, cells: list[str], target: Path) -> None:
    known = read_manifest(folder.path)
    artifacts = {}
    for path in inputs_of(folder, cells):
        name = path.relative_to(folder.path)
        copy = target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        entry = known[name.as_posix()]
        if sha256_of(copy) != entry["sha256"]:
            raise InputError(f"{path} was changed while it was copied. Start again.")
        artifacts[name.as_posix()] = entry
    manifest = {"schema": 1, "campaign": folder.path.name, "artifacts": artifacts}
    write_json(target / MANIFEST, manifest)


def _put(scratch: Path, target: Path) -> None:
    """Put a whole folder in its place; the one before goes only when the new one is there."""
    if not target.exists():
        scratch.rename(target)
        return
    old = scratch.with_name(f"{scratch.name}.old")
    target.rename(old)
    try:
        scratch.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
