"""Rules on objectives: which were missed, and by what."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity.figures import Evidence
from escalade.analysis.findings.rule import PROBLEM, Fine, Hit, Rule
from escalade.analysis.findings.subject import SHOWN, joined, proof_of
from escalade.analysis.kpis.catalogue import SHARES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.capacity.figures import Figures
    from escalade.analysis.findings.rule import Answer
    from escalade.analysis.findings.subject import Subject

DIED, OVERLOAD, FAILURES, WAITING = "died", "overload", "failures", "waiting"
PREFILL, DECODE, SERVICE = "prefill", "decode", "service"
TOO_LITTLE = "too little"
DOMINANT = 0.6
"""Share of the latency from which on a part of it dominates."""


def missed(subject: Subject, *, cause: str) -> Answer:
    """Fire when an objective that counts was missed by this cause."""
    rows = [
        row
        for row in subject.counted
        if row["verdict"] == "FAIL" and cause_of(row, subject) == cause
    ]
    if not rows:
        return None
    words = joined([f"{row['slo']} at {_rate(row)}: {row['reason']}" for row in rows])
    proofs = [proof_of(row, subject) for row in rows]
    for row in rows:
        proofs += _further(row, subject, cause)
    return Hit(words, tuple(proofs[:SHOWN]))


def all_hold(subject: Subject) -> Answer:
    """Fire when an objective that counts could not be judged at all; say when all hold."""
    rows = subject.counted
    if not rows:
        return None
    unjudged = [row for row in rows if row["verdict"] in ("INVALID", "NOT_RUN")]
    if unjudged:
        words = joined([f"{row['slo']} at {_rate(row)}: {row['reason']}" for row in unjudged])
        return Hit(words, tuple(proof_of(row, subject) for row in unjudged[:SHOWN]))
    held = [row for row in rows if row["verdict"] == "PASS"]
    if len(held) < len(rows):
        return None
    words = joined([f"{row['slo']} holds at {_rate(row)}" for row in held])
    return Fine(words)


def _rate(row: Mapping[str, Any]) -> str:
    rate = row.get("target_qps")
    return f"step {row['step']}" if rate is None else f"{rate:g} requests/s"


def cause_of(row: Mapping[str, Any], subject: Subject) -> str:
    """Say why an objective was missed at a step, by what was measured there and below."""
    step, cells = int(row["step"] or 0), subject.of(row["cell"])
    ends = [
        str(outcome.get("outcome"))
        for figures in cells
        for outcome in figures.data.steps
        if int(outcome["step"]) == step
    ]
    if "service_failed" in ends:
        return DIED
    if 2 * sum(_overloaded(figures, step) for figures in cells) >= len(cells):
        return OVERLOAD
    if _fails(row, step, cells):
        return FAILURES
    if row.get("at_least"):
        return TOO_LITTLE
    lowest = _lowest(row, cells)
    if lowest and sum(lowest) / len(lowest) <= row["limit"]:
        return WAITING
    return _dominant(row, cells)


def _overloaded(figures: Figures, step: int) -> bool:
    high = figures.capacity.get("ci_high")
    rate = figures.levels[step].qps if step in figures.levels else math.nan
    gate = figures.gate(step, "over_saturation").get("outcome") == "fail"
    return gate or (high is not None and rate > high)


def _fails(row: Mapping[str, Any], step: int, cells: Sequence[Figures]) -> bool:
    """Tell whether failed requests alone put the statistic beyond its limit."""
    if row["metric"] == "error_ratio":
        return True
    share = SHARES.get(str(row["stat"]))
    failed = [figures.value(step, "error_ratio") for figures in cells]
    return share is not None and any(value >= 1 - share for value in failed)


def _lowest(row: Mapping[str, Any], cells: Sequence[Figures]) -> list[float]:
    """Give the statistic at the lowest stable rung of each cell, where that is not the judged one."""
    found = [
        figures.value(figures.stable[0].step, str(row["metric"]), str(row["stat"]))
        for figures in cells
        if figures.stable and figures.stable[0].step != row["step"]
    ]
    return [value for value in found if math.isfinite(value)]


def _dominant(row: Mapping[str, Any], cells: Sequence[Figures]) -> str:
    """Say which part of an answer takes the time that no queue explains."""
    if row["metric"] == "ttft_seconds":
        return PREFILL
    if row["metric"] in ("itl_seconds", "tpot_seconds"):
        return DECODE
    shares = [share for figures in cells for share in [first_share(figures)] if share > 0]
    if not shares or max(tokens_of(cells), default=0.0) < 2:
        return SERVICE
    share = sum(shares) / len(shares)
    return PREFILL if share >= DOMINANT else DECODE if 1 - share >= DOMINANT else SERVICE


def first_share(figures: Figures) -> float:
    """Give time to first token / latency, medians at the lowest stable rung; NaN when unknown."""
    if not figures.stable:
        return math.nan
    step = figures.stable[0].step
    first, whole = (
        figures.value(step, name, "p50") for name in ("ttft_seconds", "latency_seconds")
    )
    return first / whole if whole > 0 else math.nan


def tokens_of(cells: Sequence[Figures]) -> list[float]:
    """Give the tokens of an answer, mean at the lowest stable rung of each cell where known."""
    found = [
        figures.value(figures.stable[0].step, "output_tokens", "mean")
        for figures in cells
        if figures.stable
    ]
    return [value for value in found if math.isfinite(value)]


def _further(row: Mapping[str, Any], subject: Subject, cause: str) -> list[Evidence]:
    """Give the numbers from which the cause was read."""
    step, found = int(row["step"] or 0), []
    for figures in subject.of(row["cell"]):
        if cause == OVERLOAD and (gate := figures.gate(step, "over_saturation")):
            found.append(figures.proof(gate))
        if cause == FAILURES:
            found.append(figures.evidence(step, "error_ratio"))
            found += [
                _class(figures, step, each.value, each.source)
                for each in figures.rows(step, "failed_requests")
            ]
        if not figures.stable:
            continue
        lowest = figures.stable[0].step
        if cause == WAITING:
            metric, stat = str(row["metric"]), str(row["stat"])
            found.append(figures.evidence(lowest, metric, stat, "at the lowest rung"))
        if cause in (PREFILL, DECODE, SERVICE):
            found.append(figures.evidence(lowest, "ttft_seconds", "p50", "at the lowest rung"))
            found.append(figures.evidence(lowest, "latency_seconds", "p50", "at the lowest rung"))
    return found


def _class(figures: Figures, step: int, count: float, source: str) -> Evidence:
    return Evidence(
        "failed_requests", "value", figures.name, step, count, "requests", source=source
    )


RULES = (
    Rule(
        "objective-not-judged",
        PROBLEM,
        "An objective could not be judged",
        "an objective that names its rate is INVALID or NOT_RUN",
        "Nothing is known about it: neither kept nor missed.",
        "The step did not run, or an instrument failed while it did.",
        ("see the other problems of these steps, then repeat them",),
        all_hold,
    ),
    Rule(
        "missed-as-the-service-died",
        PROBLEM,
        "An objective is missed: the service died",
        "an objective that names its rate is missed, and the service failed in its step",
        "What the service left unanswered counts as missed.",
        "The service ended under this load; its log, in the report, has the last lines.",
        ("give it more memory, or lower what it holds at once (slots, context, cache)",),
        partial(missed, cause=DIED),
    ),
    Rule(
        "missed-by-overload",
        PROBLEM,
        "An objective is missed: the rate is beyond the capacity",
        "an objective that names its rate is missed in a step that is over-saturated or beyond the capacity's interval",
        "Requests pile up for as long as the rate lasts; no tuning of latency helps at this rate.",
        "The service can't do as many requests per second; what limits it stands under the limits.",
        (
            "raise what limits it, or spread the load over replicas",
            "hold the objective at a rate below `slo_capacity_qps`",
        ),
        partial(missed, cause=OVERLOAD),
    ),
    Rule(
        "missed-by-failures",
        PROBLEM,
        "An objective is missed: requests fail",
        "an objective that names its rate is missed below the capacity, on the error ratio or because the percentile lies among failed requests",
        "Answers that never came count as infinitely late.",
        "See the findings on errors for their class.",
        ("look at the service's log at these times",),
        partial(missed, cause=FAILURES),
    ),
    Rule(
        "missed-by-waiting",
        PROBLEM,
        "An objective is missed: requests wait for each other",
        "an objective that names its rate is missed below the capacity, and the same statistic keeps the limit at the lowest rung",
        "An answer alone is fast enough; at this rate it waits for others, or shares the machine with them.",
        "Queueing: the nearer to the capacity, the longer the waits, long before it is reached.",
        (
            "lower the rate for each replica, or raise the capacity",
            "allow fewer requests at once if the objective is on time per token, more if it is on time to first token",
        ),
        partial(missed, cause=WAITING),
    ),
    Rule(
        "missed-by-prefill",
        PROBLEM,
        "An objective is missed: reading the prompt takes the time",
        "an objective that names its rate is missed even at the lowest rung, and the time to first token is 60 % of the latency or more, or what it judges",
        "Even an answer alone is too slow: the time goes before the first token.",
        "Prefill is bound by compute: it grows with the tokens of the prompt.",
        (
            "shorten prompts, or let a prefix cache keep what they share",
            "use more compute for prefill: threads, a larger batch, a GPU, chunked prefill",
        ),
        partial(missed, cause=PREFILL),
    ),
    Rule(
        "missed-by-decode",
        PROBLEM,
        "An objective is missed: generating the tokens takes the time",
        "an objective that names its rate is missed even at the lowest rung, and the tokens after the first take 60 % of the latency or more, or what it judges",
        "Even an answer alone is too slow: the time goes between its tokens.",
        "Decoding reads the whole model for each token: it is bound by memory bandwidth.",
        (
            "use a smaller or more quantised model, or speculative decoding",
            "ask for fewer tokens",
            "use memory with more bandwidth: another machine, or more of its channels",
        ),
        partial(missed, cause=DECODE),
    ),
    Rule(
        "missed-by-service-time",
        PROBLEM,
        "An objective is missed: one request alone takes too long",
        "an objective that names its rate is missed even at the lowest rung, and no part of the answer dominates or is known",
        "No queue explains it: the service needs this long for a request.",
        "The work of one request, or what the service itself waits for.",
        ("profile one request; look at what the service calls",),
        partial(missed, cause=SERVICE),
    ),
    Rule(
        "missed-by-too-little",
        PROBLEM,
        "An objective is missed: less was attained than asked for",
        "an objective with a lower limit (`at_least`) that names its rate is missed below the capacity, and not by failed requests",
        "The service keeps up with the rate, but what is asked of its answers it does not give.",
        "Of a rate of good answers: they come too late for the objective that it counts. Of tokens or bytes: answers are shorter than planned for. Of recall: the index searches too little.",
        (
            "look at the objective on latency that the goodput is within",
            "for recall raise what a search looks at (`ef_search`, `probes`)",
        ),
        partial(missed, cause=TOO_LITTLE),
    ),
)
