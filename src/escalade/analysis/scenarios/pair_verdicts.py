"""The verdict on the ratios of pairs, and the sentence that says it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.analysis.compare.comparison import percent, signed
from escalade.analysis.stats.pair_sizes import LEVEL, pairs_needed, pairs_to_see, smallest_p

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.analysis.compare.comparison import Word


def decided(row: Mapping[str, Any], margin: float, family: int) -> dict[str, Any]:
    """Give a row with its verdict and the reason.

    Parameters
    ----------
    row
        As `escalade.analysis.scenarios.pairs` makes it.
    margin
        Change, as a ratio, up to which nothing is called better or worse.
    family
        Number of primary KPIs; what is exploratory is tested alone.
    """
    verdict, reason = _decided(row, margin, family if row["primary"] else 1)
    return {**row, "verdict": verdict, "reason": reason}


def _decided(row: Mapping[str, Any], margin: float, family: int) -> tuple[Word, str]:
    pairs = row["pairs"]
    if not pairs:
        return "not comparable", _why_none(row)
    said = f"{change_words(row)} over {counted(pairs)}"
    needed = pairs_needed(family)
    if smallest_p(pairs) * family > LEVEL:
        return "inconclusive", (
            f"{said}; the smallest p that {counted(pairs)} can have is {smallest_p(pairs):.2g}"
            f"{_family(family)}: {needed + needed % 2} are needed"
        )
    p = row["p_value"] if row["p_adjusted"] is None else row["p_adjusted"]
    said += f", p = {p:.2g}{_family(family)}"
    _, worsening, most = worsening_of(row)
    if p <= LEVEL:
        if abs(worsening) <= margin:
            return "no change shown", f"{said}: within the margin of {percent(margin)}"
        return ("worse" if worsening > 0 else "better"), said
    if worsening > margin:
        return "inconclusive", f"{said}: worse, but not beyond chance; {_more(row, family)}"
    seen = (
        f"a worsening of {percent(most)} is not excluded" if most > margin else _would_be_seen(most)
    )
    return "no change shown", f"{said}; {seen}"


def _would_be_seen(most: float) -> str:
    what = f"a worsening of more than {percent(most)}" if most > 0 else "any worsening"
    return f"{what} would have been seen"


def _why_none(row: Mapping[str, Any]) -> str:
    reasons = list(dict.fromkeys(why for _, why in row["without"]))
    if not reasons:
        return "no pair has two valid steps with this KPI"
    more = f" (and {len(reasons) - 1} other reasons)" if len(reasons) > 1 else ""
    return f"no pair has a ratio: {reasons[0]}{more}"


def _family(family: int) -> str:
    return f" (Holm, {family} KPIs)" if family > 1 else ""


def _more(row: Mapping[str, Any], family: int) -> str:
    wanted = pairs_to_see(row["spread"], abs(math.log(row["ratio"])), family)
    wanted = max(wanted + wanted % 2, row["pairs"] + 2)
    return f"about {wanted} pairs would show it four times in five, at this spread"


def counted(pairs: int) -> str:
    """Write "1 pair" or "8 pairs"."""
    return f"{pairs} pair{'s' * (pairs != 1)}"


def worsening_of(row: Mapping[str, Any]) -> tuple[float, float, float]:
    """Give by how much it got worse: lower end, estimate and upper end, as ratios; negative is better."""
    low, high = row["ci_low"], row["ci_high"]
    ends = (-math.inf if low is None else low - 1, math.inf if high is None else high - 1)
    value = row["ratio"] - 1.0
    if row["direction"] == "higher":
        return -ends[1], -value, -ends[0]
    return ends[0], value, ends[1]


def change_words(row: Mapping[str, Any]) -> str:
    """Write a change with its interval: "+1.2 %, 95 % [-0.3 %, +2.1 %]"."""
    low, high = row["ci_low"], row["ci_high"]
    value = signed(row["ratio"] - 1)
    if low is None or high is None:
        return f"{value}, too few pairs for an interval"
    return f"{value}, 95 % [{signed(low - 1)}, {signed(high - 1)}]"
