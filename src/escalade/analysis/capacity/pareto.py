"""Which steps of which deployment no other beats in both latency and throughput."""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.catalogue import SHARES
from escalade.analysis.kpis.readings import rows_of
from escalade.analysis.kpis.request_kpis import OVER_SATURATED
from escalade.analysis.measured.levels import level_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData, Slo

METRIC = "latency_seconds"
USUAL = "p90"

Point = tuple[float, float]
"""Throughput (more is better) and latency (less is better)."""


def front_rows(
    kpis: pd.DataFrame,
    cells: Sequence[CellData],
    gates: Sequence[Mapping[str, Any]],
    slos: Sequence[Slo],
) -> list[dict[str, Any]]:
    """Set the steps of several deployments against each other.

    Parameters
    ----------
    kpis
        KPI rows of all cells.
    cells
        What was measured, in the order of the plan.
    gates
        Gate rows of all cells.
    slos
        Objectives; the percentile that the first one on latency judges is taken, p90 without.

    Returns
    -------
    list of dict
        Section `front` of verdicts.json: a row for each step of each deployment, with the median
        over its repetitions of `throughput_qps` and of the latency, and `on_front`. A step has no
        row where a repetition has no latency, is over-saturated or INVALID. Empty for one
        deployment, and for searches, whose repetitions have other steps.
    """
    deployments = list(dict.fromkeys(cell.deployment for cell in cells))
    if len(deployments) < 2 or any(cell.search for cell in cells):
        return []
    stat = _judged(slos)
    invalid = {
        (row["cell"], row["step"])
        for row in gates
        if row["invalidates"] and row["outcome"] == "fail"
    }
    values = _values(rows_of(kpis), stat)
    rows = [
        row
        for name in deployments
        for row in _steps([c for c in cells if c.deployment == name], values, invalid, stat)
    ]
    best = front([(row["throughput_qps"], row["latency_seconds"]) for row in rows])
    return [{**row, "on_front": place in best} for place, row in enumerate(rows)]


def front(points: Sequence[Point]) -> set[int]:
    """Give the places of the points that none beats: at least as good in both, better in one."""
    return {
        place
        for place, (rate, seconds) in enumerate(points)
        if not any(
            other >= rate and its <= seconds and (other > rate or its < seconds)
            for other, its in points
        )
    }


def _judged(slos: Sequence[Slo]) -> str:
    mine = [slo for slo in slos if slo.metric == METRIC and slo.workload is None]
    mine.sort(key=lambda slo: slo.at_qps is None)
    return next((slo.stat for slo in mine if slo.stat in SHARES and slo.stat != "p50"), USUAL)


def _values(kpis: pd.DataFrame, stat: str) -> dict[tuple[str, int], dict[str, float]]:
    """Give throughput and latency by cell and step; nothing of what grows with time."""
    found: dict[tuple[str, int], dict[str, float]] = {}
    wanted = {("throughput_qps", "value"), (METRIC, stat)}
    for row in kpis[kpis["metric"].isin(["throughput_qps", METRIC])].to_dict("records"):
        usable = math.isfinite(row["value"]) and OVER_SATURATED not in str(row["quality"])
        if (row["metric"], row["stat"]) in wanted and usable:
            found.setdefault((row["cell"], row["step"]), {})[row["metric"]] = float(row["value"])
    return found


def _steps(
    cells: Sequence[CellData],
    values: Mapping[tuple[str, int], Mapping[str, float]],
    invalid: set[tuple[Any, Any]],
    stat: str,
) -> list[dict[str, Any]]:
    rows = []
    for outcome in cells[0].steps:
        places = [(cell.name, int(outcome["step"])) for cell in cells]
        found = [values.get(place, {}) for place in places if place not in invalid]
        whole = [each for each in found if len(each) == 2]
        if len(whole) < len(cells):
            continue
        rows.append(
            {
                "deployment": cells[0].deployment,
                "step": int(outcome["step"]),
                **level_of(outcome).columns,
                "stat": stat,
                "throughput_qps": statistics.median(each["throughput_qps"] for each in whole),
                METRIC: statistics.median(each[METRIC] for each in whole),
                "repetitions": len(whole),
            }
        )
    return rows
