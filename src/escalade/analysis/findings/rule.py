"""What a rule is, and what it may answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.analysis.capacity.figures import Evidence
    from escalade.analysis.findings.subject import Subject

PROBLEM: Final = "problem"
LIMIT: Final = "limit"
ADVICE: Final = "advice"
UNSEEN, FINE = "not checked", "fine"
KINDS = (PROBLEM, LIMIT, ADVICE, UNSEEN, FINE)
"""From what a reader must see first to what can wait."""


@dataclass(frozen=True)
class Hit:
    """A rule fires.

    Attributes
    ----------
    measured
        What was measured, in one or two sentences.
    evidence
        The numbers that it rests on; they also say in which cells and steps.
    next
        What to try in this case, before what the rule always says.
    """

    measured: str
    evidence: tuple[Evidence, ...] = ()
    next: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fine:
    """A rule was checked and does not fire; what was seen, in one sentence."""

    words: str


@dataclass(frozen=True)
class Unseen:
    """A rule can't be checked; why, in one sentence.

    Attributes
    ----------
    why
        The sentence.
    unscraped
        Whether it is because monitoring is off: one line tells of all such rules.
    """

    why: str
    unscraped: bool = False


Answer = Hit | Fine | Unseen | None
"""None: the rule has nothing to say of this deployment, neither good nor bad."""


@dataclass(frozen=True)
class Rule:
    """One thing that may be worth telling.

    Attributes
    ----------
    name
        Name in verdicts.json and docs/findings.md.
    kind
        "problem": a promise is missed, or figures can't be trusted. "limit": what holds the
        service back. "advice": what would make the campaign say more.
    title
        What it is called in the report.
    fires
        When it fires, as docs/findings.md says it.
    means, why
        What that means, and why it happens.
    next
        What to try.
    check
        Looks at one deployment.
    """

    name: str
    kind: Literal["problem", "limit", "advice"]
    title: str
    fires: str
    means: str
    why: str
    next: tuple[str, ...]
    check: Callable[[Subject], Answer]

    def row(self, subject: Subject, answer: Hit | Fine | Unseen) -> dict[str, Any]:
        """Make a row of verdicts.json; its rank is given when all are known."""
        if isinstance(answer, Hit):
            return self._hit(subject, answer)
        fine = isinstance(answer, Fine)
        return {
            "rule": self.name,
            "kind": FINE if fine else UNSEEN,
            "deployment": subject.name,
            "title": self.title,
            "measured": answer.words if isinstance(answer, Fine) else answer.why,
        }

    def _hit(self, subject: Subject, hit: Hit) -> dict[str, Any]:
        cells = list(dict.fromkeys(each.cell for each in hit.evidence if each.cell))
        return {
            "rule": self.name,
            "kind": self.kind,
            "deployment": subject.name,
            "title": self.title,
            "cells": cells or [figures.name for figures in subject.cells],
            "steps": sorted({each.step for each in hit.evidence if each.step}),
            "measured": hit.measured,
            "means": self.means,
            "why": self.why,
            "next": list(dict.fromkeys((*hit.next, *self.next))),
            "evidence": [each.row() for each in hit.evidence],
        }
