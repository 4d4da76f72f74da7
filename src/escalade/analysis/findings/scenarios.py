"""Rules on what a scenario of the campaign showed: a stressor, a kill, hours of load, the standards."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity.figures import Evidence
from escalade.analysis.findings.rule import ADVICE, LIMIT, PROBLEM, Fine, Hit, Rule, Unseen
from escalade.analysis.findings.subject import SHOWN, joined

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.findings.rule import Answer
    from escalade.analysis.findings.subject import Subject

SLOWED = 0.1
"""Share of the p90 without the stressor from which on what it adds is told."""
MORE_ERRORS = 0.01
"""Share of requests that fail beside the stressor only, from which on it is told."""
HELD = 0.99
"""Share of the load that the other copies answer at least while one is away."""
VERDICTS = "verdicts.json"
_MEMORY, _LATENCY = "service_memory_bytes", "latency_seconds"


def slowed(subject: Subject) -> Answer:
    """Look for steps that are slower beside the stressor, by a share that matters."""
    rows = subject.section("contention")
    sure = [row for row in rows if row["status"] != "undecided"]
    if not sure:
        return Unseen(f"beside its stressor {rows[0]['words']}") if rows else None
    over = [row for row in sure if row["status"] == "slower" and _share(row) > SLOWED]
    if not over:
        return Fine(f"beside {sure[0]['stressor']} no step is slower by over {SLOWED:.0%}")
    worst = max(over, key=_share)
    return Hit(
        f"beside {worst['stressor']}, step {worst['step']} is slower than {worst['against']}: "
        f"{worst['words']}; so in {len(over)} of {len(sure)} steps",
        tuple(
            _proof(row, "contention", "difference_seconds", "s", limit=SLOWED * row["p90_without"])
            for row in over[:SHOWN]
        ),
    )


def _share(row: Mapping[str, Any]) -> float:
    """Give what the stressor adds at least, as a share of the p90 without it; 0 where that is not known."""
    low, usual = row["ci_low"], row["p90_without"]
    return float(low) / float(usual) if low is not None and usual else 0.0


def fails_beside(subject: Subject) -> Answer:
    """Look for requests that fail beside the stressor only."""
    rows = [
        row
        for row in subject.section("contention")
        if row["error_ratio_beside"] is not None and row["error_ratio_without"] is not None
    ]
    over = [
        row for row in rows if row["error_ratio_beside"] - row["error_ratio_without"] > MORE_ERRORS
    ]
    if not rows:
        return None
    if not over:
        return Fine("hardly more requests fail beside the stressor than without it")
    worst = max(over, key=lambda row: float(row["error_ratio_beside"]))
    return Hit(
        f"at step {worst['step']} {worst['error_ratio_beside']:.2%} of the requests failed beside "
        f"{worst['stressor']}, {worst['error_ratio_without']:.2%} without it",
        tuple(
            _proof(row, "contention", "error_ratio_beside", "ratio", limit=MORE_ERRORS)
            for row in over[:SHOWN]
        ),
    )


def stays_dead(subject: Subject) -> Answer:
    """Look for services that were started again after the kill and did not come back."""
    rows = [row for row in _kills(subject) if row["restarted_seconds"] is not None]
    dead = [row for row in rows if row["status"] == "stays dead" or _never_back(row)]
    if not rows:
        return None
    if not dead:
        undecided = [row for row in rows if row["status"] == "undecided"]
        if len(undecided) == len(rows):
            return Unseen(f"what became of it after the kill is undecided: {rows[0]['words']}")
        return Fine("it came back whenever it was started again")
    return Hit(
        f"in {len(dead)} of {len(rows)} cells it did not come back: {dead[0]['words']}",
        tuple(
            _proof(row, "recovery", "restarted_seconds", "s", words="started again")
            for row in dead[:SHOWN]
        ),
    )


def _never_back(row: Mapping[str, Any]) -> bool:
    """Tell whether the copy that was killed gave no good answer any more."""
    return row.get("held_ratio") is not None and row.get("back_seconds") is None


def costly_kill(subject: Subject) -> Answer:
    """Tell what a kill costs, where it costs requests."""
    rows = [row for row in _kills(subject) if row["status"] != "undecided"]
    if not rows:
        why = "the kill decided nothing: "
        kills = _kills(subject)
        return Unseen(f"{why}{kills[0]['words']}") if kills else None
    lossy = [row for row in rows if row["lost"]]
    if not lossy:
        return Fine("a kill cost no request")
    worst = max(lossy, key=lambda row: int(row["lost"]))
    held = worst.get("held_ratio")
    if held is not None and held >= HELD:
        share = f"{100 * held:.3g} % of the load was answered meanwhile"
        return Fine(f"a kill cost what was in flight, {worst['lost']} requests; {share}")
    return Hit(
        worst["words"],
        tuple(
            _proof(row, "recovery", "lost", "requests", words=str(row["status"]))
            for row in lossy[:SHOWN]
        ),
        _against_loss(subject, alone=held is None),
    )


def _against_loss(subject: Subject, *, alone: bool) -> tuple[str, ...]:
    if alone:
        return ("give the deployment `replicas: 2` and `failover: true`, and see what is left",)
    if any(figures.data.deployed.get("failover") for figures in subject.cells):
        return (
            "one copy can't carry the load of all: give it more copies, or more of the machine",
        )
    return (
        "set `failover: true`, or have clients reach it over something that leaves out the dead",
    )


def grows(subject: Subject, *, quantity: str, words: str) -> Answer:
    """Look for a quantity that grows over hours."""
    rows = [row for row in subject.section("stability") if row["quantity"] == quantity]
    if not rows:
        return None
    over = [row for row in rows if row["status"] == "grows"]
    if over:
        worst = max(over, key=lambda row: float(row["slope_per_hour"] / row["level"]))
        return Hit(
            f"step {worst['step']}: {worst['words']}",
            tuple(
                _proof(row, "stability", "slope_per_hour", f"{row['unit']}/h", name=quantity)
                for row in over[:SHOWN]
            ),
        )
    steady = [row for row in rows if row["status"] == "steady"]
    if steady:
        return Fine(words)
    unscraped = subject.unmonitored and quantity == _MEMORY
    return Unseen(f"it is undecided whether it grows: {rows[0]['words']}", unscraped=unscraped)


def short_of_standards(subject: Subject) -> Answer:
    """Look for steps that fall short of what the campaign declares as its standards."""
    names = {figures.name for figures in subject.cells}
    rows = [row for row in subject.everything("standards") if row["cell"] in {None, *names}]
    short = [row for row in rows if row["outcome"] == "short"]
    if not rows:
        return None
    if short:
        return Hit(
            f"{len(short)} of {len(rows)} checks are short: {joined([row['words'] for row in short[:3]])}",
            tuple(
                Evidence(
                    *(f"standard {row['standard']}", "", str(row["cell"] or "")),
                    int(row["step"] or 0),
                    math.nan if row["found"] is None else float(row["found"]),
                    *(row["unit"], math.nan if row["wanted"] is None else float(row["wanted"])),
                    *(VERDICTS, row["words"]),
                )
                for row in short[:SHOWN]
            ),
        )
    unknown = [row for row in rows if row["outcome"] == "unknown"]
    if unknown:
        return Unseen(unknown[0]["words"])
    return Fine("every step keeps the standards of the campaign")


def _kills(subject: Subject) -> Sequence[Mapping[str, Any]]:
    """Give the kills of single cells; what joins repetitions has no cell."""
    return [row for row in subject.section("recovery") if row["cell"] is not None]


def _proof(
    row: Mapping[str, Any],
    section: str,
    key: str,
    unit: str,
    *,
    name: str = "",
    limit: float = math.nan,
    words: str = "",
) -> Evidence:
    """Give a figure of a section's row as evidence."""
    value = row[key]
    return Evidence(
        *(f"{section} {name or key}", "", str(row.get("cell") or ""), int(row["step"] or 0)),
        *(math.nan if value is None else float(value), unit, limit, VERDICTS),
        words or str(row["words"]),
    )


RULES_OF_PROBLEMS = (
    Rule(
        "stays-dead",
        PROBLEM,
        "It did not come back after the kill",
        "the service, or the copy of it that was killed, was started again and gave no good answer until the end of the step",
        "Whoever relies on its being started again waits in vain.",
        "It needs longer to start than the step lasted, or what it left behind keeps it from starting: a lock, a file, memory of a GPU that is not free yet.",
        (
            "read its log after the kill",
            "lengthen the window of the step beyond the time of its start",
        ),
        stays_dead,
    ),
    Rule(
        "fails-beside-the-stressor",
        PROBLEM,
        "Requests fail beside a busy neighbour",
        "over 1 % of the requests of a step fail beside the stressor, more than without it",
        "A neighbour does not slow it down only: it breaks promises.",
        "What it needs came too late: time-outs, memory that was not given, a disk that did not answer.",
        (
            "give the service CPUs, memory or a disk of its own",
            "bound its queue by the time that a request has waited",
        ),
        fails_beside,
    ),
    Rule(
        "memory-leaks",
        PROBLEM,
        "Memory grows over hours",
        "`stability` says of the service's memory that it grows: its slope, with the interval, is above what is tolerated",
        "In the long run it will end at its limit: the service is killed, or swaps.",
        "Something is kept for each request: a leak, a cache or a log without bound.",
        ("bound the service's caches", "start it again before it gets there, and see what is kept"),
        partial(grows, quantity=_MEMORY, words="memory does not grow beyond what is tolerated"),
    ),
    Rule(
        "latency-drifts",
        PROBLEM,
        "Latency drifts over hours",
        "`stability` says of the latency that it grows: its slope, with the interval, is above what is tolerated",
        "Figures of a short window are better than what users see after a day.",
        "Caches that are evicted, files or tables that grow, memory that fragments, clocks that are throttled by heat.",
        (
            "look at memory, clocks and disk over the same time",
            "see whether a new start takes it back",
        ),
        partial(grows, quantity=_LATENCY, words="latency does not drift beyond what is tolerated"),
    ),
)

RULES = (
    Rule(
        "slowed-by-the-stressor",
        LIMIT,
        "A busy neighbour slows it down",
        "a step is slower beside the stressor, by over 10 % of the p90 without it even at the lower end of the interval",
        "On a machine that is shared, its latency is that of its neighbours' good will.",
        "Both need the same: time of the CPUs, bandwidth of the memory, the disk.",
        (
            "give the service CPUs, memory or a disk of its own (an exclusive allocation, pinning, limits for the neighbour)",
            "measure a `stress` of another kind, to see which of them it is",
        ),
        slowed,
    ),
    Rule(
        "a-kill-costs-requests",
        LIMIT,
        "A kill costs requests",
        "requests failed after the kill, and no other copies answered 99 % of the load meanwhile",
        "For as long as it takes to come back, users get errors.",
        "Nothing else answers in the place of what was killed, or it can't carry the load of all.",
        (),
        costly_kill,
    ),
    Rule(
        "short-of-standards",
        ADVICE,
        "The campaign's own standards are not kept",
        "a check of the section `standards` is short",
        "Its figures rest on less than was declared to be the least.",
        "Windows or warm-ups are too short for the rate, or an objective judges a mean.",
        ("lengthen `window_seconds` and `load.warmup_seconds`, or judge a percentile",),
        short_of_standards,
    ),
)
