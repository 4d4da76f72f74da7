"""KPIs that say why something went wrong: failures by class, memory that grows, long prompts in the way."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.kpis.readings import Reading, label_of
from escalade.analysis.kpis.series_kpis import MEMORY_BYTES
from escalade.analysis.stats.intervals import Estimate, mean
from escalade.analysis.stats.steadiness import BLOCKS, trend

if TYPE_CHECKING:
    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.windows import BoolArray, FloatArray, IntArray

LONG_FACTOR = 4.0
"""A prompt of over so many times the median's tokens is long."""
MIN_LONG, MAX_LONG_SHARE = 5, 0.2
MIN_DISTURBED = 20
"""Answers that a slow-down is taken from, at least."""
NO_END = "unfinished"


def clue_readings(step: MeasuredStep) -> list[Reading]:
    """Compute them; of the requests only where there is something to tell."""
    found = [memory_growth(step), *failures(step)]
    slowdown = long_prompt_slowdown(step)
    if slowdown is not None:
        found.append(Reading("long_prompt_slowdown_ratio", "value", slowdown))
    return found


def failures(step: MeasuredStep) -> list[Reading]:
    """Count the failed requests of the cohort by class; nothing where none failed."""
    failed = step.judged.only(~step.judged.success)
    if not len(failed):
        return []
    classes = step.data.requests["error"].iloc[failed.rows].fillna(NO_END).astype(str)
    counts = classes.value_counts()
    return [
        Reading(
            "failed_requests",
            "value",
            Estimate(value=float(counts[name]), n=len(step.judged)),
            label_of({"error": name}),
        )
        for name in sorted(counts.index)
    ]


def memory_growth(step: MeasuredStep) -> Reading:
    """Give the slope of the service's memory over the window, least squares over ten block means."""
    metric = "service_memory_growth_bytes_per_second"
    track = step.samples.summed(step.samples.tracks(MEMORY_BYTES, role="service"))
    if track is None:
        why = f'{MEMORY_BYTES}{{role="service"}} has no samples'
        return Reading(metric, "value", Estimate.missing(why))
    inside = step.window.holds(track.times)
    edges = step.window.blocks(BLOCKS)
    place = np.searchsorted(edges, track.times[inside], side="right") - 1
    counts = np.bincount(place, minlength=BLOCKS)[:BLOCKS]
    if counts.min() < 1:  # a short window; holes are the matter of a gate
        n = int(counts.sum())
        why = f"not estimable: {n} samples do not fill ten blocks of the window"
        return Reading(metric, "value", Estimate(n=n, quality=why))
    sums = np.bincount(place, weights=track.levels[inside], minlength=BLOCKS)[:BLOCKS]
    slope, low, high = trend(sums / counts, step.window)
    words = "t, slope of ten block means"
    return Reading(metric, "value", Estimate(slope, low, high, words, int(counts.sum()), BLOCKS))


def long_prompt_slowdown(step: MeasuredStep) -> Estimate | None:
    """Give how much longer the gaps of an answer are while a long prompt of another is read.

    Gaps are told apart by what went on when they began, so that long gaps are not chosen for
    being long, and compared within one answer, so that the load of the moment is the same. A
    prompt counts as being read from its send to its first chunk; time that it waits for a slot
    makes the slow-down look smaller.

    Returns
    -------
    Estimate or None
        Geometric mean over answers of (mean gap while a long prompt was read / mean of the
        others), with t on the logarithm; None where prompts do not differ enough (five longer
        than four times the median at least, and a fifth at most), or too few answers saw both.
    """
    log = step.log
    tokens = log.input_tokens
    known = tokens[~np.isnan(tokens)]
    if not len(known):
        return None
    long = tokens > LONG_FACTOR * float(np.median(known))
    if not MIN_LONG <= int(long.sum()) <= MAX_LONG_SHARE * len(log):
        return None
    others = log.success & ~long & step.window.holds(log.planned)
    gaps, owner = step.chunks.gaps(others)
    if not len(gaps):
        return None
    disturbed = _being_read(_begins(step, others), log.sent[long], log.first[long])
    ratios = _ratios(gaps, owner, disturbed, len(log))
    if len(ratios) < MIN_DISTURBED:
        return None
    found = mean(np.log(ratios))
    method = f"{found.method} on the logarithm"
    bounds = math.exp(found.low), math.exp(found.high)
    return Estimate(math.exp(found.value), *bounds, method, found.n, found.n_eff)


def _begins(step: MeasuredStep, of: BoolArray) -> FloatArray:
    """Give when each gap began, in the order of `Chunks.gaps`."""
    counts = np.where(of, step.chunks.counts, 0)
    kept = np.repeat(of, step.chunks.counts)
    times = (np.repeat(step.log.first, step.chunks.counts) + step.chunks.offsets)[kept]
    last = np.cumsum(counts[counts > 0]) - 1
    return np.delete(times, last)


def _being_read(at: FloatArray, sent: FloatArray, first: FloatArray) -> BoolArray:
    """Say for each time whether a prompt was sent and its first chunk not yet there."""
    both = ~(np.isnan(sent) | np.isnan(first))
    begun = np.searchsorted(np.sort(sent[both]), at, side="right")
    over = np.searchsorted(np.sort(first[both]), at, side="right")
    found: BoolArray = begun > over
    return found


def _ratios(gaps: FloatArray, owner: IntArray, disturbed: BoolArray, size: int) -> FloatArray:
    """Give mean disturbed / mean other gap of each answer that has both."""
    sums = [np.bincount(owner[mask], gaps[mask], size) for mask in (disturbed, ~disturbed)]
    counts = [np.bincount(owner[mask], minlength=size) for mask in (disturbed, ~disturbed)]
    both = (counts[0] > 0) & (counts[1] > 0) & (sums[0] > 0) & (sums[1] > 0)
    ratios: FloatArray = (sums[0][both] / counts[0][both]) / (sums[1][both] / counts[1][both])
    return ratios
