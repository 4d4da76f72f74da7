"""Findings on the page: problems first, and what was checked and found fine folded."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from escalade.analysis.findings.rule import ADVICE, FINE, LIMIT, PROBLEM, UNSEEN
from escalade.report import words
from escalade.report.sections.bottleneck import evidence_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.report.data import ReportData
    from escalade.report.tables import Table

_FIRED = (PROBLEM, LIMIT, ADVICE)
_COUNTED = {
    PROBLEM: ("problem", "problems"),
    LIMIT: ("limit of the service", "limits of the service"),
    ADVICE: ("piece of advice", "pieces of advice"),
}


@dataclass(frozen=True)
class Told:
    """One finding that fired."""

    kind: str
    title: str
    measured: Markup
    means: Markup
    why: Markup
    next: tuple[Markup, ...]
    where: str
    evidence: Table


@dataclass(frozen=True)
class Findings:
    """All findings; `judged` is False for campaigns that have none stored."""

    judged: bool
    counts: str
    fired: tuple[Told, ...]
    checks: tuple[str, ...]
    checks_title: str


def shown_findings(data: ReportData) -> list[Mapping[str, Any]]:
    """Give the findings that fired, in the order of their rank."""
    stored = data.verdicts.get("findings") or []
    return [row for row in stored if isinstance(row, dict) and row.get("kind") in _FIRED]


def findings_on_page(data: ReportData) -> Findings:
    """Give the findings in the order of their rank."""
    stored = data.verdicts.get("findings")
    rows = [row for row in stored or [] if isinstance(row, dict)]
    several = len(data.deployments) > 1
    kinds = Counter(words.clean(row.get("kind") or "") for row in rows)
    return Findings(
        judged=stored is not None,
        counts=_counts(kinds),
        fired=tuple(_told(row, several=several) for row in shown_findings(data)),
        checks=tuple(
            _check(row, several=several) for row in rows if row.get("kind") in (FINE, UNSEEN)
        ),
        checks_title=_checks_title(kinds),
    )


def _counts(kinds: Mapping[str, int]) -> str:
    found = [
        f"{kinds[kind]} {_COUNTED[kind][kinds[kind] != 1]}" for kind in _FIRED if kinds.get(kind)
    ]
    said = words.listed(found) if found else "nothing to look at"
    return words.sentence(said if kinds.get(PROBLEM) else f"no problem was found; {said}")


def _checks_title(kinds: Mapping[str, int]) -> str:
    fine, unseen = kinds.get(FINE, 0), kinds.get(UNSEEN, 0)
    parts = [f"{words.counted(fine, 'check')} found nothing"] if fine else []
    parts += [f"{unseen} could not be made"] if unseen else []
    return ", ".join(parts)


def _told(row: Mapping[str, Any], *, several: bool) -> Told:
    steps = [int(step) for step in row.get("steps") or []]
    where = [words.clean(row.get("deployment") or "")] if several else []
    where += [words.steps(steps)] if steps else []
    where += [f"rule {words.clean(row.get('rule') or '')}"]
    proofs = [proof for proof in row.get("evidence") or [] if isinstance(proof, dict)]
    return Told(
        kind=words.clean(row.get("kind") or ""),
        title=words.clean(row.get("title") or ""),
        measured=_spoken(words.sentence(words.clean(row.get("measured") or ""))),
        means=_spoken(words.clean(row.get("means") or "")),
        why=_spoken(words.clean(row.get("why") or "")),
        next=tuple(
            _spoken(words.sentence(words.clean(option))) for option in row.get("next") or []
        ),
        where=", ".join(where),
        evidence=evidence_table(
            ((words.clean(proof.get("cell") or "all cells"), proof) for proof in proofs), "Cell"
        ),
    )


def _spoken(text: str) -> Markup:
    """Give a text with what stands between backquotes as code; everything is escaped."""
    code = Markup("<code>{}</code>")
    parts = text.split("`")
    if len(parts) % 2 == 0:  # one that is not closed is none
        return escape(text)
    return Markup("").join(
        code.format(part) if place % 2 else escape(part) for place, part in enumerate(parts)
    )


def _check(row: Mapping[str, Any], *, several: bool) -> str:
    said = words.clean(row.get("measured") or "").rstrip(".")
    where = f"{words.clean(row.get('deployment') or '')}: " if several else ""
    unmade = "not checked: " if row.get("kind") == UNSEEN else ""
    return words.sentence(f"{where}{unmade}{said} (rule {words.clean(row.get('rule') or '')})")
