"""Samples of a service that has several copies: summed or averaged, and missing where a copy is missing.

What one copy does not tell is not zero: a sum without it would be too small in silence. A copy that
is dead for a part of a window counts with the samples that it has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.kpis.steps import MeasuredStep
    from escalade.analysis.measured.series import Track
    from escalade.analysis.measured.windows import BoolArray, FloatArray

JOB, STEP = "service", "service-"
"""Job of the service's own pages, and what the names of its copies' steps begin with."""


def unseen(step: MeasuredStep, scrapes: int) -> str | None:
    """Say which copy's page was scraped less often in the window than is needed; None when all were.

    A service of one copy has gates for that.
    """
    for number in range(1, step.data.replicas + 1) if step.data.replicas > 1 else ():
        tracks = step.samples.tracks("up", job=JOB, replica=str(number))
        times = [track.times[track.levels == 1] for track in tracks]
        count = int(sum(step.window.holds(each).sum() for each in times))
        if count < scrapes:
            return f"replica {number} was scraped {count} times in the window, {scrapes} are needed"
    return None


def unfollowed(step: MeasuredStep, tracks: Sequence[Track]) -> str | None:
    """Say which copy's processes have no sample in the window; None when all have."""
    for number in range(1, step.data.replicas + 1) if step.data.replicas > 1 else ():
        own = [track for track in tracks if track.labels.get("step") == f"{STEP}{number}"]
        if not any(step.window.holds(track.times).any() for track in own):
            return f"the processes of replica {number} have no sample in the window"
    return None


def grouped(step: MeasuredStep, tracks: Sequence[Track]) -> list[list[Track]] | None:
    """Give the series of each copy, in order; None when a copy has none."""
    if step.data.replicas <= 1:
        return [list(tracks)] if tracks else None
    numbers = [str(number) for number in range(1, step.data.replicas + 1)]
    found = [
        [track for track in tracks if track.labels.get("replica") == number] for number in numbers
    ]
    return found if all(found) else None


def gauge(
    step: MeasuredStep, tracks: Sequence[Track], *, ratio: bool = False
) -> tuple[float, float, int] | None:
    """Give mean, maximum and number of samples of a gauge of all copies; None when one has no sample.

    Parameters
    ----------
    step
        Whose window counts.
    tracks
        Of all copies; several of one copy are added up.
    ratio
        Whether it is a share of what a copy has. Copies are alike, so the mean is that of the
        copies, and the maximum that of any of them. Other gauges are added up: the mean is the sum of each copy's mean
        over the time in which it has samples, the maximum that of the sums at times of which all are known (the largest
        copy's own where there are none).
    """
    parts = grouped(step, tracks)
    if parts is None:
        return None
    each = [step.samples.gauge(part, step.window) for part in parts]
    known = [found for found in each if found is not None]
    if len(known) < len(each):
        return None
    means, largest = [found[0] for found in known], [found[1] for found in known]
    n = sum(found[2] for found in known)
    if len(parts) == 1:
        return means[0], largest[0], n
    if ratio:
        return float(np.mean(means)), max(largest), n
    return float(sum(means)), max(_largest_sum(step, parts), *largest), n


def _largest_sum(step: MeasuredStep, parts: Sequence[Sequence[Track]]) -> float:
    """Give the largest sum at a time of which all parts are known; -inf where there is none."""
    totals = [found for part in parts if (found := step.samples.summed(part)) is not None]
    times = np.unique(np.concatenate([total.times for total in totals]))
    values: FloatArray = np.zeros(len(times))
    known: BoolArray = step.window.holds(times)
    for total in totals:
        place = np.searchsorted(total.times, times, side="right") - 1
        age = times - total.times[np.maximum(place, 0)]
        known &= (place >= 0) & (age <= step.samples.max_age)
        values += total.levels[np.maximum(place, 0)]
    return float(values[known].max()) if known.any() else -np.inf
