"""Fragmentation of CUDA memory, as PyTorch services count it of themselves (docs/fragmentation.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.analysis.kpis import replicas
from escalade.analysis.kpis.agreement import from_birth
from escalade.analysis.kpis.readings import Reading, label_of
from escalade.analysis.measured.series import Samples
from escalade.analysis.stats.intervals import Estimate
from escalade.analysis.stats.sampled import largest, over_samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.series import Track

EVENTS, LACKS = "cuda_fragmentation_events", "cuda_capacity_events"
SHARE = "cuda_fragmentation_ratio"
FAILED, RETRIED = label_of({"kind": "oom"}), label_of({"kind": "retry"})
"""Labels of the rows: allocations that failed, and those that succeeded when they were tried again."""

_OF_DEVICE = ("device", "replica", "uuid")

FRAGMENTATION = "escalade_cuda_fragmentation_events_total"
CAPACITY = "escalade_cuda_capacity_events_total"
UNJUDGED = "escalade_cuda_unjudged_events_total"
RATIO = "escalade_cuda_allocator_fragmentation_ratio"
SWARM = "swarm_cuda_fragmentation_events_total"
"""Counted by services that name it so, without telling what became of the allocation."""


def fragmentation_readings(step: MeasuredStep) -> list[Reading]:
    """Compute them; nothing of a service that does not count such events."""
    names = (FRAGMENTATION, CAPACITY, UNJUDGED, SWARM)
    cell = Samples(step.data.series, step.samples.interval).only([*names, "up"])
    own = cell.tracks(FRAGMENTATION)
    if not own:
        return _by_the_name_of_the_swarm(step, cell)
    readings = []
    for label, kind in ((FAILED, "oom"), (RETRIED, "retry")):
        tracks = [track for track in own if track.labels.get("kind") == kind]
        if tracks:
            readings.append(Reading(EVENTS, "value", _count(step, cell, tracks), label))
    if tracks := cell.tracks(CAPACITY):
        readings.append(Reading(LACKS, "value", _count(step, cell, tracks)))
    return [*_with_what_is_unjudged(step, cell, readings), *_shares(step)]


def _by_the_name_of_the_swarm(step: MeasuredStep, cell: Samples) -> list[Reading]:
    tracks = cell.tracks(SWARM)
    return [Reading(EVENTS, "value", _count(step, cell, tracks))] if tracks else []


def _count(step: MeasuredStep, cell: Samples, tracks: Sequence[Track]) -> Estimate:
    """Give the growth of counters over the window, between the samples."""
    if why := replicas.unseen(step, 2):
        return Estimate.missing(why)
    found = step.samples.growth([from_birth(track, cell) for track in tracks], step.window)
    if found is None:
        return Estimate.missing(
            f"fewer than two samples of its {len(tracks)} counters in the window"
        )
    return Estimate(found.amount)


def _with_what_is_unjudged(
    step: MeasuredStep, cell: Samples, readings: Sequence[Reading]
) -> list[Reading]:
    """Flag what may be too few: allocations failed, and nobody saw of what size they were."""
    tracks = cell.tracks(UNJUDGED)
    unjudged = _count(step, cell, tracks).value if tracks else 0.0
    if not unjudged > 0:
        return [*readings]
    why = f"{unjudged:.0f} more allocations failed, and their size was not seen"
    return [
        each
        if each.label == RETRIED
        else Reading(each.metric, each.stat, each.estimate.flagged(why), each.label)
        for each in readings
    ]


def _shares(step: MeasuredStep) -> list[Reading]:
    """Give the ratio of each device of each copy; of one that has nothing reserved there is none."""
    readings = []
    for track in step.samples.tracks(RATIO):
        label = label_of({key: track.labels[key] for key in _OF_DEVICE if key in track.labels})
        found = step.samples.gauge([track], step.window)
        if found is None:
            continue
        average, most, n = found
        samples = step.samples.levels([track], step.window)
        bounded = over_samples(average, samples, step.samples.interval, 1.0)
        readings.append(Reading(SHARE, "mean", bounded, label))
        readings.append(Reading(SHARE, "max", largest(most, n), label))
    return readings
