"""The rows of a comparison: one KPI each, with its change, its verdict and what is to be said with it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.analysis.compare.comparison import Outcome, change, decide
from escalade.analysis.measured.json_numbers import finite
from escalade.analysis.stats.shift import holm, smallest_p

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from escalade.analysis.compare.comparison import Change
    from escalade.analysis.compare.repeated import Figure, Values
    from escalade.analysis.measured.levels import Level

_SIDES = ("baseline", "candidate")
_NUMBER = re.compile(r"[\d.]+")


@dataclass
class Row:
    """A row of the comparison before its verdict is known."""

    deployment: str
    figure: Figure
    step: int
    level: Level
    sides: tuple[Values, Values]
    primary: str
    changed: Change | None
    why: str = ""
    outcome: Outcome = Outcome("not comparable", "")  # noqa: RUF009 - it is frozen
    p_corrected: float = math.nan


def row_of(
    deployment: str,
    figure: Figure,
    step: tuple[int, Level],
    sides: tuple[Values, Values],
    primary: str,
) -> Row:
    """Estimate the change of one KPI; `step` is the number and level of its step."""
    before, after = _within_the_ladders(*sides)
    for side, values, found in zip(_SIDES, (before, after), sides, strict=True):
        if not values:
            why = f"{side}: {found.left_out[0]}" if found.left_out else f"the {side} has no value"
            return Row(deployment, figure, *step, sides, primary, None, why)
    return Row(deployment, figure, *step, sides, primary, change(before, after, figure.direction))


def _within_the_ladders(before: Values, after: Values) -> tuple[list[float], list[float]]:
    """Keep capacities within what both ladders can tell: a higher ladder is no higher capacity."""
    highest = min([*before.above, *after.above], default=math.inf)
    lowest = max([*before.below, *after.below], default=-math.inf)
    first, second = (
        [
            max(lowest, min(highest, value)) if math.isfinite(value) else value
            for value in side.known
        ]
        for side in (before, after)
    )
    return first, second


def judge_rows(rows: Sequence[Row], margin: float) -> None:
    """Give every row its verdict: primary ones as one family, each other one by itself."""
    family = [row for row in rows if row.primary and row.changed is not None]
    changed = [row.changed for row in family if row.changed is not None]
    corrected = holm([each.shift.p for each in changed])
    for row, outcome, p in zip(family, decide(changed, margin), corrected, strict=True):
        row.outcome, row.p_corrected = outcome, p
    for row in rows:
        if row.changed is None:
            row.outcome = Outcome("not comparable", row.why)
        elif not row.primary:
            row.outcome = decide([row.changed], margin)[0]
        row.outcome = Outcome(row.outcome.word, _with_notes(row))


def _with_notes(row: Row) -> str:
    """Add to the reason which repetitions have no value, and what the values carry with them."""
    notes = [row.outcome.reason, *(_notes(row) if row.changed is not None else ())]
    return "; ".join(note for note in notes if note)


def _notes(row: Row) -> Iterator[str]:
    for side, found in zip(_SIDES, row.sides, strict=True):
        total = len(found.known) + len(found.left_out)
        if found.left_out:
            much = f"{len(found.left_out)} of {total}"
            yield f"{much} repetitions of the {side} are left out: {found.left_out[0]}"
        alike = [_NUMBER.sub("", caveat) for caveat in found.caveats]
        for kind in dict.fromkeys(alike):
            first = found.caveats[alike.index(kind)]
            yield f"{side}, {alike.count(kind)} of {total}: {first}"
    before, after = row.sides
    if before.above or after.above:
        highest = min([*before.above, *after.above])
        yield f"a ladder ends at {highest:.3g} requests/s: what is above it does not show"
    if before.below or after.below:
        lowest = max([*before.below, *after.below])
        yield f"a ladder begins at {lowest:.3g} requests/s: what is below it does not show"


def told_of(row: Row) -> dict[str, Any]:
    """Give a row as JSON has it."""
    found, (before, after) = row.changed, row.sides
    numbers: dict[str, Any] = dict.fromkeys(
        (
            "scale",
            "baseline",
            "candidate",
            "effect",
            "ci_low",
            "ci_high",
            "relative",
            "p",
            "p_smallest",
        )
    )
    if found is not None:
        numbers = {
            "scale": found.scale,
            "baseline": finite(float(np.median(found.baseline))),
            "candidate": finite(float(np.median(found.candidate))),
            **found.columns,
            "p": found.shift.p,
            "p_smallest": smallest_p(*found.sizes),
        }
    return {
        "deployment": row.deployment,
        "step": row.step,
        **row.level.columns,
        "metric": row.figure.metric,
        "stat": row.figure.stat,
        "label": row.figure.label,
        "unit": row.figure.unit,
        "better": row.figure.direction,
        "role": "primary" if row.primary else "exploratory",
        "verdict": row.outcome.word,
        "reason": row.outcome.reason,
        **numbers,
        "p_holm": finite(row.p_corrected),
        "n": {"baseline": len(before.known), "candidate": len(after.known)},
        "left_out": {"baseline": before.left_out, "candidate": after.left_out},
    }
