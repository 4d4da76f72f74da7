"""The verdicts under the title: what a reader takes away who reads nothing else."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.axis import at, level
from escalade.report.sections.grading import grade
from escalade.report.sections.objectives import objective

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.report.data import ReportData

_FIRST = {"FAIL": -2, "PASS": -1}
"""What a reader sees first: red, then green, then the rest in its own order."""
_WORST = ("FAIL", "INVALID", "NOT_RUN", "INCONCLUSIVE", "PASS")


@dataclass(frozen=True)
class Verdict:
    """One field of the strip under the title."""

    verdict: str
    word: str
    text: str


def verdict_strip(data: ReportData) -> list[Verdict]:
    """Give the verdicts that count, red and green first, then what they rest on, the grade last.

    One field for each objective and deployment: over its repetitions where there is
    such a verdict, else the worst of its repetitions, with how many have which.
    """
    grouped: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in data.slos:
        if row.get("counts"):
            names = words.clean(row.get("slo")), words.clean(row.get("deployment"))
            grouped.setdefault(names, []).append(row)
    judged = [_judged(rows, data) for rows in grouped.values()]
    strip = sorted(judged, key=lambda each: _FIRST.get(each.verdict, 0))
    failed = [cell for cell in data.facts if not cell.finished]
    if failed:
        counts = f"{len(failed)} of {words.counted(len(data.facts), 'cell')}"
        strip.insert(0, Verdict("FAIL", "FAILED", counts))
    if data.partial is not None:
        strip.insert(0, Verdict("INCONCLUSIVE", "PARTIAL", f"{data.partial.words} measured"))
    if not strip:
        why = "no objective names a rate where it has to hold"
        strip.append(Verdict("", "No verdict", why if data.axis.open else "there is no rate"))
    if not data.axis.open:
        strip.append(Verdict("", *data.axis.warning))
    if data.verdicts.get("note"):
        note = "These runs only" if data.repetitions > 1 else "This run only"
        strip.append(Verdict("", note, words.counted(data.repetitions, "repetition")))
    if data.exploratory:
        strip.append(Verdict("", "Exploratory", "short windows"))
    if (graded := grade(data)) is not None:
        strip.append(Verdict("", f"Data quality {graded[0]}", graded[1]))
    return strip


def _judged(rows: Sequence[Mapping[str, Any]], data: ReportData) -> Verdict:
    given = Counter(str(row.get("verdict")) for row in rows)
    worst = min(given, key=lambda verdict: _WORST.index(verdict) if verdict in _WORST else 0)
    deployment = words.clean(rows[0].get("deployment"))
    places = words.listed(list(dict.fromkeys(at(level(row)) for row in rows)))
    parts = [f"{objective(rows[0])} {places}"]
    if len(data.deployments) > 1:
        parts.append(deployment)
    runs = len(data.deployments.get(deployment, ()))
    if any(row.get("cell") is None for row in rows):
        parts.append(f"over {words.counted(runs, 'repetition')}")
    elif len(rows) > 1:
        shares = ", ".join(
            f"{count} {verdict.replace('_', ' ')}"
            for verdict, count in sorted(given.items(), key=lambda each: _WORST.index(each[0]))
        )
        parts.append(f"{words.counted(len(rows), 'repetition')}: {shares}")
    return Verdict(worst, worst.replace("_", " "), ", ".join(parts))
