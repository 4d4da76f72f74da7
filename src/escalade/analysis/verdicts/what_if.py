"""What the verdict on an objective would be under another limit.

A limit that is chosen after the measurement gives no verdict. It is an exploration, but
by the same rules: all that a verdict rests on beside its limit is written out here for
every step, so that whoever moves the limit decides as `decisions` and `repetitions` do.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from escalade.analysis.kpis.catalogue import RATES, TIMES
from escalade.analysis.kpis.request_kpis import RESOLUTION_FACTOR
from escalade.analysis.stats.intervals import MIN_REPETITIONS
from escalade.analysis.verdicts.decisions import (
    Decision,
    cell_verdicts,
    fail_blocked,
    pass_blocked,
    refusal,
)
from escalade.analysis.verdicts.repetitions import deployment_verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from escalade.analysis.measured.cell import CellData, Slo
    from escalade.analysis.verdicts.decisions import Evidence, Judged

_KEPT = ("slo", "deployment", "cell", "step", "value", "ci_low", "ci_high", "n")
_LEVELS = ("target_qps", "concurrency", "samples")
_DIED = "service_failed"
_ANY_RATE = 1e-9
"""A rate in 1/s that every step asks for."""


def limit_rows(
    kpis: pd.DataFrame,
    cells: Sequence[CellData],
    gates: Sequence[Mapping[str, Any]],
    slos: Sequence[Slo],
) -> list[dict[str, Any]]:
    """Write out what the verdict on every objective rests on, but its limit, at every step.

    Parameters
    ----------
    kpis, cells, slos
        As for `judge`.
    gates
        The gate rows that it made.

    Returns
    -------
    list of dict
        For every objective, step and cell, and for deployments with three repetitions
        or more also with cell None: estimate and interval as in the verdicts, and where
        there is one

        - `fixed`: the verdict under any limit, with `reason`; of a deployment only
          where not every repetition fails on its own, which is always FAIL;
        - `no_pass`, `no_fail`: why the step can't give that verdict;
        - `least_limit`: the smallest limit that can be passed, in the metric's unit.
    """
    anywhere = [
        replace(slo, at_qps=None, limit=_ANY_RATE if slo.metric in RATES else slo.limit)
        for slo in slos
    ]
    rows: list[dict[str, Any]] = []
    for group in _deployments(cells).values():
        judged = [
            cell_verdicts(
                cell,
                kpis[kpis["cell"] == cell.name],
                [gate for gate in gates if gate["cell"] == cell.name],
                anywhere,
                counting=False,
            )
            for cell in group
        ]
        rows += [
            {**_kept(each.row), **_conditions(each.evidence)}
            for cell in judged
            for each in cell
            if each.row["step"] is not None
        ]
        if len(group) >= MIN_REPETITIONS and not any(cell.search for cell in group):
            rows += [
                {**_kept(row), **_joint(_members(judged, row), len(group))}
                for row in deployment_verdicts(judged, anywhere)
                if row["step"] is not None
            ]
    return rows


def _deployments(cells: Iterable[CellData]) -> dict[str, list[CellData]]:
    groups: dict[str, list[CellData]] = {}
    for cell in cells:
        groups.setdefault(cell.deployment, []).append(cell)
    return groups


def _kept(row: Mapping[str, Any]) -> dict[str, Any]:
    levels = {name: row[name] for name in _LEVELS if row.get(name) is not None}
    return {**{name: row[name] for name in _KEPT}, **levels}


def _members(judged: Sequence[Sequence[Judged]], row: Mapping[str, Any]) -> list[Evidence]:
    """Find the repetitions of one objective at one step."""
    place = row["slo"], row["step"], row["target_qps"]
    return [
        each.evidence
        for cell in judged
        for each in cell
        if each.evidence is not None
        and (each.row["slo"], each.row["step"], each.row["target_qps"]) == place
    ]


def _conditions(evidence: Evidence | None) -> dict[str, Any]:
    if evidence is None:
        return {}
    if (refused := refusal(evidence)) is not None:
        return _fixed(refused)
    return _open([evidence])


def _joint(members: Sequence[Evidence], planned: int) -> dict[str, Any]:
    """Follow `repetitions._decide`, without the limit."""
    refused = [refusal(evidence) for evidence in members]
    died = sum(evidence.outcome == _DIED for evidence in members)
    if died:
        return _fixed(Decision("FAIL", f"the service failed in {died} of {planned} repetitions"))
    for decision in (each for each in refused[:1] if each is not None):
        same = all(each is not None and each.verdict == decision.verdict for each in refused)
        if same and decision.verdict in ("NOT_RUN", "INVALID"):
            return _fixed(decision)
    usable = [
        evidence
        for evidence in members
        if evidence.trusted and math.isfinite(evidence.number("value"))
    ]
    if len(usable) < MIN_REPETITIONS:
        short = f"{len(usable)} of {planned} repetitions have a valid value"
        return _fixed(Decision("INCONCLUSIVE", short))
    return _open(usable)


def _fixed(decision: Decision) -> dict[str, Any]:
    return {"fixed": decision.verdict, "reason": decision.reason}


def _open(usable: Sequence[Evidence]) -> dict[str, Any]:
    """Say what stands in the way of PASS and FAIL whatever the limit is."""
    found: dict[str, Any] = {
        "no_pass": _first(pass_blocked(_without_limit(evidence)) for evidence in usable),
        "no_fail": _first(fail_blocked(evidence) for evidence in usable),
        "least_limit": _least_limit(usable),
    }
    return {name: value for name, value in found.items() if value is not None}


def _first(reasons: Iterable[str | None]) -> str | None:
    found = next((reason for reason in reasons if reason), None)
    return None if found is None else found.removeprefix("but ")


def _without_limit(evidence: Evidence) -> Evidence:
    """Lift the limit beyond what the client's resolution could forbid."""
    return replace(evidence, slo=replace(evidence.slo, limit=math.inf))


def _least_limit(usable: Sequence[Evidence]) -> float | None:
    if usable[0].slo.metric not in TIMES:
        return None
    coarsest = max(
        (e.resolution_seconds for e in usable if math.isfinite(e.resolution_seconds)), default=0.0
    )
    return RESOLUTION_FACTOR * coarsest or None
