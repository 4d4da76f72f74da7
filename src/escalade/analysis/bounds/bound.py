"""One upper bound: what it is made of, what was attained of it, and how that is said."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EXCEEDED = 1.05
"""Attained per bound from which on an input of the bound is wrong."""

MEMORY, ARITHMETIC, NETWORK, DISK = "memory bandwidth", "arithmetic", "network", "disk"
CONFIGURED, SCALING = "configured", "ideal scaling"
_CALLED = {
    MEMORY: "memory-bandwidth bound",
    ARITHMETIC: "arithmetic bound",
    NETWORK: "network bound",
    DISK: "disk bound",
    CONFIGURED: "configured capacity",
    SCALING: "ideal scaling",
}
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SCALED = {"bytes": "B", "bytes/s": "B/s", "FLOP/s": "FLOP/s"}


@dataclass(frozen=True)
class Input:
    """A figure that a bound is made of.

    Attributes
    ----------
    name, unit
        What it is.
    value
        None when it is not known.
    source
        Who says it; of one that is not known, how to give it.
    """

    name: str
    value: float | None
    unit: str
    source: str

    def row(self) -> dict[str, Any]:
        """Give it as plain JSON content."""
        return {"name": self.name, "value": self.value, "unit": self.unit, "source": self.source}


@dataclass(frozen=True)
class Bound:
    """An upper bound of one figure.

    Attributes
    ----------
    name
        What is bounded, as in `token_rate`.
    kind
        What bounds it: one of the constants above.
    subject
        The same for a sentence: "tokens of all sequences".
    value, unit
        The bound; None when an input is not known, or `reason` says why there is none.
    inputs
        What it is made of, those that are not known included.
    reason
        Why there is no bound although nothing is missing.
    beyond
        What could let more than the bound be attained, for the sentence that says so.
    """

    name: str
    kind: str
    subject: str
    value: float | None
    unit: str
    inputs: Sequence[Input] = ()
    reason: str = ""
    beyond: str = ""

    def row(
        self,
        where: Mapping[str, Any],
        attained: float | None = None,
        low: float | None = None,
        note: str = "",
    ) -> dict[str, Any]:
        """Make a row of `bounds` in verdicts.json.

        Parameters
        ----------
        where
            cell, deployment and step; None where the row is about all of them.
        attained
            What was measured; None when it is not known.
        low
            Lower end of its 95 % interval: a bound that is exceeded within it is not exceeded.
        note
            A clause for the end of the sentence.
        """
        ratio = attained / self.value if attained is not None and self.value else None
        sure = low is None or not math.isfinite(low) or not self.value or low > self.value
        exceeded = ratio is not None and ratio > EXCEEDED and sure
        clauses = [self._said(attained, ratio), note, self._too_much(ratio, exceeded=exceeded)]
        return {
            **where,
            "name": self.name,
            "kind": self.kind,
            "value": self.value,
            "unit": self.unit,
            "attained": attained,
            "ratio": ratio,
            "exceeded": exceeded,
            "inputs": [each.row() for each in self.inputs],
            "words": "; ".join(clause for clause in clauses if clause),
        }

    def _said(self, attained: float | None, ratio: float | None) -> str:
        called = _CALLED[self.kind]
        if self.value is None:
            missing = [each for each in self.inputs if each.value is None]
            told = [f"{each.name} is not known: {each.source}" for each in missing]
            return f"{self.subject}: no {called}: {self.reason or '; '.join(told)}"
        bound = said(self.value, self.unit)
        if attained is None or ratio is None:
            return f"{self.subject}: the {called} is {bound}"
        share = f"{100 * ratio:.3g} %" if ratio < EXCEEDED else f"{ratio:.3g} times"
        of = " of" if ratio < EXCEEDED else ""
        return f"{self.subject}: {said(attained, self.unit)}, {share}{of} the {called} of {bound}"

    def _too_much(self, ratio: float | None, *, exceeded: bool) -> str:
        if exceeded:
            because = f": {self.beyond}" if self.beyond else ""
            return f"more than the bound allows, so an input of it is wrong{because}"
        if ratio is not None and ratio > EXCEEDED:
            return (
                "the interval of what was attained reaches below the bound: chance can explain it"
            )
        return ""


def said(value: float, unit: str) -> str:
    """Write a figure with three digits, as in "23.9 GB/s" and "203 tokens/s"."""
    if unit in _SCALED:
        size, prefix = next((each for each in _PREFIXES if value >= each[0]), (1.0, ""))
        return f"{value / size:.3g} {prefix}{_SCALED[unit]}"
    return f"{value:.3g} {unit}" if value < 1000 else f"{value:.0f} {unit}"
