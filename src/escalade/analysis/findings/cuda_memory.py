"""Rules on CUDA memory, where a PyTorch service counts what became of its allocations."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from escalade.analysis.capacity.figures import Evidence
from escalade.analysis.findings.rule import LIMIT, Fine, Hit, Rule, Unseen
from escalade.analysis.findings.subject import SHOWN
from escalade.analysis.kpis.fragmentation_kpis import EVENTS, LACKS, RETRIED

if TYPE_CHECKING:
    from escalade.analysis.capacity.figures import Figure, Figures
    from escalade.analysis.findings.rule import Answer
    from escalade.analysis.findings.subject import Subject


class _Counted(NamedTuple):
    """A count of events in one step, at the rate that arrived in it."""

    figures: Figures
    step: int
    rate: float
    row: Figure

    def evidence(self, metric: str, words: str) -> Evidence:
        place = metric, "value", self.figures.name, self.step, self.row.value
        return Evidence(*place, self.row.unit, 0.0, self.row.source, words)


def in_pieces(subject: Subject) -> Answer:
    """Fire when an allocation failed though memory would have sufficed.

    One that succeeded when it was tried again is no reason: any cache that fills up gives idle
    memory back, and the better settings do so more often.
    """
    counted = _counted(subject, EVENTS)
    if not counted:
        return _unknown(subject, EVENTS)
    events = [each for each in counted if each.row.value > 0 and not _is_retried(each)]
    retried = sum(each.row.value for each in counted if _is_retried(each))
    again = f"{retried:.0f} succeeded when idle memory had been given back" if retried else ""
    if not events:
        words = "CUDA memory: no allocation failed for want of memory that was there in pieces"
        return Fine(f"{words}; {again}" if again else words)
    begin, count = events[0], sum(each.row.value for each in events)
    words = (
        f"{count:.0f} allocations failed for which idle and free CUDA memory would have sufficed"
        f"{f', and {again}' if again else ''}; it begins at {begin.rate:.4g} requests/s (step {begin.step})"
    )
    proofs = [each.evidence(EVENTS, "failed in pieces") for each in events[:SHOWN]]
    return Hit(words, tuple(proofs), _next(begin.figures))


def too_little(subject: Subject) -> Answer:
    """Fire when an allocation failed since there was not enough memory, in whatever pieces."""
    counted = _counted(subject, LACKS)
    if not counted:
        return _unknown(subject, LACKS)
    events = [each for each in counted if each.row.value > 0]
    if not events:
        return Fine("CUDA memory: no allocation failed for want of it")
    begin = events[0]
    words = (
        f"{sum(each.row.value for each in events):.0f} allocations failed for want of CUDA memory; it "
        f"begins at {begin.rate:.4g} requests/s (step {begin.step})"
    )
    return Hit(words, tuple(each.evidence(LACKS, "for want of memory") for each in events[:SHOWN]))


def _counted(subject: Subject, metric: str) -> list[_Counted]:
    """Give the counts of all steps that ran, whether valid or not, ascending in rate."""
    found = [
        _Counted(figures, step, figures.value(step, "arrival_rate_qps"), row)
        for figures in subject.cells
        for step in sorted(figures.levels)
        for row in figures.rows(step, metric)
    ]
    return sorted(found, key=lambda each: (not each.rate >= 0, each.rate, each.step))


def _unknown(subject: Subject, metric: str) -> Answer:
    """Say that what the service counts is in no window; nothing of one that does not count."""
    tables = (figures.kpis[figures.kpis["metric"] == metric] for figures in subject.cells)
    why = [str(quality) for table in tables for quality in table["quality"]]
    return Unseen(f"{metric}: {why[0]}") if why else None


def _is_retried(each: _Counted) -> bool:
    return each.row.source.endswith(RETRIED)


def _next(figures: Figures) -> tuple[str, ...]:
    known = figures.parameters.get("cuda_alloc_conf")
    if known:
        return (f"other settings of the allocator than `{known}`, which it has now",)
    tried = (
        "set the allocator: `cuda_alloc_conf: max_split_size_mb:128`, or `expandable_segments:True`"
    )
    return (f"{tried}, and compare with and without by pairs (config/examples/fragmentation.yaml)",)


RULES = (
    Rule(
        "cuda-memory-in-pieces",
        LIMIT,
        "CUDA memory is in pieces",
        "`cuda_fragmentation_events` of allocations that failed is above 0 in any step; those that succeeded when tried again do not count",
        "Memory that was there could not be used, and requests fail by it.",
        "PyTorch's allocator cuts segments for tensors of many sizes; what is idle beside a part in use can't be given back.",
        (
            "ask for fewer sizes: pad batches to a few lengths, or take the largest memory at the start",
            "measure again with the same seed: the requests, and so the sizes, come as before",
        ),
        in_pieces,
    ),
    Rule(
        "cuda-memory-too-small",
        LIMIT,
        "CUDA memory does not suffice",
        "`cuda_capacity_events` is above 0 in any step",
        "Requests fail since the GPU's memory is full, however it is cut.",
        "Model, cache and what is computed for the requests that are worked on together need more than the GPU has.",
        (
            "work on fewer requests together, or on shorter ones",
            "a smaller or quantised model, or more GPUs (`escalade gpu place`)",
        ),
        too_little,
    ),
)
