"""Targets that look at a component benchmark: the same rule, on the rows of components.json."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from escalade.analysis.stats.intervals import Estimate
from escalade.analysis.verdicts.decisions import Decision
from escalade.analysis.verdicts.targets import Found, Target, by_interval, estimate_of, target_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def benchmark_rows(target: Target, measured: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give the rows of a target that looks at a component benchmark.

    Parameters
    ----------
    target
        With `benchmark`.
    measured
        Rows of that component in components.json; none when it was not measured.

    Returns
    -------
    list of dict
        As `target_table` gives, with `benchmark` and `repetition`: one over all repetitions where the component has
        such a row (three or more), else one for each.
    """
    mine = [row for row in measured if (row["metric"], row["stat"]) == (target.metric, target.stat)]
    if not mine:
        return [_row(target, None, Found(Estimate(), Decision("NOT_RUN", _why(target, measured))))]
    joined = [row for row in mine if row["repetition"] is None]
    rows = []
    for row in joined or mine:
        here = replace(target, benchmark_unit=str(row["unit"]))
        rows.append(_row(here, row["repetition"], Found(estimate_of(row), by_interval(here, row))))
    return rows


def _why(target: Target, measured: Sequence[Mapping[str, Any]]) -> str:
    missing = [row for row in measured if row["status"] != "measured"]
    if missing:
        return str(missing[0]["quality"])
    there = dict.fromkeys(f"{row['metric']} {row['stat']}" for row in measured)
    if not there:
        return f"benchmark {target.benchmark} was not measured"
    return (
        f"benchmark {target.benchmark} has no {target.metric} {target.stat}; it has "
        f"{', '.join(there)}"
    )


def _row(target: Target, repetition: int | None, found: Found) -> dict[str, Any]:
    more = {"benchmark": target.benchmark, "repetition": repetition}
    return target_row(target, None, None, found) | more
