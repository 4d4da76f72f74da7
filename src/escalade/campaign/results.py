"""Reading what a campaign measured, and writing what follows from it.

The workflow's analysis rules and `escalade replay` both come here: what can be
rebuilt from the archived files is rebuilt by the same lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from escalade.analysis.bounds.rows import bound_rows
from escalade.analysis.capacity.pareto import front_rows
from escalade.analysis.compare.over_runs import run_rows
from escalade.analysis.findings import findings
from escalade.analysis.kpis.table import cell_kpis, summary
from escalade.analysis.scenarios.contention import Stressed, contention_rows
from escalade.analysis.scenarios.pairs import compare_pairs
from escalade.analysis.scenarios.recovery import recovery_rows
from escalade.analysis.scenarios.stability import Stability, stability_rows
from escalade.analysis.scenarios.standards import Standards, standard_rows
from escalade.analysis.verdicts.benchmark_targets import benchmark_rows
from escalade.analysis.verdicts.cost import cost
from escalade.analysis.verdicts.judge import Slo, judge
from escalade.analysis.verdicts.targets import Target, target_table
from escalade.analysis.verdicts.what_if import limit_rows
from escalade.campaign.accounted import energy_rows
from escalade.campaign.bounds_file import read_bound_inputs
from escalade.campaign.configuration import parse_campaign, read_configuration
from escalade.campaign.holdings import holdings_of
from escalade.campaign.objectives import judged_slos
from escalade.campaign.profile_file import read_profile
from escalade.campaign.question import question_of
from escalade.campaign.stored import StoredCell
from escalade.campaign.stress import unstressed
from escalade.errors import InputError
from escalade.files import read_json, read_table, replacing, write_json, write_table, write_text
from escalade.monitoring.collector import SERIES_COLUMNS
from escalade.runtime.memory import keep_freed_memory
from escalade.suites.stored import ComponentsFolder, read_summary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from escalade.analysis.measured.cell import CellData
    from escalade.campaign.layout import CampaignFolder, CellFolder
    from escalade.campaign.models import Campaign
    from escalade.campaign.run import CampaignRun


def write_resolved(folder: CampaignFolder, configuration: dict[str, Any]) -> None:
    """Write the configuration with every default spelled out."""
    head = "# Every default is written out. This file is itself a campaign: escalade run THIS\n"
    body = yaml.safe_dump(configuration, sort_keys=False, allow_unicode=True)
    write_text(folder.resolved, head + body)


def read_resolved(folder: CampaignFolder) -> Campaign:
    """Read the configuration that a campaign was measured with."""
    return parse_campaign(read_configuration(folder.resolved), str(folder.resolved))


def read_cell(folder: CellFolder) -> CellData:
    """Read one cell that is over.

    Raises
    ------
    InputError
        When a file is missing or damaged; the message names it.
    """
    return StoredCell(
        folder.requests,
        cell=read_json(folder.cell, "outcome of a cell"),
        windows=read_json(folder.windows, "windows of a cell"),
        series=read_table(folder.series, "samples of a cell", SERIES_COLUMNS),
        environment=read_json(folder.environment, "environment of a cell"),
        calibration=read_json(folder.calibration, "calibration of a cell's client")
        if folder.calibration.exists()
        else None,
        search=read_json(folder.search, "search of a cell") if folder.search.exists() else {},
        bounds=read_bound_inputs(folder.bounds),
        profile=read_profile(folder.profile),
    )


def write_kpis(folder: CampaignFolder, cells: Sequence[CellData], campaign: Campaign) -> None:
    """Reduce the cells to kpis.parquet, kpis.csv and metrics_summary.csv."""
    keep_freed_memory()
    objectives = slos_of(campaign)
    trimmed = campaign.standards is not None and campaign.standards.trimmed
    frames = [cell_kpis(cell, objectives, trimmed=trimmed) for cell in cells]
    kpis = pd.concat(frames, ignore_index=True)
    write_table(folder.kpis, kpis)
    write_csv(folder.kpis_csv, kpis)
    write_csv(folder.summary, summary(kpis))


def write_verdicts(folder: CampaignFolder, cells: Sequence[CellData], campaign: Campaign) -> None:
    """Judge the KPIs: verdicts.json, and capacity.csv as a table of one part of it."""
    keep_freed_memory()
    kpis = read_table(folder.kpis, "KPIs")
    verdicts = judge(kpis, cells, slos_of(campaign))
    verdicts["limits"] = limit_rows(kpis, cells, verdicts["gates"], slos_of(campaign))
    verdicts["bounds"] = bound_rows(
        kpis, cells, verdicts["gates"], verdicts["capacity"], campaign.bounds.given
    )
    verdicts["runs"] = run_rows(kpis, cells, verdicts["gates"])
    verdicts["front"] = front_rows(kpis, cells, verdicts["gates"], slos_of(campaign))
    if campaign.standards is not None:
        held = Standards(campaign.standards.least_requests, campaign.standards.warmup_seconds)
        verdicts["standards"] = standard_rows(held, cells, kpis, slos_of(campaign))
    if campaign.failure is not None:
        verdicts["recovery"] = recovery_rows(cells, verdicts["gates"])
    if beside := stressed_of(campaign):
        verdicts["contention"] = contention_rows(beside, cells, verdicts["gates"])
    if campaign.stability is not None:
        steady = Stability(**campaign.stability.model_dump())
        verdicts["stability"] = stability_rows(steady, cells, verdicts["gates"])
    if campaign.targets:
        verdicts["targets"] = _targets(folder, cells, kpis, verdicts, campaign)
    if (question := question_of(campaign)) is not None:
        verdicts["pairs"] = compare_pairs(kpis, cells, verdicts["gates"], question)
    if accounted := energy_rows(folder, cells):
        verdicts["energy_accounted"] = accounted
    holdings, untold = holdings_of(folder, cells)
    prices = campaign.prices.judged
    verdicts["cost"] = cost(holdings, untold, prices, kpis=kpis, cells=cells, verdicts=verdicts)
    verdicts["findings"] = findings(verdicts, kpis, cells)  # last: it reads the other sections
    write_json(folder.verdicts, verdicts)
    write_csv(folder.capacity, capacity_table(verdicts))


def capacity_table(verdicts: dict[str, Any]) -> pd.DataFrame:
    """Give the capacity part of the verdicts as a table."""
    rows = [
        {**row, "steps_used": " ".join(str(step) for step in row["steps_used"])}
        for row in verdicts["capacity"]
    ]
    return pd.DataFrame(rows)


def write_csv(path: Path, frame: pd.DataFrame) -> None:
    """Write a CSV whose numbers read back as the same numbers."""
    with replacing(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")


def slos_of(campaign: Campaign) -> list[Slo]:
    """Give the campaign's objectives as the analysis takes them."""
    return judged_slos(campaign.slos, campaign.slos)


def targets_of(campaign: Campaign) -> list[Target]:
    """Give the campaign's table of targets as the analysis takes it."""
    return [
        Target(
            name=target.name,
            component=target.component,
            metric=target.metric,
            stat=target.statistic,
            bound=float(target.at_least if target.at_most is None else target.at_most),  # type: ignore[arg-type]
            at_least=target.at_least is not None,
            at_qps=target.at_qps,
            step=target.step,
            deployment=target.deployment,
            workload=target.workload,
            benchmark=target.benchmark,
        )
        for target in campaign.targets
    ]


def _targets(
    folder: CampaignFolder,
    cells: Sequence[CellData],
    kpis: pd.DataFrame,
    verdicts: dict[str, Any],
    campaign: Campaign,
) -> list[dict[str, Any]]:
    """Hold the table of targets against KPIs and component benchmarks, in the table's order."""
    measured = {}
    if any(target.benchmark for target in campaign.targets):
        told = read_summary(ComponentsFolder(folder.components))["components"]
        measured = {entry["rows"][0]["component"]: entry["rows"] for entry in told}
    rows = []
    for target in targets_of(campaign):
        if target.benchmark is None:
            rows += target_table([target], cells, kpis, verdicts)
        else:
            rows += benchmark_rows(target, measured.get(target.benchmark, []))
    return rows


def stressed_of(campaign: Campaign) -> list[Stressed]:
    """Name the deployments with a stressor, each with the one that is the same without."""
    return [
        Stressed(deployment.name, against, deployment.stress.words)
        for deployment in campaign.deployments
        if deployment.stress is not None
        and (against := unstressed(campaign, deployment)) is not None
    ]


def planned_cells(run: CampaignRun) -> list[CellData]:
    """Read all cells of a run's plan, in its order."""
    return cells_of(run.folder, [cell.name for cell in run.plan.cells])


def cells_of(folder: CampaignFolder, names: Sequence[str]) -> list[CellData]:
    """Read several cells, in the order given.

    Raises
    ------
    InputError
        When one of them is not over.
    """
    unfinished = [name for name in names if not folder.cell(name).cell.exists()]
    if unfinished:
        raise InputError(
            f"{folder.path}: not measured yet: {', '.join(unfinished)}. "
            f"`escalade run {folder.resolved}` measures what is missing."
        )
    return [read_cell(folder.cell(name)) for name in names]
