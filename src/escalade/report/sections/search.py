"""How a capacity was searched for: one sentence or two, and the trials in their order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.tables import Table
from escalade.report.words import NO_BREAK, NOTHING, known

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.report.facts import CellFacts

_KINDS = {
    "climb": "climb",
    "descend": "descent",
    "bisect": "bisection",
    "repeat": "repeat, longer",
    "confirm": "confirmation",
    "overload": "overload",
}


def sentences(cell: CellFacts, *, several: bool) -> list[str]:
    """Tell what the search of a cell found, and what it took; `several` names the repetition."""
    if not cell.search:
        return []
    where = f"In repetition {cell.repetition} the" if several else "The"
    return [words.sentence(f"{where} search {_found(cell.search)}"), _used(cell.search)]


def trials_table(cell: CellFacts) -> Table:
    """List the trials of a cell's search, in order."""
    rows = [
        (
            str(trial.get("step")),
            _KINDS.get(str(trial.get("kind")), str(trial.get("kind"))),
            words.rate(known(trial.get("target_qps"))),
            words.plain(known(trial.get("window_seconds"))),
            words.plain(known(trial.get("seconds"))),
            words.clean(trial.get("judged")).replace("_", " "),
            _held(trial),
            words.clean(trial.get("reason") or ""),
        )
        for trial in cell.search.get("trials", ())
    ]
    columns = ("Trial", "Purpose", "Rate (/s)", "Window (s)", "Took (s)", "Judged", "Counts as")
    return Table((*columns, "Why"), tuple(rows))


def _held(trial: Mapping[str, Any]) -> str:
    holds = trial.get("holds")
    return NOTHING if holds is None else "held" if holds else "missed"


def _found(search: Mapping[str, Any]) -> str:
    result = search.get("result")
    if not result:
        return "did not come to its end: the cell failed before"
    held, missed = known(result.get("held_qps")), known(result.get("missed_qps"))
    slos = words.listed([words.clean(name) for name in search.get("slos", ())])
    if math.isnan(held):
        lowest = "" if math.isnan(missed) else f", the lowest tried being {_rate(missed)}"
        return f"found no rate at which {slos} held{lowest}: {words.clean(result['reason'])}"
    above = (
        "at no rate that was tried it was missed"
        if math.isnan(missed)
        else f"{_rate(missed)} missed it"
    )
    return (
        f"for {slos} ended with {_rate(held)} held, and {above}; {_confirmed(result, held)}. "
        f"It ended because {words.clean(result['reason'])}"
    )


def _confirmed(result: Mapping[str, Any], held: float) -> str:
    verdict = result.get("confirmed")
    if verdict is None:
        return f"{_rate(held)} was not confirmed by a longer trial"
    return f"the confirmation at {_rate(held)} was {words.clean(verdict)}"


def _used(search: Mapping[str, Any]) -> str:
    used, settings = search.get("used", {}), search.get("settings", {})
    spent, allowed = (
        _minutes(known(of.get(key)))
        for of, key in ((used, "seconds"), (settings, "budget_seconds"))
    )
    trials = words.counted(int(used.get("trials", 0)), "trial")
    return (
        f"It took {trials} and {spent} of load, of the {settings.get('budget_trials')} trials and "
        f"{allowed} that it was given; the table under the figures has them in order."
    )


def _minutes(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f}{NO_BREAK}s"
    return f"{seconds / 60:.1f}{NO_BREAK}min"


def _rate(value: float) -> str:
    return f"{words.rate(value)}{NO_BREAK}requests/s"
