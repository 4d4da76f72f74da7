"""What the verdicts mean for whoever started the campaign; imports no numerical library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


_MISSED = frozenset({"FAIL", "worse"})
_GOOD = frozenset({"PASS", "better", "no change shown"})


def exit_code(verdicts: Mapping[str, Any]) -> int:
    """Give the exit code that the verdicts call for.

    1 when an objective that counts is missed, or a KPI of pairs that counts got worse; else 4
    when one is undecided (INCONCLUSIVE, INVALID or NOT_RUN; inconclusive or not comparable); else 0.
    """
    counted = {row["verdict"] for row in verdicts["slos"] if row["counts"]}
    compared = verdicts.get("pairs") or {"rows": ()}
    counted |= {row["verdict"] for row in compared["rows"] if row["counts"]}
    if counted & _MISSED:
        return 1
    return 4 if counted - _GOOD else 0
