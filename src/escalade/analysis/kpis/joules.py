"""Counters of joules: read at the ends of a window, and across a driver that began again from zero."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from escalade.analysis.measured.series import Track
    from escalade.analysis.measured.windows import Window


def bridged(counter: Track, powers: Sequence[Track]) -> Track:
    """Give the growth of a counter since its first sample, with what a reset would hide.

    A counter that begins again tells nothing of the time between its last sample and the reset. The
    power of the same GPU in that interval does: it counts where it comes to more than the new value.

    Parameters
    ----------
    counter
        Joules.
    powers
        Watts; the one with the counter's labels is its own.
    """
    own = next((power for power in powers if power.labels == counter.labels), None)
    total = counter.cumulative()
    resets = np.flatnonzero(np.diff(counter.levels) < 0)
    if own is None or not len(resets) or not len(own.times):
        return total
    levels = total.levels.copy()
    for reset in resets:
        ends = counter.times[reset : reset + 2]
        known = float(np.trapezoid(np.interp(ends, own.times, own.levels), ends))
        levels[reset + 1 :] += max(0.0, known - float(counter.levels[reset + 1]))
    return replace(total, levels=levels)


def mean_watts(counters: Sequence[Track], window: Window, max_age: float) -> float | None:
    """Give the power that counters of joules come to over a window.

    Between two samples a counter grows evenly, so it is read at the very ends of the window, where
    samples at most `max_age` beyond them allow it, and else at the samples that are nearest inside: a
    scrape interval at each end would be up to some percent of a short window.

    Parameters
    ----------
    counters
        Joules, of things whose power is added up.
    window
        Half-open.
    max_age
        In seconds.

    Returns
    -------
    float or None
        In W; None where no counter has two samples.
    """
    found = [watts for one in counters if (watts := _watts(one, window, max_age)) is not None]
    return sum(found) if found else None


def _watts(counter: Track, window: Window, max_age: float) -> float | None:
    near = (counter.times >= window.start - max_age) & (counter.times <= window.end + max_age)
    times = counter.times[near]
    inside = times[(times >= window.start) & (times < window.end)]
    if len(times) < 2 or not len(inside):
        return None
    begin = window.start if times[0] <= window.start else float(inside[0])
    end = window.end if times[-1] >= window.end else float(inside[-1])
    if end <= begin:
        return None
    levels = np.interp([begin, end], times, counter.cumulative().levels[near])
    return float(levels[1] - levels[0]) / (end - begin)
