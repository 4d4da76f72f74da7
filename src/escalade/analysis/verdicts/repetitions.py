"""The verdict on a deployment, over its repetitions: the run is the unit, not the request."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.measured.levels import level_of
from escalade.analysis.stats.intervals import (
    MIN_REPETITIONS,
    Estimate,
    mean,
    over_repetitions,
    wilson,
)
from escalade.analysis.verdicts.decisions import (
    Decision,
    bound,
    caveat,
    fail_blocked,
    limit_words,
    pass_blocked,
    unit_word,
    verdict_row,
)
from escalade.analysis.verdicts.sample_size import more_repetitions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.measured.cell import Slo
    from escalade.analysis.verdicts.decisions import Evidence, Judged


def deployment_verdicts(
    cells: Sequence[Sequence[Judged]], slos: Sequence[Slo]
) -> list[dict[str, Any]]:
    """Judge every objective at every step over the repetitions of one deployment.

    Parameters
    ----------
    cells
        `cell_verdicts` of every repetition, three or more.
    slos
        Objectives.

    Returns
    -------
    list of dict
        Rows of verdicts.json with cell None.
    """
    rows = []
    for slo in slos:
        places: dict[tuple[int, float], list[Judged]] = {}
        for judged in (each for cell in cells for each in cell if each.row["slo"] == slo.name):
            place = judged.row["step"] or 0, judged.row["target_qps"] or 0.0
            places.setdefault(place, []).append(judged)
        rows += [_joined(slo, places[place], len(cells)) for place in sorted(places)]
    return rows


def _joined(slo: Slo, repeated: Sequence[Judged], planned: int) -> dict[str, Any]:
    usable = [judged.evidence for judged in repeated if _usable(judged)]
    found = _estimate(slo, [evidence for evidence in usable if evidence is not None])
    first = repeated[0].row
    return verdict_row(
        cell=None,
        deployment=str(first["deployment"]),
        step=first["step"],
        level=level_of(first),
        slo=slo,
        numbers={
            "value": found.value,
            "ci_low": found.low,
            "ci_high": found.high,
            "n": float(len(usable)),
        },
        decision=_decide(slo, repeated, found, planned),
        counts=slo.at_qps is not None,
    )


def _usable(judged: Judged) -> bool:
    evidence = judged.evidence
    return evidence is not None and evidence.trusted and math.isfinite(evidence.number("value"))


def _estimate(slo: Slo, usable: Sequence[Evidence]) -> Estimate:
    if len(usable) < MIN_REPETITIONS:
        return Estimate(n=len(usable))
    if slo.metric == "error_ratio":
        return _pooled_ratio(usable)
    found = over_repetitions([evidence.number("value") for evidence in usable])
    return replace(found, high=min(1.0, found.high)) if slo.metric == "recall_at_k" else found


def _pooled_ratio(usable: Sequence[Evidence]) -> Estimate:
    """Estimate a ratio from its totals; zeros have no logarithm.

    The interval is the wider one of Wilson on all requests and t between runs.
    """
    values = np.array([evidence.number("value") for evidence in usable])
    sizes = np.array([evidence.number("n") for evidence in usable])
    total = float(sizes.sum())
    share = float((values * sizes).sum()) / total
    low, high = wilson(share * total, total)
    between = mean(values)
    return Estimate(
        share,
        max(0.0, min(low, between.low)),
        min(1.0, max(high, between.high)),
        "wider of Wilson on totals and t over repetitions",
        len(usable),
        float(len(usable)),
    )


def _decide(slo: Slo, repeated: Sequence[Judged], found: Estimate, planned: int) -> Decision:
    verdicts = [judged.row["verdict"] for judged in repeated]
    reasons = [str(judged.row["reason"]) for judged in repeated]
    died = [reason for judged, reason in zip(repeated, reasons, strict=True) if _died(judged)]
    if died:
        return Decision("FAIL", f"in {len(died)} of {planned} repetitions {died[0]}")
    if verdicts.count("FAIL") == planned:
        words = f"each of the {planned} repetitions fails on its own{_words(slo, found)}"
        return Decision("FAIL", words)
    for verdict in ("NOT_RUN", "INVALID"):
        if verdicts.count(verdict) == len(verdicts):
            return Decision(verdict, reasons[0])
    usable = [judged.evidence for judged in repeated if _usable(judged)]
    if len(usable) < MIN_REPETITIONS:
        short = f"{len(usable)} of {planned} repetitions have a valid value"
        return Decision("INCONCLUSIVE", f"{short}; {MIN_REPETITIONS - len(usable)} more are needed")
    return _by_interval(slo, [evidence for evidence in usable if evidence is not None], found)


def _died(judged: Judged) -> bool:
    return judged.evidence is not None and judged.evidence.outcome == "service_failed"


def _by_interval(slo: Slo, usable: Sequence[Evidence], found: Estimate) -> Decision:
    said = f"{slo.stat} over {len(usable)} repetitions{_words(slo, found)}{caveat(usable[0])}"
    if slo.fails(found.low, found.high):
        blocked = [why for evidence in usable if (why := fail_blocked(evidence))]
        return _unless(blocked, Decision("FAIL", said))
    if slo.holds(found.low, found.high):
        blocked = [why for evidence in usable if (why := pass_blocked(evidence))]
        return _unless(blocked, Decision("PASS", said))
    values = [evidence.number("value") for evidence in usable]
    return Decision("INCONCLUSIVE", f"{said}; {more_repetitions(values, slo.limit)}")


def _unless(blocked: Sequence[str], decision: Decision) -> Decision:
    if not blocked:
        return decision
    return Decision("INCONCLUSIVE", f"{decision.reason}; in {len(blocked)} of them {blocked[0]}")


def _words(slo: Slo, found: Estimate) -> str:
    if not math.isfinite(found.value):
        return ""
    unit = unit_word(slo.metric)
    interval = f"95 % [{bound(found.low)}, {bound(found.high)}]"
    return f": {found.value:.3g}{unit}, {interval}, {limit_words(slo)}"
