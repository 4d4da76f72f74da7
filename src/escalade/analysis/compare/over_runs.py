"""What each step of a ladder gave over the repetitions of a deployment: the interval between runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.compare.repeated import steps_repeated
from escalade.analysis.kpis.catalogue import BY_NAME, QUEUED
from escalade.analysis.kpis.request_kpis import OVER_SATURATED
from escalade.analysis.kpis.steps import GIVEN_UP
from escalade.analysis.measured.json_numbers import finite
from escalade.analysis.stats.intervals import MIN_REPETITIONS, Estimate, over_repetitions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.compare.repeated import Figure, Values
    from escalade.analysis.measured.cell import CellData

SECTIONS = ("Throughput", "Latency", "Tokens")
"""Sections of the catalogue that charts show against the load."""


@dataclass(frozen=True)
class Run:
    """One repetition: its cell, with its rows of kpis.csv and of the gates."""

    cell: CellData
    kpis: pd.DataFrame
    gates: Sequence[Mapping[str, Any]]


def run_rows(
    kpis: pd.DataFrame, cells: Sequence[CellData], gates: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Give value and interval over repetitions of every KPI of requests, at every step.

    Parameters
    ----------
    kpis
        KPI rows of all cells.
    cells
        What was measured, in the order of the plan.
    gates
        Gate rows of all cells.

    Returns
    -------
    list of dict
        Section `runs` of verdicts.json, for deployments with three repetitions or more that have
        the same steps: none for searches, whose rates differ. Of a step that is INVALID in some
        repetitions the others count (`n` says how many). There is no value, and `reason` says why,
        where a repetition failed or is over-saturated in what it would tell: without it the rest
        would look better than the deployment is.
    """
    groups: dict[str, list[Run]] = {}
    for cell in cells:
        mine = [row for row in gates if row["cell"] == cell.name]
        run = Run(cell, kpis[kpis["cell"] == cell.name], mine)
        groups.setdefault(cell.deployment, []).append(run)
    rows: list[dict[str, Any]] = []
    for deployment, runs in groups.items():
        if len(runs) < MIN_REPETITIONS or any(run.cell.search for run in runs):
            continue
        levels, values, _ = steps_repeated(runs)
        for figure, found in values.items():
            if figure.place not in levels or BY_NAME[figure.metric].section not in SECTIONS:
                continue
            number, level = levels[figure.place]
            where = {"deployment": deployment, "step": number, **level.columns}
            rows.append({**where, **_row(figure, found, len(runs))})
    return sorted(rows, key=lambda row: (list(groups).index(row["deployment"]), row["step"]))


def _row(figure: Figure, found: Values, planned: int) -> dict[str, Any]:
    why = _withheld(figure, found, planned)
    estimate = Estimate(n=len(found.known)) if why else over_repetitions(found.known)
    if not why and not math.isfinite(estimate.value):
        why = estimate.quality.removeprefix("not estimable: ")
    return {
        "metric": figure.metric,
        "stat": figure.stat,
        "label": figure.label,
        "unit": figure.unit,
        "value": finite(estimate.value),
        "ci_low": finite(estimate.low),
        "ci_high": finite(estimate.high),
        "n": len(found.known),
        "repetitions": planned,
        "reason": why,
    }


def _withheld(figure: Figure, found: Values, planned: int) -> str:
    """Say why values of some repetitions alone would mislead; empty when they would not."""
    failed = sum(not math.isfinite(value) for value in found.known)
    if failed:
        return f"requests failed, or the service died, in {failed} of {planned} repetitions"
    growing = sum(OVER_SATURATED in caveat for caveat in found.caveats)
    if growing and figure.metric in QUEUED:
        return f"over-saturated in {growing} of {planned} repetitions"
    ended = sum(f"not estimable: {GIVEN_UP}" in why for why in found.left_out)
    if ended:
        return f"given up before its end in {ended} of {planned} repetitions"
    if len(found.known) < MIN_REPETITIONS and found.left_out:
        return f"{len(found.known)} of {planned} repetitions have a value: {found.left_out[0]}"
    return ""
