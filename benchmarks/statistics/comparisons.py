"""How often a comparison calls a regression where there is none, and finds one that is there."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from frame import COVERS, Row, Run
from scipy import stats

from escalade.analysis.compare.comparison import MARGIN, change, decide
from escalade.analysis.stats.intervals import ALPHA

NOISE = 0.05
"""How much runs differ by themselves: standard deviation of the logarithm."""
SLOWER = 1.1
ODD_SHARE, ODD_FACTOR = 0.1, 1.5
"""Of runs that met a neighbour: how many, and how much slower they were."""
FALSE, FOUND = 0.05, 0.8
PROMISED = 7
"""Repetitions at which a regression of 10 % is to be found."""

Array = np.ndarray


def comparisons(run: Run) -> list[Row]:
    """Compare two campaigns whose truth is known, by one to three primary KPIs.

    With several, the first one changes and the others do not; KPIs are independent.
    """
    return [*_no_change(run), *_slower(run), *_odd(run), *_intervals(run)]


def _no_change(run: Run) -> list[Row]:
    rows = []
    for repetitions in (3, 4, 5, 7, 10):
        for primary in (1, 3):
            case = f"false regression, {_case(repetitions, primary)}"
            before, after = _draws(run, case, repetitions, primary)
            said = _conclusions(before, after)
            bare = _bare(before, after)
            more = (
                f"undecided {_percent(said['undecided'], run)}; a bare threshold {100 * bare:.1f} %"
            )
            rows.append(
                Row(case, said["regression"] / run.runs, FALSE, run.runs, more, at_most=True)
            )
    return rows


def _slower(run: Run) -> list[Row]:
    rows = []
    for repetitions in (4, 5, 6, 7, 8, 10):
        for primary in (1, 2, 3):
            case = f"10 % slower is found, {_case(repetitions, primary)}"
            before, after = _draws(run, case, repetitions, primary)
            after[:, 0] *= SLOWER
            said = _conclusions(before, after)
            promised = FOUND if (repetitions, primary) == (PROMISED, 1) else None
            more = f"undecided {_percent(said['undecided'], run)}"
            if primary == 1:
                more += f"; Welch's t {100 * _welch(before, after):.1f} %"
            rows.append(Row(case, said["regression"] / run.runs, promised, run.runs, more))
    return rows


def _odd(run: Run) -> list[Row]:
    """One run in ten meets a neighbour: what that costs a test of ranks, and one of means."""
    rows = []
    for factor, what in ((1.0, "false regression"), (SLOWER, "10 % slower is found")):
        case = f"{what}, {_case(PROMISED, 1)}, one run in ten slower by half"
        before, after = _draws(run, case, PROMISED, 1)
        rng = run.rng(f"{case}, odd")
        for side in (before, after):
            side[rng.random(side.shape) < ODD_SHARE] *= ODD_FACTOR
        after *= factor
        share = _conclusions(before, after)["regression"] / run.runs
        more = f"Welch's t {100 * _welch(before, after):.1f} %"
        wanted = FALSE if factor == 1.0 else None
        rows.append(Row(case, share, wanted, run.runs, more, at_most=True))
    return rows


def _intervals(run: Run) -> list[Row]:
    """Count in how many comparisons the interval holds the true ratio."""
    rows = []
    for repetitions in (4, 5, 7, 10):
        case = f"the interval holds a ratio of {SLOWER:g}, {_case(repetitions, 1)}"
        before, after = _draws(run, case, repetitions, 1)
        hits, widths = 0, []
        for x, y in zip(before[:, 0], SLOWER * after[:, 0], strict=True):
            found = change(x.tolist(), y.tolist(), "lower")
            hits += found.low <= SLOWER <= found.high
            widths.append(found.high - found.low)
        more = f"width {100 * float(np.median(widths)):.3g} % of the baseline"
        rows.append(Row(case, hits / run.runs, COVERS, run.runs, more))
    return rows


def _case(repetitions: int, primary: int) -> str:
    return f"{repetitions} against {repetitions}, {primary} primary"


def _draws(run: Run, case: str, repetitions: int, primary: int) -> tuple[Array, Array]:
    """Draw two campaigns that differ by nothing: runs × KPIs × repetitions."""
    shape = run.runs, primary, repetitions
    rng = run.rng(case)
    return np.exp(rng.normal(0.0, NOISE, shape)), np.exp(rng.normal(0.0, NOISE, shape))


def _conclusions(before: Array, after: Array) -> Counter[str]:
    """Count what comparisons come to, by the rule of the exit code."""
    said: Counter[str] = Counter()
    for x, y in zip(before, after, strict=True):
        family = [
            change(mine.tolist(), other.tolist(), "lower") for mine, other in zip(x, y, strict=True)
        ]
        words = {outcome.word for outcome in decide(family)}
        undecided = "undecided" if "inconclusive" in words else "no regression"
        said["regression" if "worse" in words else undecided] += 1
    return said


def _welch(before: Array, after: Array) -> float:
    """Give the share of regressions by Welch's t on logarithms, with the same margin."""
    x, y = np.log(before[:, 0]), np.log(after[:, 0])
    p = stats.ttest_ind(x, y, axis=1, equal_var=False).pvalue
    beyond = y.mean(axis=1) - x.mean(axis=1) > math.log(1 + MARGIN)
    return float(((p <= ALPHA) & beyond).mean())


def _bare(before: Array, after: Array) -> float:
    """Give the share of regressions where any mean over the threshold is one."""
    return float((after.mean(axis=2) / before.mean(axis=2) > 1 + MARGIN).any(axis=1).mean())


def _percent(count: int, run: Run) -> str:
    return f"{100 * count / run.runs:.1f} %"
