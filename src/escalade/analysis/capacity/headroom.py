"""How much of each resource is left: at the rate that the objectives allow, and at the top valid step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from escalade.analysis.capacity.figures import Figures
from escalade.analysis.capacity.resources import SERIES, Use, uses
from escalade.analysis.measured.json_numbers import finite

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from escalade.analysis.capacity.capacity import Rung
    from escalade.analysis.measured.cell import CellData

VRAM, QUEUE = "gpu_memory", "queue"
AT_SLO, AT_TOP = "slo_capacity", "top"


def headroom(
    kpis: pd.DataFrame,
    cells: Sequence[CellData],
    gates: Sequence[Mapping[str, Any]],
    capacity: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Set what each resource was used to against its limit.

    Nothing is interpolated: at the SLO capacity stands for the highest valid step that is not above
    it. A resource whose use or limit is not known says why, and has no headroom.

    Returns
    -------
    list of dict
        Section `headroom` of verdicts.json: cell, deployment, place ("slo_capacity" or "top"), step,
        offered_qps, resource, used, limit, unit, headroom_ratio, source, words.
    """
    rows = []
    for cell in cells:
        figures = Figures(cell, kpis, gates, capacity)
        places = _places(figures)
        if not places:
            continue
        found = [*uses(figures), _vram(figures), _queue(figures)]
        rows += [
            _row(figures, place, rung, use)
            for place, rung in places
            for use in found
            if not use.beside
        ]
    return rows


def _places(figures: Figures) -> list[tuple[str, Rung]]:
    if not figures.rungs:
        return []
    held = figures.capacity.get("slo_capacity_qps")
    below = [rung for rung in figures.rungs if held is not None and rung.offered <= held]
    top = figures.rungs[-1]
    at = [(AT_SLO, max(below, key=lambda rung: rung.offered))] if below else []
    return [*at, (AT_TOP, top)]


def _row(figures: Figures, place: str, rung: Rung, use: Use) -> dict[str, Any]:
    used = use.levels.get(rung.step, math.nan)
    share = used / use.limit if use.limit > 0 else math.nan
    words = use.unknown or use.limit_words
    if not use.unknown and math.isnan(used):
        words = f"not known at step {rung.step}"
    return {
        "cell": figures.name,
        "deployment": figures.data.deployment,
        "place": place,
        "step": rung.step,
        "offered_qps": rung.offered,
        "resource": use.resource,
        "used": finite(used),
        "limit": finite(use.limit),
        "unit": use.unit,
        "headroom_ratio": finite(1 - share),
        "source": f"{use.kpi}, {use.stat} ({use.source})" if use.kpi else "",
        "words": words,
    }


def _vram(figures: Figures) -> Use:
    """Memory of the GPU that is fullest, against what it has."""
    gpus = figures.environment.get("gpus")
    if not gpus:
        why = "there is no GPU" if gpus is not None else ""
        return Use(VRAM, beside=why) if why else Use(VRAM, unknown="not recorded")
    metric = "gpu_memory_used_bytes"
    levels = {}
    for rung in figures.rungs:
        used = [row.value for row in figures.rows(rung.step, metric, "max")]
        if used:
            levels[rung.step] = max(used)
    sizes = [gpu.get("memory_total_bytes") for gpu in gpus]
    known = [float(size) for size in sizes if size]
    unknown = "" if levels else "the memory of the GPU was not scraped"
    if levels and len(known) < len(sizes):
        unknown = "how much memory the GPU has is not known"
    return Use(
        VRAM,
        metric,
        "max",
        "bytes",
        levels=levels,
        limit=min(known, default=math.nan),
        limit_words="the memory of the GPU",
        unknown=unknown,
    )


def _queue(figures: Figures) -> Use:
    """Count the requests that wait in the service: no limit is known that they could be held to."""
    metric = "queue_length"
    steps = [rung.step for rung in figures.rungs]
    levels = {s: v for s in steps if math.isfinite(v := figures.value(s, metric, "mean"))}
    unknown = (
        "the service tells no limit of its queue"
        if levels
        else "the service does not report how many requests wait"
    )
    return Use(QUEUE, metric, unit="requests", source=SERIES, levels=levels, unknown=unknown)
