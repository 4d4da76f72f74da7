"""Rules on the ladder: whether its rungs are where the capacity is."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from escalade.analysis.findings.rule import ADVICE, LIMIT, PROBLEM, Fine, Hit, Rule
from escalade.analysis.findings.subject import SHOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.capacity.figures import Evidence, Figures
    from escalade.analysis.findings.rule import Answer
    from escalade.analysis.findings.subject import Subject

COARSE = 2.0
"""Lowest rung beyond saturation / highest stable one, from which on rungs between are worth it."""
UPWARD = (1.5, 2.0)
DOWNWARD = (0.3, 0.6, 0.9)


def _ladders(subject: Subject) -> list[Figures]:
    """Give the cells with a ladder: two valid rungs or more."""
    return [figures for figures in subject.cells if len(figures.rungs) > 1]


def rates_of(rates: Sequence[float]) -> str:
    """Write rates to try, with two digits: no more is meant."""
    return ", ".join(f"{float(f'{rate:.2g}'):g}" for rate in sorted(rates))


def too_low(subject: Subject) -> Answer:
    """Look for ladders that never saturate; what searches found needs no higher rung."""
    ladders = _ladders(subject)
    if not ladders or subject.searched:
        return None
    reached = [figures for figures in ladders if figures.knee is not None]
    if reached:
        return Fine(f"{len(reached)} of {len(ladders)} ladders go beyond saturation")
    tops = [figures.rungs[-1].offered for figures in ladders]
    top = max(tops)
    return Hit(
        f"every rung up to {top:.3g} requests/s was answered as fast as it was asked: "
        "the capacity is higher, and not known",
        tuple(_throughput(figures, figures.rungs[-1].step) for figures in ladders)[:SHOWN],
        (f"add rungs at {rates_of([top * factor for factor in UPWARD])} requests/s",),
    )


def too_high(subject: Subject) -> Answer:
    """Look for ladders without any rung that the service holds."""
    ladders = [figures for figures in subject.cells if figures.rungs]
    lost = [figures for figures in ladders if not figures.stable]
    if not ladders:
        return None
    if not lost:
        return Fine("the lowest rungs are held")
    carried = min(figures.rungs[0].throughput for figures in lost)
    lowest = min(figures.rungs[0].offered for figures in lost)
    rates = [factor * min(carried, lowest) for factor in DOWNWARD]
    advice = (f"add rungs at {rates_of(rates)} requests/s",) if carried > 0 else ()
    return Hit(
        f"even {lowest:.3g} requests/s are beyond what the service does ({carried:.3g} requests/s)",
        tuple(_throughput(figures, figures.rungs[0].step) for figures in lost)[:SHOWN],
        advice,
    )


def too_coarse(subject: Subject) -> Answer:
    """Look for a wide gap between the last rung that is held and the first that is not."""
    found = []
    for figures in _ladders(subject):
        below = [
            rung.offered
            for rung in figures.stable
            if figures.knee is not None and rung.offered < figures.knee.offered
        ]
        if below and figures.knee is not None and figures.knee.offered > COARSE * max(below):
            found.append((figures, max(below), figures.knee.offered))
    if not found:
        return None
    figures, low, high = found[0]
    between = [low * (high / low) ** part for part in (1 / 3, 2 / 3)]
    evidence = [each for f, _, _ in found for each in _around(f)]
    return Hit(
        f"{low:.3g} requests/s are held and {high:.3g} are not: the capacity lies anywhere between",
        tuple(evidence[:SHOWN]),
        (f"add rungs at {rates_of(between)} requests/s",),
    )


def _around(figures: Figures) -> list[Evidence]:
    knee = figures.knee
    return [
        _throughput(figures, rung.step) for rung in (figures.stable[-1], knee) if rung is not None
    ]


def mostly_beyond(subject: Subject) -> Answer:
    """Look for ladders most of whose rungs lie beyond saturation."""
    if subject.searched:
        return None
    found = [
        figures
        for figures in _ladders(subject)
        if figures.stable and len(figures.rungs) - len(figures.stable) > max(1, len(figures.stable))
    ]
    if not found:
        return None
    figures = found[0]
    beyond = [rung for rung in figures.rungs if rung.saturated]
    capacity = figures.capacity.get("capacity_qps") or figures.stable[-1].throughput
    rates = [capacity * share for share in (0.5, 0.7, 0.9)]
    return Hit(
        f"{len(beyond)} of {len(figures.rungs)} rungs are over-saturated: their latency is a "
        "function of time, and says nothing but that the rate is too high",
        tuple(figures.proof(gate) for gate in figures.failing("over_saturation"))[:SHOWN],
        (f"spend these rungs at {rates_of(rates)} requests/s",),
    )


def collapses(subject: Subject) -> Answer:
    """Look for throughput that falls under overload."""
    found = [figures for figures in subject.cells if figures.capacity.get("collapse")]
    if not any(figures.knee for figures in subject.cells):
        return None
    if not found:
        return Fine("throughput does not fall under overload")
    evidence = []
    for figures in found:
        best = max(figures.rungs, key=lambda rung: rung.throughput)
        worst = min(
            (rung for rung in figures.rungs if rung.offered >= best.offered),
            key=lambda rung: rung.throughput,
        )
        evidence += [_throughput(figures, best.step), _throughput(figures, worst.step)]
    reason = str(found[0].capacity.get("reason", "")).split("; ", maxsplit=1)[0]
    return Hit(reason, tuple(evidence[:SHOWN]))


def undrained(subject: Subject) -> Answer:
    """Look for requests below saturation that never ended."""
    found = [
        (figures, gate)
        for figures, step in subject.stable()
        for gate in [figures.gate(step, "drained")]
        if gate.get("outcome") == "fail"
    ]
    if not found:
        return Fine("every request below saturation ended") if list(subject.stable()) else None
    words = f"{found[0][1]['detail']} (step {found[0][1]['step']})"
    return Hit(words, tuple(figures.proof(gate) for figures, gate in found)[:SHOWN])


def _throughput(figures: Figures, step: int) -> Evidence:
    return figures.evidence(
        step,
        "throughput_qps",
        limit=figures.value(step, "offered_qps"),
        words="throughput against offered rate",
    )


def growing_queue(subject: Subject, *, hidden: bool) -> Answer:
    """Tell where requests pile up beyond saturation: in the service's queue, or unseen by it."""
    found = []
    for figures, step in subject.beyond():
        waiting, running = (
            figures.value(step, name, "mean") for name in ("queue_length", "requests_running")
        )
        flying = figures.value(step, "requests_in_flight", "mean")
        if not math.isfinite(waiting + running + flying):
            continue
        unseen = flying - waiting - running > max(5.0, flying / 2)
        if unseen is hidden:
            found.append((figures, step, waiting, flying))
    if not found:
        return None
    figures, step, waiting, flying = found[0]
    words = (
        f"at step {step} {flying:.3g} requests were in flight, but the service told of "
        f"{waiting:.3g} that waited"
        if hidden
        else f"at step {step} {waiting:.3g} requests waited in the service on average, and no "
        "limit ended the queue's growth"
    )
    names = ("queue_length", "requests_running", "requests_in_flight")
    evidence = [f.evidence(s, name, "mean") for f, s, _, _ in found for name in names]
    return Hit(words, tuple(evidence[:SHOWN]))


RULES = (
    Rule(
        "no-rung-held",
        PROBLEM,
        "Not even the lowest rung is held",
        "every valid rung of a ladder lies beyond saturation",
        "No rate is known that the service can hold, nor its latency without a queue.",
        "The ladder begins above the capacity.",
        ("or let `load.search` find the rates",),
        too_high,
    ),
    Rule(
        "collapse",
        PROBLEM,
        "Throughput falls under overload",
        "throughput falls below 97 % of the best rung, beyond chance",
        "More load yields fewer answers: a peak may end in a standstill that outlasts it.",
        "Work is wasted on requests that wait too long: time-outs, retries, evicted caches, memory that is swapped, locks.",
        (
            "bound the queue, so that what can't be done in time is refused at once",
            "limit the requests that are worked on together",
            "keep the rate below the best stable rung",
        ),
        collapses,
    ),
    Rule(
        "requests-without-end",
        PROBLEM,
        "Requests did not end, though the service was not overloaded",
        "the gate `drained` failed in a step that is not beyond saturation",
        "They count as errors; were they slow, their latency is not known.",
        "They hang, or take longer than the drain.",
        (
            "raise `load.drain_timeout_seconds` above the longest answer",
            "look for them in the service's log",
        ),
        undrained,
    ),
    Rule(
        "queue-grows",
        LIMIT,
        "Beyond the capacity the queue grows without end",
        "a valid rung is beyond saturation, and its requests wait in the service's own queue",
        "There every request waits longer than the one before: latency is a function of time.",
        "More arrives than can be done, and the service refuses nothing.",
        ("bound the queue or refuse early, so that the answers that are given stay fast",),
        partial(growing_queue, hidden=False),
    ),
    Rule(
        "queue-is-hidden",
        ADVICE,
        "Requests wait where the service's metrics don't see them",
        "at a rung beyond saturation over half of the requests in flight (and over five) are neither running nor queued in the service's metrics",
        "Who watches the service by its own metrics takes it for less loaded than it is.",
        "They wait in the listen queue, for a thread or a connection, or in a proxy before it.",
        (
            "raise the limit on connections or HTTP threads of the service",
            "alert on latency seen by clients, not on the service's queue",
        ),
        partial(growing_queue, hidden=True),
    ),
    Rule(
        "ladder-too-low",
        ADVICE,
        "The ladder never saturates the service",
        "no valid rung of any ladder of two rungs or more is beyond saturation",
        "The capacity is bounded from below only, and what limits the service can't be told.",
        "The ladder ends below the capacity.",
        ("or let `load.search` find the capacity",),
        too_low,
    ),
    Rule(
        "ladder-too-high",
        ADVICE,
        "Most rungs lie beyond the capacity",
        "two or more rungs, and more than half, are over-saturated",
        "Time is spent where nothing but overload can be seen.",
        "The ladder was made for a faster service.",
        ("keep one rung beyond the capacity: it shows the knee",),
        mostly_beyond,
    ),
    Rule(
        "ladder-too-coarse",
        ADVICE,
        "The knee lies in a wide gap of the ladder",
        "the lowest rung beyond saturation is over twice the highest stable one",
        "Capacity rests on throughput under overload alone, and no latency near the knee is known.",
        "There is no rung between.",
        ("or let `load.search` close in on it",),
        too_coarse,
    ),
)
