"""Steps that the fit leaves out are named once where their reasons differ by numbers only."""

from __future__ import annotations

from typing import Any

from escalade.analysis.capacity.capacity import _named


def failed(step: int, detail: str) -> dict[str, Any]:
    """Make a gate that invalidates a step."""
    return {
        "step": step,
        "gate": "neighbours",
        "outcome": "fail",
        "invalidates": True,
        "detail": detail,
    }


def test_steps_with_like_reasons_are_named_together() -> None:
    told = _named([failed(1, "others used 47 %"), failed(2, "others used 39.5 %")])

    assert told == ["steps 1, 2 are left out: others used 47 % (in step 1)"]


def test_other_reasons_are_told_by_themselves() -> None:
    told = _named([failed(1, "others used 47 %"), failed(3, "late"), failed(4, "late")])

    assert told == [
        "step 1 is left out: others used 47 %",
        "steps 3, 4 are left out: late",
    ]
