"""Rules on how the service behaves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity.figures import Evidence
from escalade.analysis.findings.caches import cached_figure
from escalade.analysis.findings.rule import ADVICE, PROBLEM, Fine, Hit, Rule, Unseen
from escalade.analysis.findings.subject import SHOWN, joined
from escalade.analysis.kpis.readings import label_of
from escalade.analysis.kpis.steps import FIRST_TURN, LATER_TURNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.capacity.figures import Figure, Figures
    from escalade.analysis.findings.rule import Answer
    from escalade.analysis.findings.subject import Subject

GROWING_SECONDS = 60.0
"""Length of a window from which on growth of the memory can be told from a start."""
HOUR = 3600.0
GROWTH = 0.2
"""Growth of the memory in an hour, as a share of it, from which on it is told."""
DISTURBED = 1.5
HARDWARE = ("memory bandwidth", "arithmetic", "network", "disk")
"""Kinds of upper bounds that the hardware sets; what is configured is no such bound."""
FAR = 0.3
"""Share of an upper bound below which there is much to gain."""
LOW_CACHE = 0.5
"""Share of what could be cached that is expected at least."""
WORTHWHILE = 0.2


def failed(subject: Subject) -> Answer:
    """Fire when the service failed."""
    found = [
        (figures, int(outcome["step"]), str(outcome.get("cause") or "no cause was recorded"))
        for figures in subject.cells
        for outcome in figures.data.steps
        if outcome.get("outcome") == "service_failed"
    ]
    never = [
        (figures, 0, str(figures.data.cell.get("cause") or "no cause was recorded"))
        for figures in subject.cells
        if figures.data.cell.get("outcome") == "failed"
        and not any(f is figures for f, _, _ in found)
    ]
    all_of = [*found, *never]
    if not all_of:
        return Fine("the service started and lived in every repetition")
    _, step, cause = all_of[0]
    where = f"at step {step}" if step else "before its first step"
    words = f"in {len(all_of)} of {len(subject.cells)} cells the service failed: {where}, {cause}"
    memory = any(mark in cause.lower() for mark in ("out_of_memory", "out of memory", "sigkill"))
    proofs = tuple(
        Evidence("outcome of the step", "", f.name, s, math.nan, "", math.nan, "windows.json", c)
        for f, s, c in all_of
    )
    advice = ("give it more memory: it was killed as one that takes too much is",) if memory else ()
    return Hit(words, proofs[:SHOWN], advice)


def growing_memory(subject: Subject) -> Answer:
    """Fire when memory grows in every longer window at a constant rate."""
    looked = []
    for figures, step in subject.stable():
        window = figures.window(step)
        growth = figures.figure(step, "service_memory_growth_bytes_per_second")
        level = figures.value(step, "service_memory_bytes", "mean")
        if window is not None and window.seconds >= GROWING_SECONDS and level > 0:
            looked += [(figures, step, growth, level)] if math.isfinite(growth.value) else []
    if len(looked) < 2:
        why = "fewer than two windows of a minute or more have samples of the memory"
        return Unseen(why, unscraped=subject.unmonitored)
    over = [each for each in looked if each[2].low > 0 and each[2].value * HOUR > GROWTH * each[3]]
    if len(over) < len(looked):
        return Fine("memory does not keep growing at a constant rate")
    figures, step, growth, level = over[-1]
    words = (
        f"in each of {len(looked)} windows the service's memory grew; at step {step} by "
        f"{growth.value * HOUR / 1e6:.3g} MB in an hour, {100 * growth.value * HOUR / level:.2g} % of it"
    )
    metric = "service_memory_growth_bytes_per_second"
    return Hit(words, tuple(f.evidence(s, metric) for f, s, _, _ in over)[:SHOWN])


def long_prompts(subject: Subject) -> Answer:
    """Fire when tokens come later while a long prompt is read."""
    metric = "long_prompt_slowdown_ratio"
    looked = [
        (figures, step, figures.figure(step, metric))
        for figures, step in subject.stable()
        if math.isfinite(figures.value(step, metric))
    ]
    if not looked:
        return None
    over = [each for each in looked if each[2].low > DISTURBED]
    if not over:
        return Fine("tokens come hardly later while a long prompt is read")
    _, step, most = max(over, key=lambda each: each[2].value)
    words = (
        f"while a long prompt was read, the gaps between the tokens of other answers were "
        f"{most.value:.3g} [{most.low:.3g}, {most.high:.3g}] times as long (step {step})"
    )
    return Hit(words, tuple(f.evidence(s, metric, limit=DISTURBED) for f, s, _ in over)[:SHOWN])


def low_cache(subject: Subject) -> Answer:
    """Fire when prompts begin alike on purpose and the cache yields little."""
    expected = [
        part for part in subject.parts if part.get("shared_prefix") or part.get("conversation")
    ]
    if not expected or len(subject.parts) > 1:
        return None
    looked = [_cacheable(subject.parts[0], *place) for place in subject.stable()]
    held = [each for each in looked if isinstance(each, Evidence)]
    if not looked:
        return Unseen("no step is valid and below saturation")
    if not held:
        unknown = [each.why for each in looked if isinstance(each, Unseen)]
        little = [each.words for each in looked if isinstance(each, Fine)]
        return Unseen(joined(unknown)) if unknown else Fine(joined(little))
    low = [each for each in held if each.value < each.limit]
    if len(low) < len(held):
        return Fine("what prompts share comes out of the cache")
    worst = min(low, key=lambda each: each.value)
    words = (
        f"{100 * worst.value:.2g} % of the input tokens came from a cache at step {worst.step}, "
        f"where {100 * worst.limit / LOW_CACHE:.2g} % were sent before"
    )
    return Hit(words, tuple(low[:SHOWN]))


def _cacheable(part: Mapping[str, Any], figures: Figures, step: int) -> Evidence | Fine | Unseen:
    """Hold the cached share of a step against half of what was sent before; or say why not."""
    if part.get("conversation"):
        return _of_turns(figures, step)
    tokens = figures.value(step, "input_tokens", "mean")
    if not tokens > 0:
        return Unseen("it is not known how many tokens the prompts had")
    share = min(1.0, float(part["shared_prefix"].get("tokens") or 0) / tokens)
    if share < WORTHWHILE:
        return Fine(f"only {100 * share:.2g} % of the input tokens are shared: little is to gain")
    metric, found = cached_figure(figures, step)
    return _cached(figures, step, found, share, metric)


def _of_turns(figures: Figures, step: int) -> Evidence | Unseen:
    """Take what a first turn had for sent before: by later turns, or by all where these don't tell."""
    first, later = (
        _of_turn(figures, step, "input_tokens", "mean", turn) for turn in (FIRST_TURN, LATER_TURNS)
    )
    if first is None or later is None or not later.value > 0:
        return Unseen("it is not known how many tokens the first and the later turns had")
    again = _of_turn(figures, step, "cached_token_ratio", "value", LATER_TURNS)
    if again is not None:
        return _cached(figures, step, again, min(1.0, first.value / later.value))
    metric, found = cached_figure(figures, step)
    sent = first.n * first.value + later.n * later.value
    return _cached(figures, step, found, later.n * min(first.value, later.value) / sent, metric)


def _of_turn(figures: Figures, step: int, metric: str, stat: str, turn: str) -> Figure | None:
    label = label_of({"turn": turn})
    rows = figures.rows(step, metric, stat)
    return next((row for row in rows if row.source.endswith(label)), None)


def _cached(
    figures: Figures, step: int, found: Figure, share: float, metric: str = "cached_token_ratio"
) -> Evidence | Unseen:
    if not math.isfinite(found.value):
        return Unseen(
            "neither answers nor counters of the service tell how many tokens were cached"
        )
    where = metric, "value", figures.name, step, found.value, "ratio", LOW_CACHE * share
    return Evidence(*where, found.source, "half of what was sent before")


def far_from_bound(subject: Subject) -> Answer:
    """Fire when the best step of every cell is far below every upper bound of the hardware."""
    best: dict[str, Mapping[str, Any]] = {}
    for row in subject.section("bounds"):
        ratio = row.get("ratio") if row.get("kind") in HARDWARE else None
        name = f"the {row.get('kind')} bound of {row.get('name')}"
        if ratio is not None and ratio > (best[name]["ratio"] if name in best else -1.0):
            best[name] = row
    saturated = any(figures.knee is not None for figures in subject.cells)
    if not best or not saturated:
        return None
    far = [row for row in best.values() if row["ratio"] < FAR]
    if len(far) < len(best):
        words = [f"{100 * row['ratio']:.2g} % of {name}" for name, row in best.items()]
        return Fine(f"the service attains {', '.join(words)}")
    return Hit(joined([str(row.get("words") or "") for row in far]), _of_bounds(far))


def beyond_bound(subject: Subject) -> Answer:
    """Fire when more was attained than an upper bound allows."""
    rows = [row for row in subject.section("bounds") if row.get("exceeded")]
    if not rows:
        return None
    return Hit(joined([str(row.get("words") or "") for row in rows]), _of_bounds(rows))


def _of_bounds(rows: Sequence[Mapping[str, Any]]) -> tuple[Evidence, ...]:
    found = []
    for row in rows[:SHOWN]:
        place = str(row.get("cell") or ""), int(row.get("step") or 0)
        attained, value = (
            math.nan if row.get(key) is None else float(row[key]) for key in ("attained", "value")
        )
        unit, words = str(row.get("unit") or ""), str(row.get("words") or "")
        name = f"bound of {row.get('name')}"
        found.append(
            Evidence(name, "attained", *place, attained, unit, value, "verdicts.json", words)
        )
    return tuple(found)


RULES_OF_PROBLEMS = (
    Rule(
        "service-failed",
        PROBLEM,
        "The service failed",
        "the service died in a step, or never became ready",
        "What it left unanswered counts as missed; later steps of the cell were not run.",
        "The report has the last lines of its log.",
        ("read the log; then repeat the cell: `escalade run` with a higher `execution.attempts`",),
        failed,
    ),
    Rule(
        "memory-grows",
        PROBLEM,
        "Memory grows at a constant rate",
        "in all windows of a minute or more below saturation (two at least) memory grows beyond chance, by over 20 % of it in an hour",
        "In the long run it will end at its limit: the service is killed, or swaps.",
        "Something is kept for each request: a leak, a cache or a log without bound.",
        (
            "run one rung for hours, to see whether it levels off",
            "bound the service's caches",
        ),
        growing_memory,
    ),
)

RULES = (
    Rule(
        "long-prompts-disturb",
        ADVICE,
        "Long prompts hold up other answers",
        "`long_prompt_slowdown_ratio` lies above 1.5 with its interval in any step that is not beyond saturation",
        "Whoever reads an answer sees it stall whenever somebody else sends a long prompt.",
        "A prompt is read in one piece, and the steps of decoding wait for it.",
        (
            "let the service read prompts in smaller pieces (chunked prefill, a smaller batch for prompts)",
            "serve long prompts by a deployment of their own",
        ),
        long_prompts,
    ),
    Rule(
        "cache-yields-little",
        ADVICE,
        "What prompts share is read again and again",
        "prompts share a prefix or go on as conversations, and less than half of what was sent before came from a cache, in every step that is not beyond saturation",
        "Prefill is done for tokens whose state was there before.",
        "Prefix caching is off, the cache is too small, or a request goes to another slot or replica than the one before.",
        (
            "turn prefix caching on (`body: {cache_prompt: true}` for llama.cpp)",
            "give the cache more memory, or route conversations to where they began",
        ),
        low_cache,
    ),
    Rule(
        "far-from-bound",
        ADVICE,
        "Far from what the hardware can do",
        "the knee was reached, and the best step attains under 30 % of every upper bound of the hardware that is known",
        "The hardware is no reason for this capacity: there is much to gain.",
        "Small batches, waits between them, work on the CPU, or a limit that is configured.",
        ("remove the limits that are named here first", "profile the service at the knee"),
        far_from_bound,
    ),
    Rule(
        "beyond-bound",
        ADVICE,
        "More was attained than the hardware is said to allow",
        "a figure exceeds an upper bound beyond its interval",
        "An input of the bound is wrong, so that how far the service is from it is not known.",
        "The hardware's figure is that of another machine, or what is read for each request was overestimated.",
        ("check the inputs of the bound and their sources (docs/bounds.md)",),
        beyond_bound,
    ),
)
