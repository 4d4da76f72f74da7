"""Whether every GPU could be read throughout the window: one that is lost takes its service along."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from escalade.analysis.gates.gate import Gate, at_most

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.analysis.gates.gate import Found
    from escalade.analysis.measured.series import Samples
    from escalade.analysis.measured.windows import FloatArray, Window

_NAME = "gpu_samples"
_UP = "escalade_gpu_up"
_ALWAYS = "escalade_gpu_memory_used_bytes"
"""What every GPU has that can be read, in cells that were measured before `_UP` was."""


def gpu_samples(found: Found) -> Gate | None:
    """Check that no GPU was unreadable for more than 3 s; None for a cell without any.

    Where no exporter told anything of a GPU, that is unknown and does not invalidate: the service's
    answers were measured all the same.
    """
    gpus = found.step.data.environment.get("gpus")
    if not gpus or not found.step.data.monitored:
        return None
    samples, limit = found.step.samples, found.step.samples.max_gap
    holes = {}
    for gpu in gpus:
        times = _read_at(samples, gpu)
        if times is None:
            why = f"nothing was scraped of GPU {gpu.get('index')}"
            return Gate(_NAME, "unknown", why, None, limit, "s")
        holes[str(gpu.get("index"))] = _hole(times, found.step.window)
    worst = max(holes, key=lambda name: holes[name])
    longest = holes[worst]
    detail = f"GPU {worst} could not be read for up to {longest:.3g} s at once; {limit:.3g} s are allowed"
    return Gate(_NAME, at_most(longest, limit), detail, longest, limit, "s", invalidates=True)


def _read_at(samples: Samples, gpu: Mapping[str, object]) -> FloatArray | None:
    """Give when a GPU was read; None where no sample tells of it."""
    uuid = str(gpu.get("uuid"))
    up = samples.tracks(_UP, uuid=uuid)
    tracks = up or samples.tracks(_ALWAYS, uuid=uuid)
    if not tracks:
        return None
    return np.unique(
        np.concatenate([each.times[each.levels == 1] if up else each.times for each in tracks])
    )


def _hole(times: FloatArray, window: Window) -> float:
    """Give the longest time of a window without a reading, in seconds, from the one before it on."""
    before, after = times[times < window.start], times[times >= window.end]
    begin = before[-1:] if len(before) else [window.start]
    end = after[:1] if len(after) else [window.end]
    return float(np.diff(np.concatenate([begin, times[window.holds(times)], end])).max())
