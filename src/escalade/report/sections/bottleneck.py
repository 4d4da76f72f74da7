"""What saturates first, as words and tables: the section `bottlenecks` of the verdicts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity.resources import WORDS
from escalade.report import words
from escalade.report.tables import Table
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from escalade.report.data import ReportData

OUTCOMES = {"unknown": "Unknown", "not reached": "Not reached", "not applicable": "Not applicable"}


@dataclass(frozen=True)
class Bottleneck:
    """The bottleneck of one cell."""

    name: str
    resource: str
    words: str
    where: str
    ranking: Table
    evidence: Table


def bottleneck_groups(data: ReportData) -> list[Bottleneck]:
    """Give the bottleneck of each cell, in the order of the verdicts."""
    rows = data.verdicts.get("bottlenecks") or []
    return [_group(row) for row in rows if isinstance(row, dict)]


def _group(row: Mapping[str, Any]) -> Bottleneck:
    ranking = [each for each in row.get("ranking") or [] if isinstance(each, dict)]
    rate = known(row.get("offered_qps"))
    at = f", at step {row.get('step')} ({words.rate(rate)} requests/s)" if rate > 0 else ""
    outcome = str(row.get("outcome"))
    return Bottleneck(
        name=words.clean(row.get("cell") or ""),
        resource=resource(row.get("resource")) or OUTCOMES.get(outcome, words.clean(outcome)),
        words=words.sentence(words.clean(row.get("words") or "no reason was given")),
        where=at,
        ranking=_ranking(ranking),
        evidence=evidence_table(
            (resource(each.get("resource")), proof)
            for each in ranking
            for proof in each.get("evidence") or []
        ),
    )


def resource(name: Any) -> str:
    """Name a resource as a title; empty for none."""
    spoken = WORDS.get(str(name), words.clean(name or ""))
    return spoken.removeprefix("the ")[:1].upper() + spoken.removeprefix("the ")[1:]


def _ranking(ranking: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            resource(each.get("resource")),
            words.clean(each.get("outcome") or ""),
            words.single(known(each.get("share")), "", words.scale_for("ratio", ())),
            words.clean(each.get("words") or ""),
        )
        for each in ranking
    ]
    return Table(("Resource", "It was", "Full to", "In words"), tuple(rows))


def evidence_table(
    proofs: Iterable[tuple[str, Mapping[str, Any]]], first: str = "Resource"
) -> Table:
    """Give pieces of evidence as a table, each with what it is for."""
    rows = []
    for name, proof in proofs:
        value, limit = known(proof.get("value")), known(proof.get("limit"))
        unit = words.clean(proof.get("unit") or "")
        stat = words.clean(proof.get("stat") or "")
        kpi = words.clean(proof.get("kpi") or "")
        rows.append(
            (
                name,
                kpi if stat in ("value", "") else f"{kpi}, {stat}",
                "whole cell" if not proof.get("step") else str(proof.get("step")),
                words.single(value, unit),
                words.single(limit, unit) if math.isfinite(limit) else words.NOTHING,
                words.clean(proof.get("speaks") or ""),
                words.clean(proof.get("words") or ""),
                words.clean(proof.get("source") or ""),
            )
        )
    columns = (first, "Figure", "Step", "Value", "Limit", "Speaks", "In words", "From")
    return Table(columns, tuple(rows))
