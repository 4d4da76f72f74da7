"""Rules on the measuring itself: whether the figures are the service's."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING

from escalade.analysis.capacity.figures import Evidence
from escalade.analysis.findings.caches import cached_figure
from escalade.analysis.findings.rule import ADVICE, PROBLEM, Fine, Hit, Rule, Unseen
from escalade.analysis.findings.subject import SHOWN, by_chance, by_gates, proof_of
from escalade.analysis.gates.gate import CLIENT
from escalade.analysis.stats.intervals import MIN_REPETITIONS

if TYPE_CHECKING:
    from escalade.analysis.findings.rule import Answer
    from escalade.analysis.findings.subject import Subject

CACHED = 0.2
"""Share of cached input tokens beyond which a cache answers for the model."""
REPEATED = ("shared_prefix", "conversation", "prompts")
"""What of a workload makes prompts begin alike on purpose."""
SPREAD = 1.25
"""Largest over smallest value of the repetitions from which on they differ."""
COMPARING = 7
"""Repetitions with which a change of 10 % is found in most cases."""


def cached_answers(subject: Subject) -> Answer:
    """Look for answers out of a cache where every prompt is to be another one."""
    if any(part.get(name) for part in subject.parts for name in REPEATED):
        return None
    known = [
        Evidence(metric, "value", figures.name, step, found.value, "ratio", CACHED, found.source)
        for figures, step in subject.stable()
        for metric, found in [cached_figure(figures, step)]
        if math.isfinite(found.value)
    ]
    if not known:
        return Unseen("the service does not tell how many tokens were cached")
    most = max(known, key=lambda each: each.value)
    if most.value <= CACHED:
        return Fine(f"at most {100 * most.value:.2g} % of the input tokens came from a cache")
    words = f"{100 * most.value:.2g} % of the input tokens came from a cache at step {most.step}"
    over = tuple(each for each in known if each.value > CACHED)
    return Hit(f"{words}, though the prompts are distinct", over[:SHOWN])


def too_few_requests(subject: Subject) -> Answer:
    """Look for objectives that more requests would decide."""
    rows = subject.objectives
    if not rows:
        return None
    open_ones = [
        row
        for row in rows
        if row["verdict"] == "INCONCLUSIVE" and "more requests would decide" in row["reason"]
    ]
    if not open_ones:
        return Fine("no objective waits for more requests")
    first = open_ones[0]
    return Hit(
        f"{len(open_ones)} of {len(rows)} verdicts are open for lack of requests: {first['slo']} at "
        f"step {first['step']}: {first['reason']}",
        tuple(proof_of(row, subject) for row in open_ones[:SHOWN]),
    )


def too_few_repetitions(subject: Subject) -> Answer:
    """Look for verdicts that more repetitions would decide, or that need any at all."""
    count = len(subject.cells)
    open_ones = [
        row
        for row in subject.objectives
        if row["verdict"] == "INCONCLUSIVE" and "more repetitions" in row["reason"]
    ]
    proofs = tuple(proof_of(row, subject) for row in open_ones[:SHOWN])
    if open_ones:
        first = open_ones[0]
        words = f"{first['slo']} at step {first['step']} is open: {first['reason']}"
        return Hit(words, proofs)
    if count >= MIN_REPETITIONS:
        return Fine(f"{count} repetitions, each with a start of the service of its own")
    words = f"{count} repetition{'s' * (count > 1)}: {MIN_REPETITIONS - count} more are needed"
    evidence = Evidence(
        *("repetitions", "value", subject.cells[0].name, 0, float(count), "", MIN_REPETITIONS),
        "campaign.resolved.yaml",
        "repetitions with a start of their own",
    )
    return Hit(f"{words} for a verdict on the deployment", (evidence,))


def repetitions_differ(subject: Subject) -> Answer:
    """Look for a median latency that differs between repetitions beyond their intervals."""
    if len(subject.cells) < MIN_REPETITIONS:
        return None
    common = set.intersection(*({*figures.calm} for figures in subject.cells))
    far: list[Evidence] = []
    for step in sorted(common):
        rows = [
            each
            for figures in subject.cells
            if math.isfinite((each := figures.figure(step, "latency_seconds", "p50")).value)
        ]
        if len(rows) < MIN_REPETITIONS:
            continue
        least, most = (choose(rows, key=lambda each: each.value) for choose in (min, max))
        if most.value > SPREAD * least.value and most.low > least.high:
            far += [figures.evidence(step, "latency_seconds", "p50") for figures in subject.cells]
    if not common:
        return Unseen("no step below the capacity is valid in every repetition")
    steps = sorted({each.step for each in far})
    if 2 * len(steps) <= len(common):
        return Fine("medians of the repetitions agree")
    values = [each.value for each in far if each.step == steps[0]]
    words = (
        f"the median latency of step {steps[0]} is {min(values):.3g} to {max(values):.3g} s over "
        f"{len(values)} repetitions, beyond what each one's interval allows; so in "
        f"{len(steps)} of {len(common)} steps"
    )
    return Hit(words, tuple(far[:SHOWN]))


RULES = (
    Rule(
        "client-limited",
        PROBLEM,
        "The load generator was the limit",
        "a gate of the load generator failed in any step: late sends, sent rate, gaps, backlog, CPU, suspension, turnaround",
        "These steps are INVALID: they show what the client could send, not what the service can answer.",
        "A process of the client can use one core. It was busy, robbed of its core, or stopped.",
        (
            "raise `load.workers`, each worker with a core of its own",
            "give the client more cores, or a node of its own",
            "end what else runs on the client's cores",
        ),
        partial(by_gates, names=sorted(CLIENT), words="the load generator kept up in every step"),
    ),
    Rule(
        "neighbours",
        PROBLEM,
        "Other programs used the service's CPUs",
        "the gate `neighbours` failed in any step: others used over 10 % of the service's CPUs",
        "These steps are INVALID: the service was robbed of CPU time, and looks slower than it is.",
        "Something else ran on the same cores: a job of another user, a build, an indexer, the kernel's own work.",
        (
            "end it, or use an allocation that is not shared (`--exclusive`)",
            "measure these cells again: `escalade run` with `execution.attempts` raised",
        ),
        partial(by_gates, names=("neighbours",), words="nothing else used the service's CPUs"),
    ),
    Rule(
        "stolen-cpu-time",
        PROBLEM,
        "The hypervisor gave the CPUs to others",
        "the gate `steal` failed in any step: over 5 % of the CPU time was stolen",
        "Latency holds pauses that are not the service's; capacity is that of what was left of the machine.",
        "This is a virtual machine on a host that is shared and busy.",
        (
            "measure on a dedicated host or on bare metal",
            "repeat at a quieter time, and compare repetitions before you believe a difference",
        ),
        partial(by_gates, names=("steal",), words="the hypervisor took hardly any CPU time"),
    ),
    Rule(
        "counts-disagree",
        PROBLEM,
        "Client and server counted differently",
        "the gate `client_server_agreement` failed in any step: the counts differ by over 1 %",
        "One of them is wrong about what was done, so that no figure of these steps can be trusted.",
        "Requests that others send to the same service, retries in a proxy, a counter with another meaning in this version of the service, or answers that were cut off.",
        (
            "see that nobody else uses the service",
            "look at the service's metrics page: does the recipe map the right counter for this version?",
        ),
        partial(
            by_gates,
            names=("client_server_agreement",),
            words="client and server counted the same",
        ),
    ),
    Rule(
        "scrape-holes",
        PROBLEM,
        "Prometheus missed scrapes",
        "a gate `scrape_coverage` or `scrape_gap` failed in any step",
        "What the service used in the holes is not known; these steps are INVALID.",
        "A metrics page took longer than the scrape interval, a target died, or the monitoring had no CPU time.",
        (
            "look at `up` and `scrape_duration_seconds` of the target in series.parquet",
            "lengthen `monitoring.scrape_interval_seconds`, or give the monitoring a core of its own",
        ),
        partial(
            by_gates,
            names=("scrape_coverage", "scrape_gap"),
            words="every target was scraped without a hole",
        ),
    ),
    Rule(
        "not-idle-at-start",
        PROBLEM,
        "A step began before the one before it was over",
        "the gate `started_idle` failed in any step",
        "Requests of the step before were still in the service, and slowed down those of this one.",
        "The step before was beyond the capacity, and its queue outlived the drain.",
        ("raise `load.drain_timeout_seconds` or `load.cooldown_seconds`",),
        partial(by_gates, names=("started_idle",), words="every step began with an idle service"),
    ),
    Rule(
        "cached-answers",
        PROBLEM,
        "A prompt cache answered for the model",
        "over 20 % of the input tokens came from a cache, though neither `shared_prefix` nor `conversation` nor given prompts make them begin alike",
        "Prefill was skipped: time to first token and throughput are better than for prompts that are new.",
        "The service keeps prompts of earlier requests, and the drawn ones begin alike: a long system prompt of a chat template does that.",
        (
            "set the recipe's chat template to one without a system prompt, or turn the service's prompt cache off",
            "if users' prompts do share a beginning, say so by `workload.shared_prefix`",
        ),
        cached_answers,
    ),
    Rule(
        "warm-up-too-short",
        PROBLEM,
        "The warm-up is too short",
        "`warm_up` (MSER-5) failed, in more steps below 80 % of the capacity than chance explains",
        "The beginning of the windows is of another state: figures of a longer window would differ.",
        "Caches, compilation, clocks or connections were still getting ready when the window began.",
        ("lengthen `load.warmup_seconds`, or the `warmup_seconds` of the first rung",),
        partial(
            by_chance,
            name="warm_up",
            chance=0.005,
            words="windows begin in the state that they keep",
        ),
    ),
    Rule(
        "latency-falls",
        PROBLEM,
        "Latency was still falling",
        "`steadiness` failed with falling latency, in more steps below 80 % of the capacity than chance explains",
        "The mean of the window is above what the service settles at.",
        "It was still warming up: caches, compilation, clocks that rise.",
        ("lengthen `load.warmup_seconds`",),
        partial(
            by_chance,
            name="steadiness",
            chance=0.005,
            rises=False,
            words="latency did not fall over the windows",
        ),
    ),
    Rule(
        "latency-rises",
        PROBLEM,
        "Latency rose at a constant rate",
        "`steadiness` failed with rising latency, in more steps below 80 % of the capacity than chance explains",
        "A longer window would show more: the figures are a lower bound.",
        "Something fills up or heats up though the rate stays: a cache that is evicted, a log, memory, a clock that is throttled.",
        (
            "lengthen the window (`window_seconds`) until the latency settles, or is seen not to",
            "look at the memory and clock timelines of these steps",
        ),
        partial(
            by_chance,
            name="steadiness",
            chance=0.005,
            rises=True,
            words="latency did not rise over the windows",
        ),
    ),
    Rule(
        "littles-law",
        PROBLEM,
        "Requests in the system don't fit their times",
        "`littles_law` failed, in more steps below 80 % of the capacity than chance explains",
        "Times and counts contradict each other: some requests are missing from one of them.",
        "The window is no steady state, or requests were lost without an end.",
        ("lengthen the window", "look for requests without an end in requests.parquet"),
        partial(
            by_chance,
            name="littles_law",
            chance=0.005,
            words="requests in the system fit arrival rate and latency",
        ),
    ),
    Rule(
        "repetitions-differ",
        PROBLEM,
        "Repetitions differ by more than chance",
        "in most steps the median latency of the slowest repetition is over 1.25 times that of the fastest, and their intervals lie apart",
        "The start of the service decides about the figures: one run says little, and the interval over runs is wide.",
        "Placement of threads and memory (NUMA), another node, clocks that are throttled by heat, or a cache that some starts find warm.",
        (
            "compare node, clocks and CPU lists of the cells in environment.json",
            "pin the service, fix the clocks, and raise `repetitions`",
        ),
        repetitions_differ,
    ),
    Rule(
        "too-few-requests",
        ADVICE,
        "More requests would decide",
        "a verdict is INCONCLUSIVE and more requests would decide it",
        "The interval reaches across the limit, or does not end: neither PASS nor FAIL can be said.",
        "The window holds too few requests for this percentile; requests that wait for each other count for less than their number.",
        ("lengthen `window_seconds` of this rung by the factor that is named",),
        too_few_requests,
    ),
    Rule(
        "too-few-repetitions",
        ADVICE,
        "More repetitions are needed",
        "a deployment has fewer than three repetitions, or a verdict over them is INCONCLUSIVE",
        "What differs from run to run is not known: figures are of these runs only.",
        "The run, with its own start of the service, is what repeats; more requests in one run don't tell how runs differ.",
        (
            f"set `repetitions` to {MIN_REPETITIONS}, or to {COMPARING} to compare with another campaign",
        ),
        too_few_repetitions,
    ),
)
