"""How full one resource was at a rung of the ladder: full, not full, unknown, or not in the way.

A resource counts as full when it was close to its limit *and* its use grew with
the throughput on the way there (utilization law, U = X · S: a demand S per
request that stays the same). A resource that was nearly as full at a third of
the throughput, as by threads that spin, tells nothing. What was not measured is
neither full nor idle.

Method: operational laws (Denning and Buzen, *Computing Surveys* 10(3), 1978).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity.figures import Evidence, Figures
from escalade.analysis.capacity.resources import (
    CLIENT_LIMIT,
    CPU,
    MEMORY,
    SLOTS,
    SWAP_SHARE,
    THREAD,
    THREAD_PARAMETER,
    WORDS,
    Use,
    swapped,
)
from escalade.analysis.gates.gate import CLIENT
from escalade.analysis.measured.json_numbers import finite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.capacity.capacity import Rung

FULL = 0.90
"""Share of a resource's limit from which on it counts as full."""
IDLE = 0.80
"""Share up to which a resource surely is not what holds up the service."""
COMPARABLE = 0.80
"""A rung tells whether a use grows with throughput when it has at most so much of the knee's."""
SEVERAL = 1.15
"""CPU time between two scrapes, in cores, beyond which it was surely not one thread's."""
FULL_WORD, IDLE_WORD, UNKNOWN, BESIDE = "full", "not full", "unknown", "not in the way"


@dataclass(frozen=True)
class Candidate:
    """One resource at the knee.

    Attributes
    ----------
    resource
        Its name.
    outcome
        "full", "not full", "unknown" or "not in the way".
    share
        How full it was; NaN when that is not known.
    words
        One sentence.
    evidence
        What this rests on.
    """

    resource: str
    outcome: str
    share: float
    words: str
    evidence: tuple[Evidence, ...] = ()

    @property
    def busy(self) -> bool:
        """Whether it may be full: it was not shown to be idle, or not measured though it is there."""
        return self.outcome == UNKNOWN and not self.share <= IDLE

    def row(self) -> dict[str, Any]:
        """Make a part of a row of verdicts.json."""
        return {
            "resource": self.resource,
            "outcome": self.outcome,
            "share": finite(self.share),
            "words": self.words,
            "evidence": [each.row() for each in self.evidence],
        }


def candidate(use: Use, at: Rung, figures: Figures) -> Candidate:
    """Judge one resource at a rung."""
    why = "it used more than one core" if _uses_several(use, figures) else use.beside
    if why:
        return Candidate(use.resource, BESIDE, math.nan, why)
    share = use.share(at.step)
    if use.unknown or not math.isfinite(share):
        words = use.unknown or f"not known at step {at.step}"
        return Candidate(use.resource, UNKNOWN, math.nan, words)
    if use.resource == CPU:
        share = _without_stolen(share, at, figures)
    judge = _JUDGES.get(use.resource, _by_share)
    said = f"{WORDS[use.resource]}: {100 * share:.3g} % of {use.limit_words}"
    found = Candidate(use.resource, UNKNOWN, share, said, (_level(use, at, share, figures),))
    return judge(found, use, at, figures)


def _by_share(found: Candidate, use: Use, at: Rung, figures: Figures) -> Candidate:
    """Call a resource full when it was, and when its use grew with the throughput."""
    if found.share <= IDLE:
        return replace(found, outcome=IDLE_WORD)
    if found.share < FULL:
        return replace(found, words=f"{found.words}; neither full nor idle")
    grows, words, further = _grows(use, at, found.share, figures)
    return replace(
        found,
        outcome=FULL_WORD if grows else UNKNOWN,
        words=f"{found.words}; {words}",
        evidence=(*found.evidence, *further),
    )


def _uses_several(use: Use, figures: Figures) -> bool:
    """Tell whether a service without a configured number of threads computes with more than one."""
    if use.resource != THREAD or use.beside or THREAD_PARAMETER in figures.parameters:
        return False
    most = [figures.value(step, use.kpi, "max") for step in use.levels]
    return max((value for value in most if math.isfinite(value)), default=0.0) > SEVERAL * use.limit


def _without_stolen(share: float, at: Rung, figures: Figures) -> float:
    """Count only the CPU time that the hypervisor left to this machine."""
    stolen = figures.value(at.step, "steal_ratio")
    return share / (1 - stolen) if 0 < stolen < 1 else share


def _level(use: Use, rung: Rung, share: float, figures: Figures) -> Evidence:
    speaks = "for" if share >= FULL else "against" if share <= IDLE else "neither"
    return Evidence(
        *(use.kpi, use.stat, figures.name, rung.step, use.levels[rung.step], use.unit),
        use.limit,
        use.source,
        f"{100 * share:.3g} % of {use.limit_words} at {rung.offered:.3g} requests/s",
        speaks,
    )


def _grows(use: Use, at: Rung, share: float, figures: Figures) -> tuple[bool, str, list[Evidence]]:
    """Tell whether a use grew with throughput: at least half as much as in proportion.

    Of the rungs with at most 80 % of the throughput at the knee the lowest counts: there the
    two, a use in proportion and one that is always there, lie farthest apart.
    """
    lower = [
        rung
        for rung in figures.stable
        if 0 < rung.throughput <= COMPARABLE * at.throughput and rung.step in use.levels
    ]
    if not lower:
        return False, "no lower rung tells whether that grows with the throughput", []
    lowest = min(lower, key=lambda rung: rung.throughput)
    before, part = use.share(lowest.step), lowest.throughput / at.throughput
    grew = before <= share * (1 + part) / 2
    words = f"it was {100 * before:.3g} % at {100 * part:.3g} % of the throughput, so " + (
        "it grows with the load" if grew else "it is busy at any load, which tells nothing"
    )
    evidence = Evidence(
        *(use.kpi, use.stat, figures.name, lowest.step, use.levels[lowest.step], use.unit),
        use.limit,
        use.source,
        f"{100 * before:.3g} % at {lowest.throughput:.3g} requests/s",
        "for" if grew else "against",
    )
    return grew, words, [evidence, *_demands(use, (lowest, at), figures)]


def _demands(use: Use, at: Sequence[Rung], figures: Figures) -> list[Evidence]:
    """Give what a request demands of a resource, S = U / X, at some rungs."""
    unit = {"cores": "CPU s per request", "ratio": "s per request"}.get(use.unit)
    if unit is None:
        return []
    return [
        Evidence(
            *("demand per request", "value", figures.name, rung.step),
            use.levels[rung.step] / rung.throughput,
            unit,
            source=f"{use.source}, requests.parquet",
            words=f"{use.kpi} / throughput_qps: at most {_most(use, rung):.3g} requests/s at this demand",
            speaks="neither",
        )
        for rung in at
    ]


def _most(use: Use, rung: Rung) -> float:
    level = use.levels[rung.step]
    return use.limit * rung.throughput / level if level > 0 else math.inf


def _memory(found: Candidate, _use: Use, at: Rung, figures: Figures) -> Candidate:
    """Memory that is nearly full slows nothing down; swapping does."""
    grown = swapped(figures, at.step)
    said = f"used swap grew by {100 * grown:.2g} % of the memory in the window"
    if math.isfinite(grown):
        kpi = "node_memory_SwapTotal_bytes − node_memory_SwapFree_bytes"
        speaks = "for" if grown > SWAP_SHARE else "against"
        more = Evidence(
            *(kpi, "growth", figures.name, at.step, grown, "ratio", SWAP_SHARE),
            *("series.parquet", said, speaks),
        )
        found = replace(found, evidence=(*found.evidence, more))
    if grown > SWAP_SHARE:
        return replace(found, outcome=FULL_WORD, words=f"{found.words}; {said}")
    if found.share < FULL:
        return replace(found, outcome=IDLE_WORD)
    if math.isfinite(grown):
        words = "near its limit, but it did not swap, and so slows nothing down"
        return replace(found, outcome=IDLE_WORD, words=f"{found.words}; {words}")
    words = "near its limit, and whether it swapped is not known"
    return replace(found, words=f"{found.words}; {words}")


def _slots(found: Candidate, _use: Use, at: Rung, figures: Figures) -> Candidate:
    """Slots hold up requests when all are taken and others wait for them."""
    waiting = figures.value(at.step, "queue_length", "mean")
    if math.isfinite(waiting):
        words = f"{waiting:.3g} requests waited in the service on average"
        speaks = "for" if waiting >= 1 else "against"
        more = figures.evidence(at.step, "queue_length", "mean", words, speaks=speaks)
        found = replace(found, words=f"{found.words}; {words}", evidence=(*found.evidence, more))
    if found.share <= IDLE or waiting < 1:
        return replace(found, outcome=IDLE_WORD)
    return replace(found, outcome=FULL_WORD if found.share >= FULL else UNKNOWN)


_JUDGES = {MEMORY: _memory, SLOTS: _slots}


def client(at: Rung, figures: Figures) -> Candidate:
    """Exclude the client by its gates: a rung counts only if they passed."""
    gates = [gate for name in sorted(CLIENT) if (gate := figures.gate(at.step, name))]
    looked = [gate for gate in gates if gate["outcome"] == "pass"]
    if not looked:
        return Candidate(
            CLIENT_LIMIT, UNKNOWN, math.nan, "no gate of the load generator was checked"
        )
    evidence = tuple(replace(figures.proof(gate), speaks="against") for gate in looked)
    words = f"{WORDS[CLIENT_LIMIT]} kept up: its {len(looked)} gates passed at this step"
    used = figures.value(at.step, "client_cpu_ratio")
    return Candidate(CLIENT_LIMIT, IDLE_WORD, used, words, evidence)
