"""The verdict on one trial of a search, from its request log and the client's own figures.

The rules are those of any verdict: the same KPIs, intervals and decisions. What needs samples
of the service or the node is not known between two steps; the campaign's verdicts look at that
in the end, and may leave a trial out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.analysis.capacity.capacity import rungs
from escalade.analysis.gates.gate import Found
from escalade.analysis.gates.instrument_gates import CLIENT
from escalade.analysis.gates.state_gates import STATE
from escalade.analysis.gates.table import step_measured
from escalade.analysis.kpis.readings import rows_of
from escalade.analysis.kpis.steps import measured_steps
from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData
from escalade.analysis.verdicts.decisions import cell_verdicts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.measured.cell import Slo
    from escalade.analysis.verdicts.decisions import Judged

NO_SERIES = ("step", "metric", "labels", "timestamp", "value")
_ORDER = ("NOT_RUN", "INVALID", "FAIL", "INCONCLUSIVE", "PASS")
"""Of several objectives' verdicts the first of these is the trial's."""


@dataclass(frozen=True)
class TrialVerdict:
    """What a trial says.

    Attributes
    ----------
    judged
        PASS when every objective is; FAIL, INVALID or NOT_RUN when one is.
    leans
        Whether all objectives are kept by their point estimates; None when one has none.
    saturated
        Whether throughput stayed behind while requests piled up.
    reason
        Of the objective that decided.
    rows
        The verdicts on all objectives, as in verdicts.json.
    """

    judged: str
    leans: bool | None
    saturated: bool
    reason: str
    rows: tuple[Mapping[str, Any], ...]


def judge_trial(
    cell: Mapping[str, Any],
    outcome: Mapping[str, Any],
    requests: pd.DataFrame,
    slos: Sequence[Slo],
) -> TrialVerdict:
    """Judge one step before the cell is over.

    Parameters
    ----------
    cell
        `cell`, `deployment` and `repetition` as in cell.json.
    outcome
        Of the step, as in windows.json.
    requests
        Its request log.
    slos
        All have to hold.

    Raises
    ------
    NoDataError
        When the log lacks a column.
    """
    series = pd.DataFrame(columns=list(NO_SERIES))
    data = CellData(cell, {"steps": [outcome]}, requests, series, {})
    kpis, gates = _measured(data, outcome, slos)
    judged = cell_verdicts(data, kpis, gates, slos, counting=False)
    worst = min(judged, key=lambda each: _ORDER.index(each.row["verdict"]))
    return TrialVerdict(
        judged=str(worst.row["verdict"]),
        leans=_leans(judged),
        saturated=any(rung.saturated for rung in rungs(rows_of(kpis), gates)),
        reason=f"{worst.row['slo']}: {worst.row['reason']}",
        rows=tuple(each.row for each in judged),
    )


def _measured(
    data: CellData, outcome: Mapping[str, Any], slos: Sequence[Slo]
) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """Give KPIs and gates as far as the client knows them."""
    number = int(outcome["step"])
    kpis = cell_kpis(data, slos)
    steps = measured_steps(data, slos)
    gates = [step_measured(outcome)]
    gates += [check(Found(step, rows_of(kpis))) for step in steps for check in (*CLIENT, *STATE)]
    return kpis, [gate.row(data.name, number) for gate in gates]


def _leans(judged: Sequence[Judged]) -> bool | None:
    """Say whether all objectives are kept by what is best known of each."""
    told = [_leans_to(each) for each in judged]
    if False in told:
        return False
    return None if None in told else True


def _leans_to(judged: Judged) -> bool | None:
    evidence = judged.evidence
    if evidence is None or judged.row["verdict"] in ("INVALID", "NOT_RUN"):
        return None
    if judged.row["verdict"] != "INCONCLUSIVE":
        return bool(judged.row["verdict"] == "PASS")
    slo, value = evidence.slo, evidence.number("value")
    missed = slo.fails(evidence.number("ci_low"), evidence.number("ci_high"))
    if evidence.fails("over_saturation") or missed:
        return False
    if "requests failed" in str(evidence.row.get("quality")):
        return False
    return slo.keeps(value) if math.isfinite(value) else None
