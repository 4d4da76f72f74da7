"""Which resource saturates first: evidence for and against each at the knee of the ladder.

The knee is the lowest rung beyond saturation. How full each resource was there is
judged in `saturation`; here they are ranked, and the bottleneck is chosen among
the full ones. Slots that are full while the hardware is idle are a configured
limit; slots that are full because the hardware is, are its consequence. Where
nothing that was measured is full, or two resources were full together, the answer
is "unknown".

Method: utilization, saturation, errors (Gregg, *Systems Performance*, 2nd ed., 2020).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity.figures import Figures
from escalade.analysis.capacity.resources import CLIENT_LIMIT, CPU, GPU, MEMORY, SLOTS, WORDS, uses
from escalade.analysis.capacity.saturation import (
    BESIDE,
    FULL_WORD,
    IDLE_WORD,
    UNKNOWN,
    Candidate,
    candidate,
    client,
)
from escalade.analysis.gates.gate import CLIENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.capacity.capacity import Rung
    from escalade.analysis.measured.cell import CellData

CLOSE = 0.05
"""Two full resources whose shares differ by less can't be told apart."""
FOUND, UNDECIDED, NOT_REACHED, NO_LADDER = "found", "unknown", "not reached", "not applicable"
_RANK = {FULL_WORD: 0, UNKNOWN: 1, IDLE_WORD: 2, BESIDE: 3}


def bottlenecks(
    kpis: pd.DataFrame,
    cells: Sequence[CellData],
    gates: Sequence[Mapping[str, Any]],
    capacity: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Say for each cell which resource saturates first.

    Parameters
    ----------
    kpis
        KPI rows of all cells.
    cells
        What was measured, in the order of the plan.
    gates, capacity
        Rows of verdicts.json.

    Returns
    -------
    list of dict
        Section `bottlenecks` of verdicts.json: cell, deployment, step (the knee),
        offered_qps and throughput_qps there, outcome ("found", "unknown", "not
        reached", "not applicable"), resource (None unless it was found), words,
        and `ranking`: every resource with outcome, share, words and evidence.
    """
    return [bottleneck(Figures(cell, kpis, gates, capacity)) for cell in cells]


def bottleneck(figures: Figures) -> dict[str, Any]:
    """Say for one cell which resource saturates first."""
    limit = _client_before_service(figures)
    if limit is not None:
        words = f"{WORDS[CLIENT_LIMIT]} was the limit: {limit.words}"
        return _row(figures, None, FOUND, (CLIENT_LIMIT, words), [limit])
    if not figures.rungs:
        why = "no valid step of a constant rate: there is no ladder on which a resource could fill"
        return _row(figures, None, NO_LADDER, (None, why), [])
    knee = figures.knee
    at = knee or figures.rungs[-1]
    ranking = ranked([*(candidate(use, at, figures) for use in uses(figures)), client(at, figures)])
    if knee is None:
        return _row(figures, at, NOT_REACHED, (None, _not_reached(at, ranking)), ranking)
    said = decided(ranking)
    return _row(figures, at, UNDECIDED if said[0] is None else FOUND, said, ranking)


def _row(
    figures: Figures,
    rung: Rung | None,
    outcome: str,
    said: tuple[str | None, str],
    ranking: Sequence[Candidate],
) -> dict[str, Any]:
    resource, words = said
    return {
        "cell": figures.name,
        "deployment": figures.data.deployment,
        "step": None if rung is None else rung.step,
        "offered_qps": None if rung is None else rung.offered,
        "throughput_qps": None if rung is None else rung.throughput,
        "outcome": outcome,
        "resource": resource,
        "words": words,
        "ranking": [each.row() for each in ranking],
    }


def ranked(found: Sequence[Candidate]) -> list[Candidate]:
    """Order candidates: full ones first, then unknown ones, the fuller one first."""
    return sorted(
        found,
        key=lambda each: (_RANK[each.outcome], -each.share if math.isfinite(each.share) else 1.0),
    )


def _client_before_service(figures: Figures) -> Candidate | None:
    """Name the client where it gave way above all valid rungs, and none of these saturated."""
    if figures.knee is not None:
        return None
    failed = [gate for gate in figures.failing(*CLIENT) if gate["invalidates"]]
    top = max((rung.offered for rung in figures.rungs), default=0.0)
    above = [gate for gate in failed if figures.levels[int(gate["step"])].qps > top]
    if not above:
        return None
    first = above[0]
    words = f"step {first['step']}, gate {first['gate']}: {first['detail']}"
    evidence = tuple(figures.proof(gate) for gate in above)
    return Candidate(CLIENT_LIMIT, FULL_WORD, math.nan, words, evidence)


def decided(ranking: Sequence[Candidate]) -> tuple[str | None, str]:
    """Choose the bottleneck among the resources at the knee, or say why none can be chosen."""
    full = [each for each in ranking if each.outcome == FULL_WORD]
    hardware = sorted(
        (each for each in full if each.resource != SLOTS),
        key=lambda each: each.resource != MEMORY,  # who swaps looks busy everywhere
    )
    slots = next((each for each in full if each.resource == SLOTS), None)
    if hardware:
        return _of_hardware(hardware, slots)
    return _without_hardware(slots, ranking)


def _of_hardware(full: Sequence[Candidate], slots: Candidate | None) -> tuple[str | None, str]:
    first = full[0]
    if len(full) > 1 and first.resource != MEMORY and first.share - full[1].share < CLOSE:
        both = " and ".join(WORDS[each.resource] for each in full[:2])
        return None, f"{both} were full together: which of them fills first can't be told"
    more = f"; that {WORDS[SLOTS]} are full is its consequence" if slots else ""
    return first.resource, first.words + more


def _without_hardware(
    slots: Candidate | None, ranking: Sequence[Candidate]
) -> tuple[str | None, str]:
    busy = [
        each for each in ranking if each.busy and (each.resource in (CPU, GPU) or each.share > 0)
    ]
    doubts = "; ".join(f"{WORDS[each.resource]}: {_plain(each)}" for each in busy)
    if slots is not None and not busy:
        words = "while the hardware was not: a limit that is configured, not one of the hardware"
        return SLOTS, f"{slots.words}, {words}"
    if slots is not None:
        why = f"{slots.words}, but whether the hardware is the reason can't be told ({doubts})"
        return None, why
    if busy:
        return None, f"nothing is known to be full ({doubts})"
    unseen = [WORDS[each.resource] for each in ranking if each.outcome == UNKNOWN]
    missing = f"; not known: {', '.join(unseen)}" if unseen else ""
    return None, (
        "nothing that was measured is full: it may wait for a lock, a pool of connections, "
        f"a limit of rate, or another service{missing}"
    )


def _plain(each: Candidate) -> str:
    return each.words.removeprefix(f"{WORDS[each.resource]}: ")


def _not_reached(at: Rung, ranking: Sequence[Candidate]) -> str:
    said = f"no valid rung went beyond saturation, up to {at.offered:.3g} requests/s"
    known = [each for each in ranking if each.resource != CLIENT_LIMIT and each.share > 0]
    if not known:
        return f"{said}; how full the resources were there is not known"
    most = max(known, key=lambda each: each.share)
    return f"{said}; the fullest resource there was {_fullest(most)}"


def _fullest(most: Candidate) -> str:
    return f"{WORDS[most.resource]} ({100 * most.share:.3g} %)"
