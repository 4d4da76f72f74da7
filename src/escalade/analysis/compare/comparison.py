"""One KPI of two campaigns: how much it changed, and whether that is more than chance.

A change counts when three things hold: the interval excludes that there is none, the test says so
after its correction for the family, and the effect exceeds the practical margin. What small samples
can't tell is INCONCLUSIVE and says how many repetitions would. The unit is the repetition: a value
of a KPI from each run of a deployment with its own start of the service.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from escalade.analysis.measured.json_numbers import finite
from escalade.analysis.stats.distributions import ROUNDING
from escalade.analysis.stats.sample_floors import ALPHA
from escalade.analysis.stats.shift import (
    Shift,
    holm,
    repetitions_able,
    repetitions_needed,
    shift,
    smallest_p,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.kpis.catalogue import Direction

Word = Literal["better", "worse", "changed", "no change shown", "inconclusive", "not comparable"]
"""`changed` is for figures of which neither direction is better."""
Scale = Literal["ratio", "difference"]

METHOD = "Hodges-Lehmann, rank-sum test"
MINUS = "\N{MINUS SIGN}"
MARGIN = 0.05
"""The practical margin: smaller changes are none that anybody has to act on."""


@dataclass(frozen=True)
class Change:
    """The change of one KPI from a baseline to a candidate.

    Attributes
    ----------
    baseline, candidate
        Its values, one for each repetition; infinite where requests failed or the service died.
    direction
        Which way is better.
    scale
        "ratio" (candidate / baseline) where all values are positive, else "difference".
    shift
        In logarithms for a ratio.
    """

    baseline: tuple[float, ...]
    candidate: tuple[float, ...]
    direction: Direction
    scale: Scale
    shift: Shift

    @property
    def effect(self) -> float:
        """Ratio of candidate to baseline, or their difference in the KPI's unit."""
        return self._told(self.shift.effect)

    @property
    def low(self) -> float:
        """Lower end of the effect's 95 % interval."""
        return self._told(self.shift.low)

    @property
    def high(self) -> float:
        """Upper end of the effect's 95 % interval."""
        return self._told(self.shift.high)

    @property
    def relative(self) -> float:
        """The effect as a share of the baseline: 0.1 is 10 % more."""
        return self.relative_of(self.shift.effect)

    def relative_of(self, amount: float) -> float:
        """Give a shift as a share of the baseline; infinite where the baseline is 0."""
        if self.scale == "ratio":
            return math.exp(amount) - 1 if amount < math.inf else math.inf
        if amount == 0:
            return 0.0
        base = abs(float(np.median(self.baseline)))
        return amount / base if 0 < base < math.inf else math.copysign(math.inf, amount)

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of repetitions on both sides."""
        return len(self.baseline), len(self.candidate)

    @property
    def columns(self) -> dict[str, float | None]:
        """Effect, its interval and its share of the baseline, as JSON has them; an open end is None."""
        return {
            "effect": finite(self.effect),
            "ci_low": finite(self.low) if math.isfinite(self.shift.low) else None,
            "ci_high": finite(self.high) if math.isfinite(self.shift.high) else None,
            "relative": finite(self.relative),
        }

    def _told(self, amount: float) -> float:
        if self.scale == "difference":
            return amount
        return math.exp(amount) if amount < math.inf else math.inf


@dataclass(frozen=True)
class Outcome:
    """What is said about a change, and the sentence that justifies it."""

    word: Word
    reason: str


def change(baseline: Sequence[float], candidate: Sequence[float], direction: Direction) -> Change:
    """Estimate a change from the values of repetitions.

    Parameters
    ----------
    baseline, candidate
        One value or more of each, in the KPI's unit. An infinite value is worse or better than all
        others, as the direction has it; -inf also stands for 0 on the scale of ratios.
    direction
        "higher", "lower" or "none", from the catalogue.
    """
    values = [*baseline, *candidate]
    positive = all(value > 0 for value in values if math.isfinite(value))
    logs = positive and any(math.isfinite(value) for value in values)
    found = (
        shift(_logs(baseline), _logs(candidate)) if logs else shift(list(baseline), list(candidate))
    )
    return Change(
        tuple(baseline),
        tuple(candidate),
        direction,
        "ratio" if logs else "difference",
        found,
    )


def _logs(values: Sequence[float]) -> list[float]:
    return [math.log(value) if math.isfinite(value) else value for value in values]


def decide(changes: Sequence[Change], margin: float = MARGIN) -> list[Outcome]:
    """Decide a family of changes: Holm's correction over all of them, at 5 % together.

    Parameters
    ----------
    changes
        The family; exploratory figures are families of one.
    margin
        Changes up to that share of the baseline are none that count.
    """
    corrected = holm([each.shift.p for each in changes])
    return [
        _decided(each, p, len(changes), margin) for each, p in zip(changes, corrected, strict=True)
    ]


def _decided(found: Change, p: float, family: int, margin: float) -> Outcome:
    said = said_of(found)
    if p <= ALPHA + ROUNDING and found.shift.excludes_none:
        if abs(found.relative) <= margin:
            return Outcome("no change shown", f"{said}: within the margin of {percent(margin)}")
        return Outcome(_side(found), said)
    if smallest_p(*found.sizes) > ALPHA / family + ROUNDING:
        return Outcome("inconclusive", f"{said}; {_too_few(found, family)}")
    if _leans_worse(found) and abs(found.relative) > margin:
        return Outcome(
            "inconclusive", f"{said}: worse, but not beyond chance; {_more(found, family)}"
        )
    return Outcome("no change shown", f"{said}{_not_excluded(found, margin)}")


def _side(found: Change) -> Word:
    if found.direction == "none":
        return "changed"
    more = found.shift.effect > 0
    return "better" if more == (found.direction == "higher") else "worse"


def _leans_worse(found: Change) -> bool:
    return found.shift.effect != 0 and _side(found) == "worse"


def _too_few(found: Change, family: int) -> str:
    """Say how many repetitions can decide at all."""
    both, alone = repetitions_able(found.sizes[0], family)
    m, n = found.sizes
    among = "" if family == 1 else f" at 5 % shared by {family} primary tests"
    more = (
        f"; {alone} of the candidate would do with these {m} of the baseline"
        if 0 < alone < both
        else ""
    )
    return f"{m} against {n} repetitions can't decide{among}: {both} on each side can{more}"


def _more(found: Change, family: int) -> str:
    """Say how many repetitions would likely decide."""
    logs = found.scale == "ratio"
    sides = [_logs(side) if logs else list(side) for side in (found.baseline, found.candidate)]
    if min(found.sizes) < 2:
        return "more repetitions are needed"
    needed = repetitions_needed(sides[0], sides[1], found.shift.effect, family)
    if needed is None:
        return "no reasonable number of repetitions would show a change of this size"
    most = max(needed, max(found.sizes) + 1)
    return f"about {most} repetitions on each side would show it four times in five, at this spread"


def _not_excluded(found: Change, margin: float) -> str:
    """Say how much worse it may be for all that is known."""
    if found.direction == "none":
        return ""
    worst = found.shift.high if found.direction == "lower" else found.shift.low
    share = found.relative_of(worst)
    if abs(share) <= margin or (share > 0) != (found.direction == "lower"):
        return ""
    much = f"of {percent(abs(share))}" if math.isfinite(share) else "of any size"
    return f"; a worsening {much} is not excluded"


def said_of(found: Change) -> str:
    """Put effect and interval into words, as in `+3.1 % [−2 %, +9.6 %]`."""
    if found.scale == "ratio":
        low, high = (signed(found.relative_of(end)) for end in (found.shift.low, found.shift.high))
        point = signed(found.relative)
    else:
        low, high, point = (f"{end:+.3g}" for end in (found.low, found.high, found.effect))
    if not found.shift.bounded:
        return f"{point}, too few repetitions for an interval"
    return f"{point}, 95 % [{low}, {high}]"


def signed(share: float) -> str:
    """Write a change as a percentage with its sign."""
    if math.isinf(share):
        return "+∞ %" if share > 0 else f"{MINUS}∞ %"
    return f"{100 * share:+.3g} %".replace("-", MINUS)


def percent(share: float) -> str:
    """Write a share as a percentage."""
    return f"{100 * share:.3g} %"
