"""What the profiler read of a cell's GPUs, finer than scrapes are: no peak is lost by drawing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from escalade.report import words
from escalade.report.charts.timelines import chart_of
from escalade.report.charts.traces import MOST_POINTS, Panel, traced
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.report.charts.drawing import Chart
    from escalade.report.charts.traces import Lines
    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts

_PANELS = (
    ("GPU utilisation", "ratio", "gpu_util", 0.01, 1.0),
    ("GPU memory", "bytes", "gpu_memory_used", 1.0, 0.0),
    ("GPU power", "W", "power", 1.0, 0.0),
    ("PCIe", "bytes/s", "dram_bandwidth", 1e9, 0.0),
    ("NVLink", "bytes/s", "gpu_bandwidth", 1e9, 0.0),
)
"""Title, unit, column of the profile, factor to the unit, and what the axis reaches at least."""
_MOST_GPUS = 4
_POINTS_IN_ALL = 40_000
"""Of all cells together: a page of many cells stays small."""


def profile_charts(data: ReportData) -> list[Chart]:
    """Draw the fine readings of every cell that has them."""
    cells = [
        cell
        for cell in data.drawn
        if cell.profile is not None and len(cell.profile) and math.isfinite(cell.started_at)
    ]
    return [_chart(cell, cell.profile, len(cells)) for cell in cells if cell.profile is not None]


def profile_notes(data: ReportData) -> list[str]:
    """Say of which cells no GPU was profiled although that was asked for, and why."""
    found: dict[str, list[str]] = {}
    for cell in data.facts:
        if (why := cell.profiling.get("missing")) is not None:
            found.setdefault(words.clean(why), []).append(cell.name)
    return [
        f"In {words.listed(cells)} no GPU was profiled: {words.sentence(why)}"
        for why, cells in found.items()
    ]


def _chart(cell: CellFacts, profile: pd.DataFrame, cells: int) -> Chart:
    interval = known(cell.profiling.get("interval_ms")) / 1000
    seconds = profile["timestamp"].astype("int64").to_numpy() / 1000
    frame = profile.assign(at=seconds, number=profile["gpu_id"].astype(str))
    number = frame["number"].nunique()
    lines = number if number <= _MOST_GPUS else 3
    most = max(20, min(MOST_POINTS * 2, _POINTS_IN_ALL // (cells * len(_PANELS) * lines)))
    shown = [
        panel
        for title, unit, column, factor, ceiling in _PANELS
        if (panel := _panel(cell, frame, (title, unit, column, factor, ceiling), interval, most))
    ]
    caption = f"Readings of the profiler every {words.single(interval, 's')}. " + _kept(
        cell.profiling, len(profile)
    )
    return chart_of(
        cell,
        shown,
        key=f"profile-{cell.number}",
        name="Fine readings of the GPUs",
        title="GPUs, finely",
        caption=caption,
    )


def _panel(
    cell: CellFacts,
    frame: pd.DataFrame,
    what: tuple[str, str, str, float, float],
    interval: float,
    most: int,
) -> Panel | None:
    title, unit, column, factor, ceiling = what
    mine = frame[["at", "number", "frame_id", column]].dropna() if column in frame else None
    if mine is None or mine.empty:
        return None
    lines = _lines(mine.assign(value=mine[column] * factor))
    limit = 3 * interval
    traces = tuple(
        traced(cell, label or title, values, place, limit=limit, most=most)
        for place, (label, values) in enumerate(lines.items())
    )
    return Panel(title, unit, traces, ceiling=ceiling)


def _lines(frame: pd.DataFrame) -> Lines:
    """Give each GPU's readings; of many the median, the lowest and the highest of each frame."""
    names = sorted(frame["number"].unique())
    if len(names) <= _MOST_GPUS:
        found = {}
        nodes = {name.split(":")[0] for name in names}
        for name in names:
            mine = frame[frame["number"] == name].sort_values("at")
            node, number = name.split(":")[:2]
            label = f"GPU {number}" + (f" of {words.clean(node)}" if len(nodes) > 1 else "")
            found["" if len(names) == 1 else label] = pd.Series(
                mine["value"].to_numpy(), index=mine["at"].to_numpy()
            )
        return found
    by_frame = frame.groupby("frame_id", sort=True)
    at = by_frame["at"].mean().to_numpy()
    values = by_frame["value"]
    return {
        name: pd.Series(reduced.to_numpy(), index=at)
        for name, reduced in (
            ("median", values.median()),
            ("lowest", values.min()),
            ("highest", values.max()),
        )
    }


def _kept(profiling: Mapping[str, Any], rows: int) -> str:
    frames, late = known(profiling.get("frames")), known(profiling.get("late"))
    if not math.isfinite(frames):
        return f"{words.counted(rows, 'reading')} in all."
    left = (
        f"; {words.counted(int(late), 'reading')} came too late and were left out" if late else ""
    )
    return f"{words.counted(int(frames), 'moment')}, {words.counted(rows, 'reading')} in all{left}."
