"""How often `escalade history` sees a change that is there, and one that is not.

Series are drawn on the logarithm, since what a campaign measures is noisy in proportion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from frame import Row, Run

from escalade.analysis.stats.change_points import change_points

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.analysis.measured.windows import FloatArray

    Noise = Callable[[np.random.Generator, int], FloatArray]

RUN_TO_RUN = 0.05
LENGTHS = (8, 10, 12, 20, 40)
ALARMS = 0.05


def normal(rng: np.random.Generator, n: int) -> FloatArray:
    """Give independent noise of 5 %."""
    return RUN_TO_RUN * rng.standard_normal(n)


def heavy(rng: np.random.Generator, n: int) -> FloatArray:
    """Give independent noise with odd campaigns among it: t with three degrees of freedom."""
    return RUN_TO_RUN * rng.standard_t(3, n)


def leaning(rng: np.random.Generator, n: int, weight: float = 0.3) -> FloatArray:
    """Give noise of 5 % of which each value leans on the one before."""
    drawn = rng.standard_normal(n)
    for place in range(1, n):
        drawn[place] = weight * drawn[place - 1] + np.sqrt(1 - weight**2) * drawn[place]
    return RUN_TO_RUN * drawn


def no_change(run: Run) -> list[Row]:
    """Histories without a change: each change point is a false alarm."""
    kinds: tuple[tuple[str, Noise, float | None], ...] = (
        ("normal noise", normal, ALARMS),
        ("noise with odd campaigns (t, 3)", heavy, ALARMS),
        ("noise that leans on the campaign before (0.3)", leaning, None),
    )
    rows = []
    for words, noise, wanted in kinds:
        for n in LENGTHS:
            case = f"{n} campaigns, {words}"
            rng = run.rng(case)
            seen = sum(bool(change_points(np.exp(noise(rng, n)))) for _ in range(run.runs))
            rows.append(Row(case, seen / run.runs, wanted, run.runs, at_most=True))
    return rows


def changes(run: Run) -> list[Row]:
    """Histories with a change in the middle, just now, or for a while, at 5 % normal noise."""
    rows = []
    for change in (0.10, 0.20):
        for n in LENGTHS:
            wanted = 0.8 if n >= 20 or change > 0.10 else None
            places = {
                "in the middle": (slice(n // 2, n), wanted),
                "of the last three": (slice(n - 3, n), None),
                "of the middle third": (slice(n // 3, 2 * n // 3), None),
            }
            rows += [_seen(run, n, change, where, *place) for where, place in places.items()]
    return rows


def _seen(  # noqa: PLR0917 - one caller, right above
    run: Run, n: int, change: float, where: str, moved: slice, wanted: float | None
) -> Row:
    case = f"{n} campaigns, a change of {100 * change:g} % {where}"
    rng = run.rng(case)
    seen = near = 0
    for _ in range(run.runs):
        values = normal(rng, n)
        values[moved] += np.log1p(change)
        found = change_points(np.exp(values))
        seen += bool(found)
        near += any(abs(each.index - moved.start) <= 1 for each in found)
    more = f"within one campaign of its place in {100 * near / run.runs:.0f} %"
    return Row(case, seen / run.runs, wanted, run.runs, more)
