"""How often caches hit: those that a service counts by mode and type, and an engine's prefix cache."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from escalade.analysis.kpis import replicas
from escalade.analysis.kpis.agreement import from_birth
from escalade.analysis.kpis.readings import Reading, label_of
from escalade.analysis.measured.series import Samples
from escalade.analysis.stats.intervals import Estimate
from escalade.analysis.stats.sampled import ratio_over_samples

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.series import Track

RATIO, LOOKUPS, EXPIRIES = "cache_hit_ratio", "cache_lookups", "cache_expired"
HITS, MISSES, EXPIRED = "cache_hits_total", "cache_misses_total", "cache_ttl_expired_total"
KEYS = ("cache_type", "mode")
"""Labels that tell the caches of a service apart."""
PREFIX = label_of({"cache_type": "prefix"})
"""Label of the rows on an engine's prefix cache, which counts tokens."""
OWN_RATE = "the engine's own rate, which may not be of this window alone"

CACHED, UNCACHED = "cached_tokens_total", "uncached_tokens_total"
LOOKED_UP, SHARE = "looked_up_tokens_total", "cached_tokens_ratio"
"""The recipe's names of what a prefix cache is read from."""


def cache_readings(step: MeasuredStep) -> list[Reading]:
    """Compute them; nothing of a service that shows no such counters."""
    return [*_own_caches(step), *_prefix_cache(step)]


def _own_caches(step: MeasuredStep) -> list[Reading]:
    """Tell of the caches that the service counts itself (docs/operations-metrics.md)."""
    if not any(step.samples.tracks(name) for name in (HITS, MISSES)):
        return []
    cell = Samples(step.data.series, step.samples.interval).only([HITS, MISSES, EXPIRED, "up"])
    hits, misses, expired = (_by_cache(cell, name) for name in (HITS, MISSES, EXPIRED))
    lacking = HITS if not hits else MISSES if not misses else ""
    readings = []
    for key in sorted({*hits, *misses}):
        own = {name: value for name, value in json.loads(key).items() if value}
        label = label_of(own) if own else ""
        if lacking:
            readings += _missing(f"the service has no {lacking}", label)
            continue
        of_hits, of_misses = hits.get(key, []), misses.get(key, [])
        readings += _counted(step, of_hits or _zeros(of_misses), [*of_hits, *of_misses], label)
        if key in expired:
            readings.append(Reading(EXPIRIES, "value", _count(step, expired[key]), label))
    return readings


def _by_cache(cell: Samples, name: str) -> dict[str, list[Track]]:
    found: dict[str, list[Track]] = {}
    for track in cell.tracks(name):
        key = json.dumps({label: track.labels.get(label, "") for label in KEYS})
        found.setdefault(key, []).append(from_birth(track, cell))
    return found


def _zeros(tracks: Sequence[Track]) -> list[Track]:
    """Stand in for a counter that comes with its first event, where others of its name are there."""
    return [replace(track, levels=0.0 * track.levels) for track in tracks]


def _prefix_cache(step: MeasuredStep) -> list[Reading]:
    """Tell of an engine's prefix cache, in tokens, by what the recipe names of it."""
    names: Mapping[str, str] = step.data.environment.get("metric_names") or {}
    whole = LOOKED_UP if LOOKED_UP in names else UNCACHED
    if CACHED not in names or whole not in names:
        return _own_share(step, names[SHARE]) if SHARE in names else []
    raw = names[CACHED], names[whole]
    cell = Samples(step.data.series, step.samples.interval).only([*raw, "up"])
    cached, others = ([from_birth(track, cell) for track in cell.tracks(name)] for name in raw)
    if not cached or not others:
        return _missing(f"no sample of {raw[1] if cached else raw[0]} in the cell", PREFIX)
    return _counted(step, cached, others if whole == LOOKED_UP else [*cached, *others], PREFIX)


def _missing(why: str, label: str) -> list[Reading]:
    return [Reading(name, "value", Estimate.missing(why), label) for name in (RATIO, LOOKUPS)]


def _counted(
    step: MeasuredStep, hits: Sequence[Track], lookups: Sequence[Track], label: str
) -> list[Reading]:
    """Give how many lookups there were, and the share of hits where there were any."""
    known = Reading(LOOKUPS, "value", _count(step, lookups), label)
    if known.estimate.value == 0:
        return [known]
    return [Reading(RATIO, "value", _ratio(step, hits, known.estimate, lookups), label), known]


def _ratio(
    step: MeasuredStep, hits: Sequence[Track], known: Estimate, lookups: Sequence[Track]
) -> Estimate:
    if known.quality != "ok":
        return known
    found = _count(step, hits)
    if found.quality != "ok":
        return found
    if found.value > known.value:
        counts = f"{found.value:.6g} hits in {known.value:.6g} lookups"
        return Estimate.missing(f"the counters are not of one thing: {counts}")
    of_hits, of_lookups = step.samples.paces([hits, lookups], step.window)
    share = found.value / known.value
    return ratio_over_samples(share, of_hits, of_lookups, step.samples.interval, 1.0)


def _count(step: MeasuredStep, tracks: Sequence[Track]) -> Estimate:
    """Give the growth of counters over the window, between the samples."""
    if why := replicas.unseen(step, 2):
        return Estimate.missing(why)
    found = step.samples.growth(tracks, step.window)
    return Estimate.missing(_too_few(tracks)) if found is None else Estimate(found.amount)


def _too_few(tracks: Sequence[Track]) -> str:
    return f"fewer than two samples of its {len(tracks)} counters in the window"


def _own_share(step: MeasuredStep, raw: str) -> list[Reading]:
    """Give the rate that an engine computes itself, where it has no counters to compute it from."""
    why = replicas.unseen(step, 1)
    found = None if why else replicas.gauge(step, step.samples.tracks(raw), ratio=True)
    if found is None:
        estimate = Estimate.missing(why or f"no sample of {raw} in the window")
    elif not 0 <= found[0] <= 1:
        estimate = Estimate.missing(f"{raw} is {found[0]:.3g}, which is no share: it has no cache")
    else:
        estimate = Estimate(found[0], n=found[2]).flagged(OWN_RATE)
    return [Reading(RATIO, "value", estimate, PREFIX)]
