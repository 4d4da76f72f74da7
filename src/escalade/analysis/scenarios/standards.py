"""Whether what was measured keeps the standards of the campaign: requests, warm-up, percentiles, system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.readings import rows_of
from escalade.analysis.kpis.steps import why_unmeasured
from escalade.analysis.measured.json_numbers import finite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData, Slo

CLOCK_SECONDS = 1e-3
"""Unix times as floats are no finer than a fraction of a microsecond: lengths are not exact."""
SYSTEM = ("cpu_model", "cpus", "memory_bytes", "kernel", "os")
"""Facts of the service's node without which nobody can repeat a measurement."""


@dataclass(frozen=True)
class Standards:
    """What every step is held to.

    Attributes
    ----------
    least_requests
        Requests of each window.
    warmup_seconds
        Length of each warm-up.
    """

    least_requests: int
    warmup_seconds: float


def standard_rows(
    standards: Standards, cells: Sequence[CellData], kpis: pd.DataFrame, slos: Sequence[Slo]
) -> list[dict[str, Any]]:
    """Give the rows of the section `standards` of verdicts.json.

    Parameters
    ----------
    standards
        Of the campaign.
    cells, kpis
        What was measured, and its KPI rows.
    slos
        Objectives; one on a mean is no percentile.

    Returns
    -------
    list of dict
        cell, step, standard, wanted, found, unit, outcome ("kept", "short", "unknown") and one
        sentence. Steps that did not run have no row.
    """
    rows = [_percentile(slo) for slo in slos if slo.metric != "error_ratio"]
    for cell in cells:
        mine = rows_of(kpis[kpis["cell"] == cell.name])
        rows.append(_system(cell))
        for outcome in cell.steps:
            if why_unmeasured(outcome) is None:
                rows += _of_step(standards, cell, outcome, mine)
    return rows


def _of_step(
    standards: Standards, cell: CellData, outcome: Mapping[str, Any], kpis: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    number = int(outcome["step"])
    where = {"cell": cell.name, "step": number}
    counted = kpis[(kpis["step"] == number) & (kpis["metric"] == "error_ratio")]["n"]
    requests = int(counted.iloc[0]) if len(counted) else None
    yield where | _compared(
        "least_requests", standards.least_requests, requests, "requests", "in the window"
    )
    if outcome.get("samples") is not None:  # sent at once: there is nothing to warm up with
        return
    times = [outcome.get(name) for name in ("started_at", "window_start")]
    warmup = None if None in times else float(times[1]) - float(times[0])  # type: ignore[arg-type]
    yield where | _compared("warmup_seconds", standards.warmup_seconds, warmup, "s", "of warm-up")


def _compared(
    standard: str, wanted: float, found: float | None, unit: str, of: str
) -> dict[str, Any]:
    known = finite(found)
    if known is None:
        outcome, words = (
            "unknown",
            f"what there was {of} is not known; {wanted:g} {unit} are wanted",
        )
    else:
        outcome = "kept" if known >= wanted - CLOCK_SECONDS else "short"
        words = f"{known:.6g} {unit} {of}, of {wanted:g}"
    return _row(standard, outcome, words) | {"wanted": float(wanted), "found": known, "unit": unit}


def _percentile(slo: Slo) -> dict[str, Any]:
    good = slo.stat != "mean"
    words = f"objective {slo.name} judges the {slo.stat} of {slo.metric}"
    more = "" if good else ": a mean hides the slow answers; judge a percentile"
    row = _row("percentiles", "kept" if good else "short", f"{words}{more}")
    return {"cell": None, "step": None, **row}


def _system(cell: CellData) -> dict[str, Any]:
    node = cell.environment.get("node") or {}
    absent = [name for name in SYSTEM if node.get(name) is None]
    words = (
        f"not recorded: {', '.join(absent)}"
        if absent
        else f"recorded: {', '.join(SYSTEM)} of {node.get('hostname') or 'the node'}"
    )
    row = _row("system_configuration", "short" if absent else "kept", words)
    return {"cell": cell.name, "step": None, **row}


def _row(standard: str, outcome: str, words: str) -> dict[str, Any]:
    numbers: dict[str, Any] = {"wanted": None, "found": None, "unit": ""}
    return {"standard": standard, **numbers, "outcome": outcome, "words": words}
