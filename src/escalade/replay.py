"""Rebuilding a campaign's results from its archived files, with nothing running."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from escalade.campaign import results
from escalade.campaign.layout import CampaignFolder
from escalade.campaign.parts import write_parts
from escalade.campaign.reporting import write_report
from escalade.errors import InputError
from escalade.files import read_json, replacing, sha256_of
from escalade.manifest import read_manifest
from escalade.suites.stored import ComponentsFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

Verdict = Literal["identical", "differs", "new"]


@dataclass(frozen=True)
class Rebuilt:
    """One rebuilt file, compared with the manifest."""

    path: Path
    verdict: Verdict


def replay_campaign(folder: CampaignFolder, out: Path | None = None) -> list[Rebuilt]:
    """Rebuild kpis.*, metrics_summary.csv, verdicts.json, capacity.csv, report.html and report.json.

    Parameters
    ----------
    folder
        The campaign. Only its cells, campaign.resolved.yaml, provenance.json and, where there is
        one, comparison.json are read: a baseline is no part of the campaign.
    out
        Where to write; into the campaign itself when None. Nothing is written
        before everything was rebuilt.

    Returns
    -------
    list of Rebuilt
        `identical` where the bytes are those of the manifest, `differs` where they
        are not, `new` where the manifest does not know the file.

    Raises
    ------
    InputError
        When an input is missing or damaged.
    """
    if not folder.path.is_dir():
        raise InputError(f"{folder.path} is no folder. Give a campaign's, as in results/demo.")
    with tempfile.TemporaryDirectory(prefix="escalade-replay-") as temporary:
        scratch = _inputs(folder, Path(temporary) / folder.path.name)
        rebuild(scratch)
        products = _products(scratch)
        verdicts = _compared(folder, scratch, products)
        for product in products:
            target = (out or folder.path) / product.relative_to(scratch.path)
            with replacing(target) as written:
                shutil.copyfile(product, written)
    return [
        Rebuilt((out or folder.path) / product.relative_to(scratch.path), verdict)
        for product, verdict in zip(products, verdicts, strict=True)
    ]


def rebuild(folder: CampaignFolder) -> None:
    """Derive everything that follows from the cells, in place."""
    campaign = results.read_resolved(folder)
    provenance = read_json(folder.provenance, "provenance")
    cells = results.cells_of(folder, provenance["cells"])
    results.write_kpis(folder, cells, campaign)
    write_parts(folder, campaign)
    results.write_verdicts(folder, cells, campaign)
    write_report(folder, cells, campaign, provenance)


def _inputs(folder: CampaignFolder, scratch: Path) -> CampaignFolder:
    """Link the inputs into a scratch folder of the same name."""
    scratch.mkdir(parents=True)
    inputs = CampaignFolder(scratch)
    for source, target in (
        (folder.resolved, inputs.resolved),
        (folder.provenance, inputs.provenance),
        (folder.path / "cells", scratch / "cells"),
    ):
        if not source.exists():
            raise InputError(f"{source} does not exist: {folder.path} is no measured campaign.")
        target.symlink_to(source.resolve())
    if folder.comparison.exists():
        inputs.comparison.symlink_to(folder.comparison.resolve())
    inputs.components.mkdir()
    for source in folder.components.glob("*/"):
        (inputs.components / source.name).symlink_to(source.resolve())
    return inputs


def _products(folder: CampaignFolder) -> list[Path]:
    parts = ComponentsFolder(folder.components)
    return [
        folder.kpis,
        folder.kpis_csv,
        folder.summary,
        folder.verdicts,
        folder.capacity,
        *(path for path in (parts.summary, parts.csv, parts.parquet) if path.exists()),
        folder.report,
        folder.twin,
    ]


def _compared(
    folder: CampaignFolder, scratch: CampaignFolder, products: Sequence[Path]
) -> list[Verdict]:
    known = read_manifest(folder.path) if folder.manifest.exists() else {}
    names = [product.relative_to(scratch.path).as_posix() for product in products]
    return [
        _verdict(known.get(name), product) for name, product in zip(names, products, strict=True)
    ]


def _verdict(entry: dict[str, object] | None, product: Path) -> Verdict:
    if entry is None:
        return "new"
    return "identical" if entry.get("sha256") == sha256_of(product) else "differs"
