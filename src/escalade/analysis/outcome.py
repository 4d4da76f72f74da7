"""What the verdicts mean for whoever started the campaign; imports no numerical library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def exit_code(verdicts: Mapping[str, Any]) -> int:
    """Give the exit code that the verdicts call for.

    1 when an objective that counts is missed; else 4 when one is undecided
    (INCONCLUSIVE, INVALID or NOT_RUN); else 0.
    """
    counted = {row["verdict"] for row in verdicts["slos"] if row["counts"]}
    if "FAIL" in counted:
        return 1
    return 4 if counted - {"PASS"} else 0
