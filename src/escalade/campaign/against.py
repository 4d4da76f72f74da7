"""A campaign held against a baseline, for its report: the stored one of its name, or one that is given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from escalade.campaign.baselines import HOME
from escalade.campaign.comparing import compare_measured
from escalade.campaign.layout import CampaignFolder, CellFolder
from escalade.campaign.measured import MeasuredCampaign, read_campaign
from escalade.errors import EscaladeError, InputError
from escalade.files import read_json, sha256_of, write_json
from escalade.manifest import read_manifest
from escalade.runtime.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.measured.cell import CellData
    from escalade.campaign.models import Campaign

SCHEMA = 1
WHAT = "comparison with the baseline"
_LOG = CellFolder(Path()).requests.name
ITSELF = "the stored baseline is this campaign itself: there is nothing yet to compare it with"


def compare_with_stored(
    folder: CampaignFolder,
    cells: Sequence[CellData],
    campaign: Campaign,
    provenance: dict[str, Any],
) -> None:
    """Write comparison.json where a baseline of the campaign's name is stored; else remove an older one.

    A baseline that can't be used breaks no campaign: the file, and the page, say why.
    """
    baseline = HOME / str(provenance["campaign"])
    if not baseline.is_dir():
        folder.comparison.unlink(missing_ok=True)
        return
    write_json(folder.comparison, held_against(baseline, folder, cells, campaign, provenance))


def held_against(
    baseline: Path,
    folder: CampaignFolder,
    cells: Sequence[CellData],
    campaign: Campaign,
    provenance: dict[str, Any],
) -> dict[str, Any]:
    """Compare a campaign, whether it is sealed already or not, with a baseline.

    Parameters
    ----------
    baseline
        Folder of a stored baseline, or of a campaign.
    folder, cells, campaign, provenance
        Of what is to be judged.

    Returns
    -------
    dict
        Content of comparison.json: `schema`; `baseline` (`path`, and `manifest_sha256`, which stands
        for all its files); `comparison`, as `escalade compare --format json` prints it, or null
        and `why` there is none.
    """
    keep_freed_memory()
    told: dict[str, Any] = {
        "schema": SCHEMA,
        "baseline": {"path": baseline.as_posix(), "manifest_sha256": baseline_digest(baseline)},
        "comparison": None,
        "why": "",
    }
    try:
        logs = _logs_in_common(baseline, folder, cells)
        if cells and len(logs) == len(cells):
            return {**told, "why": ITSELF}
        after = MeasuredCampaign(folder, campaign, provenance, tuple(cells), logs)
        return {**told, "comparison": compare_measured(read_campaign(baseline), after)}
    except EscaladeError as error:
        return {**told, "why": str(error)}


def held_against_given(
    baseline: Path, folder: CampaignFolder, margin: float | None = None
) -> dict[str, Any]:
    """Compare a campaign that is sealed with a baseline that was asked for, as `held_against` does.

    The threshold is `margin`, as a share of the baseline, where one is given.

    Raises
    ------
    InputError
        When one of them can't be read, or both hold the same measurements.
    """
    keep_freed_memory()
    before, after = read_campaign(baseline), read_campaign(folder.path)
    origin = {"path": baseline.as_posix(), "manifest_sha256": baseline_digest(baseline)}
    found = compare_measured(before, after, margin)
    return {"schema": SCHEMA, "baseline": origin, "comparison": found, "why": ""}


def baseline_digest(baseline: Path) -> str:
    """Give the SHA-256 of a baseline's manifest; "" where it has none."""
    manifest = CampaignFolder(baseline).manifest
    return sha256_of(manifest) if manifest.is_file() else ""


def read_comparison(folder: CampaignFolder) -> dict[str, Any]:
    """Read comparison.json; nothing where the campaign was held against no baseline.

    Raises
    ------
    InputError
        When it is damaged, or of a later release.
    """
    if not folder.comparison.exists():
        return {}
    content = read_json(folder.comparison, WHAT)
    number = content.get("schema") if isinstance(content, dict) else None
    if number != SCHEMA or not isinstance(content.get("baseline"), dict):
        raise InputError(
            f"{WHAT}: {folder.comparison} is not what this Escalade wrote (expected schema {SCHEMA}, "
            f"found {number}). Update Escalade, or remove the file: `escalade run` makes it again."
        )
    found: dict[str, Any] = content
    return found


def _logs_in_common(
    baseline: Path, folder: CampaignFolder, cells: Sequence[CellData]
) -> frozenset[str]:
    """Give the hashes of the request logs that the baseline has too; only logs of equal size are read."""
    sizes = {
        entry.get("bytes") for name, entry in read_manifest(baseline).items() if name.endswith(_LOG)
    }
    known = {entry.get("sha256") for entry in read_manifest(baseline).values()}
    logs = (folder.cell(cell.name).requests for cell in cells)
    alike = {sha256_of(log) for log in logs if log.is_file() and log.stat().st_size in sizes}
    return frozenset(alike & known)
