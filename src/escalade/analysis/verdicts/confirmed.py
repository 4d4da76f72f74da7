"""Which steps stand behind the rate up to which the objectives hold.

That rate is estimated between steps. A step that every objective passes confirms all rates up to
its own; one that fails an objective contradicts all from its own.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity.slo_capacity import rates_of_conversations
from escalade.analysis.kpis.catalogue import RATES
from escalade.analysis.measured.json_numbers import finite
from escalade.analysis.measured.levels import level_of
from escalade.analysis.stats.intervals import MIN_REPETITIONS
from escalade.analysis.verdicts.decisions import cell_verdicts
from escalade.analysis.verdicts.repetitions import deployment_verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData, Slo


@dataclass(frozen=True)
class Confirmed:
    """Rates in requests per second, NaN where there is none.

    Attributes
    ----------
    passed
        The highest step, below the first that fails, at which every objective is PASS.
    failed
        The lowest step at which an objective is FAIL.
    """

    passed: float
    failed: float

    @property
    def columns(self) -> dict[str, float | None]:
        """These rates as a row of `capacity` in verdicts.json has them."""
        return {"slo_passed_qps": finite(self.passed), "slo_failed_qps": finite(self.failed)}


def confirmed(
    rows: Iterable[Mapping[str, Any]], offered: Mapping[int, float] | None = None
) -> Confirmed:
    """Look up which steps confirm a rate, and which contradicts it.

    Parameters
    ----------
    rows
        Verdicts of a cell, of a deployment over its repetitions, or of several cells (then a step
        passes where it does in each). Of several steps at one rate, as a search has them, that with
        the most requests counts. Objectives on rates of answers are left out.
    offered
        Rates in 1/s of steps that were offered another one than they ask for.
    """
    weightiest: dict[tuple[float, Any, Any], Mapping[str, Any]] = {}
    for row in sorted(rows, key=lambda row: (row.get("n") or 0, row.get("step") or 0)):
        rate = (offered or {}).get(row.get("step") or 0, level_of(row).qps)
        if row.get("metric") not in RATES and math.isfinite(rate):
            weightiest[rate, row.get("slo"), row.get("cell")] = row
    judged: dict[float, set[str]] = {}
    for (rate, _, _), row in weightiest.items():
        judged.setdefault(rate, set()).add(str(row.get("verdict")))
    failed = min((rate for rate, found in judged.items() if "FAIL" in found), default=math.nan)
    passed = [rate for rate, found in judged.items() if found == {"PASS"} and not rate >= failed]
    return Confirmed(max(passed, default=math.nan), failed)


def steps_behind(
    group: Sequence[CellData],
    kpis: pd.DataFrame,
    gates: Sequence[Mapping[str, Any]],
    slos: Sequence[Sequence[Slo]],
) -> list[Confirmed]:
    """Find the steps behind the capacity of each cell, and of their deployment where it has one.

    Parameters
    ----------
    group
        The repetitions of one deployment.
    kpis, gates
        Of these cells, and perhaps of others.
    slos
        Of each cell, the objectives that its capacity is about; each is held against every step,
        also where it has to hold at one rate only.
    """
    judged, offered = [], []
    for cell, wanted in zip(group, slos, strict=True):
        mine = kpis[kpis["cell"] == cell.name]
        checked = [gate for gate in gates if gate["cell"] == cell.name]
        judged.append(cell_verdicts(cell, mine, checked, _at_every_step(wanted), counting=False))
        offered.append(rates_of_conversations(mine))
    found = [
        confirmed((each.row for each in rows), rates)
        for rows, rates in zip(judged, offered, strict=True)
    ]
    if len(group) < MIN_REPETITIONS:
        return found
    if any(cell.search for cell in group):  # their steps are not the same
        return [*found, _in_every_run(found)]
    joined = deployment_verdicts(judged, _at_every_step(slos[0]))
    return [*found, confirmed(joined, _usual(offered))]


def _at_every_step(slos: Iterable[Slo]) -> list[Slo]:
    return [replace(slo, at_qps=None) for slo in slos if slo.metric not in RATES]


def _in_every_run(found: Sequence[Confirmed]) -> Confirmed:
    """Give what passes, and what fails, in each run of several."""
    passed = [each.passed for each in found if math.isfinite(each.passed)]
    failed = [each.failed for each in found if math.isfinite(each.failed)]
    return Confirmed(
        min(passed) if len(passed) == len(found) else math.nan,
        max(failed) if len(failed) == len(found) else math.nan,
    )


def _usual(offered: Sequence[Mapping[int, float]]) -> dict[int, float]:
    """Give the median over the repetitions of the rate that each step was offered."""
    steps = sorted({step for each in offered for step in each})
    return {
        step: statistics.median(each[step] for each in offered if step in each) for step in steps
    }
