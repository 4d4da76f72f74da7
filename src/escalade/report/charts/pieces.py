"""Where fragmentation of CUDA memory begins: a mark on the axis of the load, and the words for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.analysis.kpis.fragmentation_kpis import EVENTS, RETRIED
from escalade.report import words
from escalade.report.charts import drawing
from escalade.report.charts.drawing import COLOURS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from escalade.report.data import ReportData

_DOTTED = (0, (1, 1.5))


def begins(data: ReportData, deployment: str) -> float | None:
    """Give the lowest arrival rate of a deployment at which allocations failed in pieces, in 1/s.

    None where none did, or nothing counts them, or the load has no rate.
    """
    if not data.axis.open or "source" not in data.kpis:
        return None
    counted = data.kpis[(data.kpis["metric"] == EVENTS) & (data.kpis["value"] > 0)]
    counted = counted[~counted["source"].str.endswith(RETRIED)]
    places = {
        (str(cell), int(step)) for cell, step in zip(counted["cell"], counted["step"], strict=True)
    }
    rates = [
        data.arrival_rate(cell.name, step)
        for cell in data.deployments.get(deployment, ())
        for step in cell.steps
        if (cell.name, step.number) in places
    ]
    return min(rates, default=None)


def mark_line(axes: Axes, data: ReportData, deployment: str) -> None:
    """Mark it by a line across the panel."""
    rate = begins(data, deployment)
    if rate is None:
        return
    axes.axvline(rate, color=COLOURS["purple"], lw=1.4, linestyle=_DOTTED, zorder=1.5)
    right, left = axes.get_xlim()[1], rate / axes.get_xlim()[1] > 0.5
    axes.annotate(
        "memory in pieces",
        (min(rate, right), 0.97),
        xycoords=axes.get_xaxis_transform(),
        xytext=(-3 if left else 3, 0),
        textcoords="offset points",
        rotation=90,
        ha="right" if left else "left",
        va="top",
        fontsize=drawing.SMALL,
        zorder=1.5,
    )


def mark_lines(axes: Axes, data: ReportData, looks: Mapping[str, str]) -> None:
    """Mark it of several deployments, each by a line of its colour."""
    for name, colour in looks.items():
        if (rate := begins(data, name)) is not None:
            axes.axvline(rate, color=COLOURS[colour], lw=1.4, linestyle=_DOTTED, zorder=1.5)


def told_pieces(data: ReportData, deployments: Sequence[str], sign: str = "dotted line") -> str:
    """Say where it begins, as an addition to a caption; "" where it does not."""
    found = {name: rate for name in deployments if (rate := begins(data, name)) is not None}
    if not found:
        return ""
    if len(deployments) == 1:
        where = f"{words.plain(next(iter(found.values())))} requests/s"
    else:
        where = words.listed(
            [f"{words.plain(rate)} requests/s ({name})" for name, rate in found.items()]
        )
    return f" CUDA memory is in pieces from {where} on ({sign})."
