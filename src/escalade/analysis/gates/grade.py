"""The data-quality grade, A to D: of each step, each cell and the campaign, from the gate rows alone.

It says how well the measuring went, not how good the service is: an overloaded service that
was measured well has an A.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

GRADES = ("A", "B", "C", "D")
MOST = 0.9
"""Share of the steps that have to reach a grade, so that the whole has it."""
UNUSABLE = 0.5
"""Share of invalid steps from which on the whole is a D."""
DESCRIBING = frozenset({"constant_rate", "over_saturation", "backlog_slope", "gpu_headroom"})
"""Gates that tell what was asked and what the service did, not how well it was measured."""
STEADY = frozenset({"steadiness", "warm_up", "littles_law", "drained"})
"""Gates that a step without a steady state can't pass: one whose rate changes, or that is overloaded."""
_MEANING = {
    "A": "every check passed",
    "B": "some checks could not be made",
    "C": "some figures are to be read with care",
    "D": "half of the steps or more can't be used",
}


def quality(
    gates: Sequence[Mapping[str, Any]], given_up: Collection[tuple[str, int]] = ()
) -> dict[str, Any]:
    """Grade a campaign.

    Parameters
    ----------
    gates
        Gate rows of all cells, as in verdicts.json.
    given_up
        (cell, step) of the trials of a search that were ended on purpose: they are not graded.

    Returns
    -------
    dict
        `grade`, `steps` (how many have each grade), `words`, and the same for each of `cells`,
        which also have `why`: one entry per gate that kept a step from an A.
        `grade` is None without a step.

    Notes
    -----
    A step has a D when a gate that invalidates failed, a C when one of these could not be
    checked or a gate that flags failed, a B when a gate that flags could not be checked, else an
    A. Gates that are not applicable count for nothing, nor do those of `DESCRIBING`, nor, where
    the rate changes or the step is over-saturated, those of `STEADY`. A cell, and the
    campaign, has a D when half of its steps or more have one; else the best grade that nine in
    ten of its steps reach, A only when none has a D.
    """
    steps: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in gates:
        place = str(row["cell"]), int(row["step"])
        if place not in given_up:
            steps.setdefault(place, []).append(row)
    graded = {place: _reasons(rows) for place, rows in steps.items()}
    cells = {cell: None for cell, _ in graded}
    return {
        **_whole(graded.values()),
        "cells": [
            {"cell": cell, **_whole(mine.values()), "why": _why(mine)}
            for cell in cells
            for mine in [{step: why for (name, step), why in graded.items() if name == cell}]
        ],
    }


def _reasons(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Give the gates that keep a step from an A, each with the grade that it leaves."""
    outcomes = {str(row["gate"]): str(row["outcome"]) for row in rows}
    overloaded = outcomes.get("over_saturation") == "fail"
    constant = outcomes.get("constant_rate") != "fail"
    no_rate = outcomes.get("over_saturation") == "not applicable"
    unsteady = overloaded or not (constant or no_rate)
    left_out = DESCRIBING | STEADY if unsteady else DESCRIBING
    found = {str(row["gate"]): _grade_of(row) for row in rows if str(row["gate"]) not in left_out}
    return {gate: grade for gate, grade in found.items() if grade != "A"}


def _grade_of(row: Mapping[str, Any]) -> str:
    worse = {"fail": 2, "unknown": 1}.get(str(row["outcome"]), 0)
    return GRADES[worse + bool(worse and row["invalidates"])]


def _whole(steps: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    grades = [max(why.values(), default="A") for why in steps]
    counts = {grade: grades.count(grade) for grade in GRADES}
    grade = _joined(counts)
    words = "no step was measured" if grade is None else _MEANING[grade]
    return {"grade": grade, "steps": counts, "words": words}


def _joined(counts: Mapping[str, int]) -> str | None:
    total = sum(counts.values())
    if not total:
        return None
    if counts["D"] >= UNUSABLE * total:
        return "D"
    if counts["A"] >= MOST * total and not counts["D"]:
        return "A"
    return "B" if counts["A"] + counts["B"] >= MOST * total else "C"


def _why(steps: Mapping[int, Mapping[str, str]]) -> list[dict[str, Any]]:
    """Say which gates kept which steps from an A, worst first."""
    found: dict[tuple[str, str], list[int]] = {}
    for step, reasons in steps.items():
        for gate, grade in reasons.items():
            found.setdefault((grade, gate), []).append(step)
    ordered = sorted(found, key=lambda each: GRADES.index(each[0]), reverse=True)
    return [{"gate": gate, "grade": grade, "steps": found[grade, gate]} for grade, gate in ordered]
