"""Upper bounds as lines in the charts of throughput."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.bounds.bound import said
from escalade.report import words
from escalade.report.charts import drawing
from escalade.report.charts.drawing import COLOURS
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes

    from escalade.report.data import ReportData

_OFF_SCALE = 3.0
"""A bound this many times above everything measured is named, not drawn."""
REQUESTS = ("request_rate", "query_rate", "capacity")
TOKENS = ("token_rate",)
"""Bounds that belong to the charts of throughput and of tokens."""


@dataclass(frozen=True)
class Level:
    """A bound as a chart shows it: one height for all rates."""

    value: float
    label: str


def levels_of(data: ReportData, deployment: str, names: Sequence[str]) -> list[Level]:
    """Give the bounds of a deployment that are one height over all rates: the median of its cells."""
    found: dict[tuple[str, str], list[float]] = {}
    for row in data.bounds:
        value = known(row.get("value"))
        # tokens have a bound for each step, by what was in flight, and one for all slots
        whole = row.get("name") not in TOKENS or row.get("step") is None
        mine = words.clean(row.get("deployment")) == deployment and row.get("name") in names
        if mine and whole and math.isfinite(value):
            key = words.clean(row.get("name")), words.clean(row.get("kind"))
            found.setdefault(key, []).append(value)
    return [
        Level(statistics.median(values), f"bound, {kind}") for (_, kind), values in found.items()
    ]


def within(levels: Iterable[Level], highest: float) -> list[Level]:
    """Give those that can be drawn with what was measured."""
    return [level for level in levels if level.value <= _OFF_SCALE * highest]


def draw_levels(axes: Axes, levels: Sequence[Level], unit: str) -> None:
    """Draw each bound as a line; one beyond the panel is named at its upper edge."""
    top = axes.get_ylim()[1]
    beyond = 0
    for level in levels:
        text = f"{level.label}: {said(level.value, unit)}"
        place, offset = (0.0, level.value), 4.0
        coordinates: Any = ("axes fraction", "data")
        if level.value <= top:
            axes.axhline(level.value, color=COLOURS["ink"], lw=1.2, linestyle=(0, (8, 2, 1, 2)))
        else:
            text, place, coordinates = f"↑ {text}", (0.0, 1.0), "axes fraction"
            offset, beyond = -11.0 - 14.0 * beyond, beyond + 1
        axes.annotate(
            text,
            place,
            xycoords=coordinates,
            xytext=(5, offset),
            textcoords="offset points",
            fontsize=drawing.SMALL,
            zorder=6,
        )
