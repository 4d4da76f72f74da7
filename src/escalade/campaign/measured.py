"""A measured campaign as its folder holds it, whichever version of Escalade wrote it.

Every JSON file of a campaign says its `schema`. Numbers that were ever written, and are read:

====== =========================================================================================
schema written by
====== =========================================================================================
1      Escalade 0.1. Some of it came in the course of that version, and is absent from older
       campaigns: calibration.json, search.json, the live metrics of the load generator, what
       the environment says of the client's nodes, and columns of requests.parquet that only
       some workloads have. The analysis takes their absence for what it is.
====== =========================================================================================

What Escalade derived when it measured (kpis.*, verdicts.json, capacity.csv, the report) is not
read here: it is derived again, with today's code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.campaign.layout import CampaignFolder, CellFolder
from escalade.campaign.results import read_cell, read_resolved, slos_of
from escalade.errors import InputError
from escalade.files import read_json
from escalade.manifest import NAME as MANIFEST
from escalade.manifest import differences, read_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from escalade.analysis.measured.cell import CellData, Slo
    from escalade.campaign.models import Campaign

SCHEMAS = (1,)
"""Schema numbers of a campaign's files that are read."""
_NAMED = 3
"""Files that a message names one by one."""


@dataclass(frozen=True)
class MeasuredCampaign:
    """A campaign that was measured to its end.

    Attributes
    ----------
    folder
        Where it lies.
    configuration
        What it was measured with, every default written out.
    provenance
        Content of provenance.json.
    cells
        Its cells, in the order in which they were planned; request logs are read when they are asked for.
    logs
        SHA-256 of each cell's request log, as the manifest has it.
    """

    folder: CampaignFolder
    configuration: Campaign
    provenance: dict[str, Any]
    cells: tuple[CellData, ...]
    logs: frozenset[str]

    @property
    def name(self) -> str:
        """Name of the campaign."""
        return str(self.provenance["campaign"])

    @property
    def slos(self) -> list[Slo]:
        """Its objectives."""
        return slos_of(self.configuration)


def read_campaign(path: Path, told: Callable[[str], None] | None = None) -> MeasuredCampaign:
    """Read a measured campaign of any schema, after checking it against its manifest.

    Parameters
    ----------
    path
        Folder of the campaign, or of a stored baseline.
    told
        Gets the name of each cell before it is read.

    Raises
    ------
    InputError
        When it is no campaign, has not finished, is of a later Escalade, or when what a result is
        derived from is missing, damaged, or not what the manifest says.
    """
    folder = CampaignFolder(path)
    _check_finished(folder)
    manifest = read_manifest(path)
    provenance = _described(folder.provenance, "provenance")
    _described(folder.manifest, "manifest")
    cells = [folder.cell(name) for name in provenance["cells"]]
    for cell in cells:
        _check_present(cell, manifest)
    _check_untouched(path, [folder.resolved, folder.provenance, *_inputs(cells)])
    read = []
    for cell in cells:
        if told is not None:
            told(cell.path.name)
        for file, what in _versioned(cell):
            _described(file, what)
        read.append(read_cell(cell))
    return MeasuredCampaign(
        folder,
        read_resolved(folder),
        provenance,
        tuple(read),
        frozenset(_digest(manifest, path, cell.requests) for cell in cells),
    )


def inputs_of(folder: CampaignFolder, cells: Sequence[str]) -> list[Path]:
    """Name the files that everything else of a campaign can be derived from again."""
    return [folder.resolved, folder.provenance, *_inputs([folder.cell(name) for name in cells])]


def _inputs(cells: Sequence[CellFolder]) -> Iterator[Path]:
    for cell in cells:
        yield from (cell.requests, cell.series)
        yield from (file for file, _ in _versioned(cell))


def _versioned(cell: CellFolder) -> Iterator[tuple[Path, str]]:
    """Give the JSON files of a cell, those that only some cells have where they are there."""
    yield cell.cell, "outcome of a cell"
    yield cell.windows, "windows of a cell"
    yield cell.environment, "environment of a cell"
    if cell.calibration.exists():
        yield cell.calibration, "calibration of a cell's client"
    if cell.bounds.exists():
        yield cell.bounds, "inputs of a cell's bounds"
    if cell.search.exists():
        yield cell.search, "search of a cell"


def _check_finished(folder: CampaignFolder) -> None:
    path = folder.path
    if not path.is_dir():
        raise InputError(f"{path} is no folder. Give a campaign's, as in results/demo.")
    if not (folder.resolved.exists() or folder.provenance.exists()):
        raise InputError(
            f"{path} is no campaign: it has no {folder.resolved.name}. Give the folder of a "
            "campaign, as in results/demo."
        )
    lacking = [
        file.name
        for file in (folder.resolved, folder.provenance, folder.manifest)
        if not file.exists()
    ]
    if lacking:
        raise InputError(
            f"{path} has not finished: it has no {' and no '.join(lacking)}. `escalade run "
            f"{folder.resolved}` measures what is missing and seals it."
        )


def _described(path: Path, what: str) -> dict[str, Any]:
    """Read JSON and insist on a schema that is known."""
    content = read_json(path, what)
    number = content.get("schema") if isinstance(content, dict) else None
    if not isinstance(number, int) or isinstance(number, bool):
        raise InputError(
            f"{what}: {path} has no schema number; expected {_known()}. It was not written by Escalade."
        )
    if number not in SCHEMAS:
        later = "a later Escalade wrote it: update Escalade" if number > max(SCHEMAS) else "unknown"
        raise InputError(
            f"{what}: {path} has schema {number}, and this Escalade reads {_known()}; {later}."
        )
    return dict(content)


def _known() -> str:
    return f"schema {' and '.join(str(number) for number in SCHEMAS)}"


def _check_present(cell: CellFolder, manifest: dict[str, dict[str, Any]]) -> None:
    """Insist on a cell that the campaign says it has: a repetition must not get lost unseen."""
    if cell.cell.exists():
        return
    campaign = cell.path.parents[1]
    was = any(name.startswith(f"cells/{cell.path.name}/") for name in manifest)
    why = "it was measured, and its files are gone" if was else "it was never measured"
    raise InputError(
        f"{campaign}: repetition {cell.path.name} is missing: {why}. Take a whole copy of the "
        f"campaign, or `escalade run {campaign / 'campaign.resolved.yaml'}` to measure it."
    )


def _check_untouched(path: Path, files: Sequence[Path]) -> None:
    found = differences(path, files)
    if not found:
        return
    said = ", ".join(f"{each.path} {each.what}" for each in found[:_NAMED])
    more = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    raise InputError(
        f"{path} is not as {MANIFEST} says: {said}{more}. Results that were edited or damaged are "
        f"no evidence: take an untouched copy, or `escalade run {path / 'campaign.resolved.yaml'}` to "
        "seal a campaign that was measured further."
    )


def _digest(manifest: dict[str, dict[str, Any]], campaign: Path, file: Path) -> str:
    return str(manifest[file.relative_to(campaign).as_posix()]["sha256"])
