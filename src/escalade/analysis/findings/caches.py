"""Rules on the caches that a service counts, and what an engine's own counters say of its prefix cache."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.analysis.capacity.figures import NO_FIGURE, Evidence
from escalade.analysis.findings.rule import ADVICE, Fine, Hit, Rule, Unseen
from escalade.analysis.findings.subject import SHOWN, joined
from escalade.analysis.kpis.cache_kpis import EXPIRIES, LOOKUPS, PREFIX, RATIO
from escalade.analysis.kpis.readings import labels_in
from escalade.analysis.stats.intervals import wilson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from escalade.analysis.capacity.figures import Figure, Figures
    from escalade.analysis.findings.rule import Answer
    from escalade.analysis.findings.subject import Subject

ENOUGH = 100
"""Lookups of a step from which on a hit rate is judged."""
USUAL = {"fast": 0.6, "balanced": 0.6}
"""Targets of modes whose service states none (`cache_hit_rate_target`)."""
TARGET, TTL = "cache_hit_rate_target", "cache_ttl_seconds"


def cached_figure(figures: Figures, step: int) -> tuple[str, Figure]:
    """Give the KPI that says which share of the input tokens a prefix cache held, and its figure.

    What answers say of themselves; else the engine's counters, where their growth over the window
    is known.
    """
    found = figures.figure(step, "cached_token_ratio")
    if math.isfinite(found.value):
        return "cached_token_ratio", found
    for row in figures.rows(step, RATIO):
        if row.source.endswith(PREFIX) and row.quality == "ok":
            return RATIO, row
    return "cached_token_ratio", NO_FIGURE


@dataclass(frozen=True)
class _Looked:
    """One cache in one step."""

    figures: Figures
    step: int
    row: Figure
    lookups: float
    target: float

    @property
    def labels(self) -> Mapping[str, str]:
        return labels_in(self.row.source)

    @property
    def name(self) -> str:
        """Name of the cache: "mode fast (llm)"."""
        kind = self.labels.get("cache_type")
        return f"mode {self.labels['mode']}" + (f" ({kind})" if kind else "")

    @property
    def low(self) -> bool:
        """Whether the rate lies under the target beyond chance."""
        known = math.isfinite(self.row.high)
        high = self.row.high if known else wilson(self.row.value * self.lookups, self.lookups)[1]
        return high < self.target

    @property
    def ttl_seconds(self) -> float:
        return _setting(self.figures, self.step, TTL).get(self.labels["mode"], math.nan)

    def of(self, metric: str) -> float:
        """Give the value of another KPI of the same cache; NaN where there is none."""
        return _value(self.figures, self.step, metric, self.row.source)

    def evidence(self) -> Evidence:
        words = f"{self.lookups:.0f} lookups of {self.name}"
        if math.isfinite(gone := self.of(EXPIRIES)):
            words += f", {gone:.0f} entries expired"
        place = RATIO, "value", self.figures.name, self.step, self.row.value
        return Evidence(*place, "ratio", self.target, self.row.source, words)


def low_hit_rate(subject: Subject) -> Answer:
    """Fire when a cache hits less often than its mode asks for, in every step that tells."""
    counted = list(_caches(subject))
    if not counted and _counts(subject):
        return Unseen("no step that counts lookups of a cache is valid and below saturation")
    if not counted:
        return None
    judged = [each for each in counted if each.target > 0]
    if not judged:
        return Unseen(f"no mode of the service states a target ({TARGET})")
    enough = [each for each in judged if each.lookups >= ENOUGH]
    if not enough:
        return Unseen(f"no step has {ENOUGH} lookups of a cache whose mode has a target")
    by_name: dict[str, list[_Looked]] = {}
    for each in enough:
        by_name.setdefault(each.name, []).append(each)
    low = {name: found for name, found in by_name.items() if all(each.low for each in found)}
    if not low:
        return Fine(f"{joined(sorted(by_name))}: the cache hits as often as is asked for")
    worst = [min(found, key=lambda each: each.row.value) for found in low.values()]
    proofs = [each.evidence() for found in low.values() for each in found]
    return Hit(
        joined([_said(each) for each in worst]),
        tuple(proofs[:SHOWN]),
        tuple(_advice(each) for each in worst),
    )


def _counts(subject: Subject) -> bool:
    """Tell whether any step has a cache with a mode."""
    rows = (figures.kpis[figures.kpis["metric"] == RATIO] for figures in subject.cells)
    return any("mode" in labels_in(source) for found in rows for source in found["source"])


def _caches(subject: Subject) -> Iterator[_Looked]:
    for figures, step in subject.stable():
        stated = _setting(figures, step, TARGET)
        for row in figures.rows(step, RATIO):
            mode = labels_in(row.source).get("mode")
            if mode is not None:
                lookups = _value(figures, step, LOOKUPS, row.source)
                target = stated.get(mode, math.nan) if stated else USUAL.get(mode, math.nan)
                yield _Looked(figures, step, row, lookups, target)


def _value(figures: Figures, step: int, metric: str, source: str) -> float:
    rows = figures.rows(step, metric)
    return next((row.value for row in rows if row.source == source), math.nan)


def _setting(figures: Figures, step: int, metric: str) -> dict[str, float]:
    """Give what the service said last in a step of each mode."""
    tracks = figures.samples(step).tracks(metric)
    return {track.labels.get("mode", ""): float(track.levels[-1]) for track in tracks}


def _said(each: _Looked) -> str:
    return (
        f"{100 * each.row.value:.3g} % of the {each.lookups:.0f} lookups of {each.name} were hits at "
        f"step {each.step}, where {100 * each.target:.3g} % are asked for"
    )


def _advice(each: _Looked) -> str:
    if each.of(EXPIRIES) == 0:
        return (
            f"no entry of {each.name} expired, so its TTL is not what holds it back: look at what its "
            "keys are made of, at its size, and whether requests repeat at all"
        )
    known = each.ttl_seconds
    spans = f", from {known:.6g} s to {2 * known:.6g} s" if known > 0 else ""
    return f"double the TTL of {each.name}{spans}"


RULES = (
    Rule(
        "cache-hits-too-few",
        ADVICE,
        "A cache hits less often than it is to",
        "in a mode that has a target (60 % in `fast` and `balanced` unless the service states others) `cache_hit_ratio` lies under it with its interval, in every step that is not beyond saturation and has 100 lookups or more",
        "Work is done again for answers that were there before.",
        "Entries expire before they are asked for again, the cache is too small, or requests do not repeat.",
        (
            "measure again with the same seed: the requests repeat as before, so what changes is the cache's",
            "see that the workload repeats requests as those of production do",
        ),
        low_hit_rate,
    ),
)
