"""What can be read of a campaign's results, for a report that says what is missing.

`escalade replay` and `escalade compare` refuse what is not whole. A report is made for the eye:
it shows what is there, and names what is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from escalade.analysis.measured.cell import CellData
from escalade.campaign.against import read_comparison
from escalade.campaign.bounds_file import read_bound_inputs
from escalade.campaign.configuration import read_configuration
from escalade.campaign.defaults import chosen
from escalade.campaign.measured import SCHEMAS
from escalade.campaign.profile_file import read_profile
from escalade.campaign.results import read_resolved
from escalade.campaign.stored import StoredCell
from escalade.errors import InputError
from escalade.files import read_json, read_table
from escalade.manifest import differences
from escalade.monitoring.collector import SERIES_COLUMNS
from escalade.report.data import ReportData
from escalade.report.words import known
from escalade.suites.stored import ComponentsFolder, read_summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from escalade.campaign.layout import CampaignFolder, CellFolder
    from escalade.manifest import Difference

T = TypeVar("T")

PARTIAL = "`escalade report --partial"


def stored_report(folder: CampaignFolder) -> ReportData:
    """Read what the results of a campaign hold; what can't be read is named in `problems`.

    Raises
    ------
    InputError
        When the folder is no campaign's, was written by a later Escalade, or holds nothing that
        was analysed.
    """
    reading = Reading(folder)
    _check_campaign(folder)
    provenance = reading.mapping(folder.provenance, "provenance")
    kpis = reading.part(lambda: read_table(folder.kpis, "KPIs"), pd.DataFrame())
    verdicts = reading.mapping(folder.verdicts, "verdicts")
    if kpis.empty and not verdicts:
        raise InputError(
            f"{folder.path}: neither {folder.kpis.name} nor {folder.verdicts.name} can be read: "
            f"{' '.join(reading.problems)} `escalade replay {folder.path}` rebuilds both from the cells; "
            f"{PARTIAL} {folder.path}` shows what is measured so far."
        )
    campaign: dict[str, Any] = reading.part(lambda: read_configuration(folder.resolved), {})
    names = _names(folder, provenance, kpis)
    cells = [reading.cell(name, kpis) for name in names]
    components: dict[str, Any] = {}
    if campaign.get("components"):
        components = reading.part(lambda: read_summary(ComponentsFolder(folder.components)), {})
    reading.check_sealed()
    return ReportData(
        campaign={"campaign": folder.path.resolve().name, **campaign},
        kpis=kpis,
        verdicts=verdicts,
        cells=cells,
        provenance=provenance,
        stale=list(provenance.get("stale") or []),
        components=components,
        comparison=reading.part(lambda: read_comparison(folder), {}),
        chosen=_chosen(folder),
        problems=tuple(reading.problems),
    )


def _chosen(folder: CampaignFolder) -> tuple[str, ...] | None:
    """Name the keys that are not at their defaults; None of a configuration that can't be read by itself."""
    try:
        return chosen(read_resolved(folder))
    except InputError:
        return None


def _check_campaign(folder: CampaignFolder) -> None:
    path = folder.path
    if not path.is_dir():
        raise InputError(f"{path} is no folder. Give a campaign's, as in results/demo.")
    known_files = (folder.resolved, folder.provenance, folder.kpis, folder.verdicts)
    if any(file.exists() for file in known_files):
        return
    if (path / "cells").is_dir():
        raise InputError(
            f"{path} is not analysed yet. {PARTIAL} {path}` shows what is measured so far; "
            "`escalade run` with the campaign's file goes on with it."
        )
    raise InputError(
        f"{path} is no campaign: it has no {folder.resolved.name}. Give the folder of a campaign, "
        "as in results/demo."
    )


def _names(folder: CampaignFolder, provenance: dict[str, Any], kpis: pd.DataFrame) -> list[str]:
    """Name the cells: as the provenance says, else as the KPIs do, else those that are there."""
    told = provenance.get("cells")
    if isinstance(told, list) and told:
        return [str(name) for name in told]
    if "cell" in kpis:
        return [str(name) for name in dict.fromkeys(kpis["cell"])]
    return folder.cells_present()


class Reading:
    """Reads parts of a campaign, and keeps in mind what could not be read."""

    def __init__(self, folder: CampaignFolder) -> None:
        self.folder = folder
        self.problems: list[str] = []

    def part(self, read: Callable[[], T], otherwise: T) -> T:
        """Read something, or take what stands in for it and remember why."""
        try:
            return read()
        except InputError as error:
            self.problems.append(str(error))
            return otherwise

    def mapping(self, path: Path, what: str) -> dict[str, Any]:
        """Read a JSON file with a schema number; a later one is refused, since it may mean anything."""
        content: Any = self.part(lambda: read_json(path, what), {})
        if not isinstance(content, dict):
            self.problems.append(f"{what}: {path} is no mapping, and is left out.")
            return {}
        _refuse_later(content, path, what)
        return content

    def cell(self, name: str, kpis: pd.DataFrame) -> CellData:
        """Read a cell; where its files are gone, the KPI table still says which steps it had."""
        folder = self.folder.cell(name)
        rows = kpis[kpis["cell"] == name] if "cell" in kpis else kpis.iloc[:0]
        if not folder.path.is_dir():
            self.problems.append(
                f"cell {name}: its folder {folder.path} is missing; its figures are those of the KPI table, "
                "and what is drawn from requests and samples can't be"
            )
            return CellData(
                _cell_of(name, rows), _windows_of(rows), pd.DataFrame(), pd.DataFrame(), {}
            )
        content: dict[str, Any] = {
            "cell": self.mapping(folder.cell, "outcome of a cell") or _cell_of(name, rows),
            "windows": self.mapping(folder.windows, "windows of a cell") or _windows_of(rows),
            "series": self.part(
                lambda: read_table(folder.series, "samples of a cell", SERIES_COLUMNS),
                pd.DataFrame(),
            ),
            "environment": self.mapping(folder.environment, "environment of a cell"),
            "calibration": self.mapping(folder.calibration, "calibration of a cell's client")
            if folder.calibration.exists()
            else None,
            "search": self.mapping(folder.search, "search of a cell")
            if folder.search.exists()
            else {},
            "bounds": self.bounds(folder),
            "profile": self.part(lambda: read_profile(folder.profile), None),
        }
        return self.part(
            lambda: _whole(folder, content), CellData(requests=pd.DataFrame(), **content)
        )

    def bounds(self, folder: CellFolder) -> dict[str, Any]:
        """Read what upper bounds are computed from."""
        nothing: dict[str, Any] = {}
        return self.part(lambda: read_bound_inputs(folder.bounds), nothing)

    def check_sealed(self) -> None:
        """Say what is not as the manifest says, of what the figures come from."""
        folder = self.folder
        files = [
            file for file in (folder.kpis, folder.verdicts, folder.provenance) if file.exists()
        ]
        none: list[Difference] = []
        for each in self.part(lambda: differences(folder.path, files), none):
            self.problems.append(
                f"the file {each.path} {each.what}, says {folder.manifest.name}: figures from it may not be "
                f"those that were measured; `escalade replay {folder.path}` rebuilds it"
            )


def _whole(folder: CellFolder, content: dict[str, Any]) -> CellData:
    cell = StoredCell(folder.requests, **content)
    _ = cell.requests  # a damaged log is known before the page is half made
    return cell


def _refuse_later(content: dict[str, Any], path: Path, what: str) -> None:
    given = content.get("schema")
    if isinstance(given, int) and not isinstance(given, bool) and given > max(SCHEMAS):
        raise InputError(
            f"{what}: {path} has schema {given}, and this Escalade reads up to {max(SCHEMAS)}: a later "
            "Escalade wrote it. Update Escalade."
        )


def _cell_of(name: str, rows: pd.DataFrame) -> dict[str, Any]:
    """Give what the KPI table says of a cell whose own word is lost."""
    if rows.empty:
        cause = "nothing of it can be read: neither its files nor a row of the KPI table"
        return {"cell": name, "outcome": "unknown", "cause": cause}
    first = rows.iloc[0]
    return {
        "cell": name,
        "deployment": first.get("deployment") or name,
        "repetition": first.get("repetition"),
        "outcome": "finished",
    }


def _windows_of(rows: pd.DataFrame) -> dict[str, Any]:
    """Give the steps that the KPI table has rows of."""
    if rows.empty or not {"step", "value", "metric"} <= set(rows.columns):
        return {"steps": []}
    steps = []
    for number, group in rows[rows["step"] > 0].groupby("step"):
        values = dict(zip(group["metric"], group["value"], strict=True))
        measured = group.loc[group["metric"] != "target_qps", "value"].notna().any()
        levels = {
            name: known(values[name])
            for name in ("target_qps", "concurrency", "samples")
            if name in values
        }
        steps.append({"step": number, **levels, "outcome": "measured" if measured else "not_run"})
    return {"steps": steps}
