"""The points behind the charts, as numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from escalade.report.charts.distribution import spread
from escalade.report.charts.lines import judged_stat, line_of
from escalade.report.charts.panels import panels
from escalade.report.twin.models import (
    AllSeries,
    Band,
    Curve,
    Distribution,
    Middle,
    Point,
    Timeline,
)
from escalade.report.twin.plain import digits, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from escalade.report.charts.lines import Point as Drawn
    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts

_TIMES = (
    *("query_latency_seconds", "latency_seconds", "ttft_seconds"),
    *("itl_seconds", "tpot_seconds"),
)
_RATES = ("throughput_qps", "goodput_qps", "output_tokens_per_second")
_SPREADS = ("latency_seconds", "ttft_seconds")


def series_of(data: ReportData) -> AllSeries:
    """Give every line that a chart of this campaign may draw."""
    return AllSeries(
        curves=[curve for curve in _curves(data) if curve.points],
        distributions=list(_distributions(data)),
        timelines=[line for cell in data.facts for line in _timelines(cell)],
    )


def _curves(data: ReportData) -> Iterator[Curve]:
    wanted: list[tuple[str, str | None]] = [(metric, None) for metric in _RATES]
    for metric in _TIMES:
        wanted += [(metric, stat) for stat in dict.fromkeys(("p50", judged_stat(data, metric)))]
    for deployment, cells in data.deployments.items():
        for metric, stat in wanted:
            drawn = line_of(data, cells, metric, stat, colour="")
            units = [point.estimate.unit for point in drawn.drawn]
            if units:
                names = {cell.repetition: cell.name for cell in cells}
                points = [_point(point, names, opened=data.axis.open) for point in drawn.points]
                yield Curve(
                    deployment=deployment,
                    metric=metric,
                    stat=stat or "value",
                    unit=units[0],
                    points=points,
                    middle=[
                        Middle(rate_qps=number(rate), value=number(value))
                        for rate, value in drawn.middle()
                    ],
                    band=[
                        Band(rate_qps=number(rate), ci_low=number(low), ci_high=number(high))
                        for rate, low, high in drawn.band()
                    ],
                )


def _point(point: Drawn, names: dict[int, str], *, opened: bool) -> Point:
    estimate = point.estimate
    return Point(
        cell=names[point.repetition],
        repetition=point.repetition,
        step=point.step,
        load=number(point.place),
        rate_qps=number(point.rate) if opened else None,
        state=point.state,
        value=number(estimate.value),
        ci_low=number(estimate.low),
        ci_high=number(estimate.high),
        n=number(estimate.n),
        missing=estimate.reason or None,
    )


def _distributions(data: ReportData) -> Iterator[Distribution]:
    for cell in data.facts:
        for metric in _SPREADS:
            for step in cell.steps:
                found = spread(cell, step, metric)
                if len(found.seconds):
                    shares, seconds = found.curve()
                    yield Distribution(
                        cell=cell.name,
                        step=step.number,
                        metric=metric,
                        requests=len(found.seconds),
                        without_answer=found.failed,
                        shares=[float(f"{share:.6g}") for share in shares],
                        seconds=[float(f"{second:.6g}") for second in seconds],
                    )


def _timelines(cell: CellFacts) -> Iterator[Timeline]:
    if not math.isfinite(cell.started_at):
        return
    for panel in panels(cell):
        for trace in panel.traces:
            yield Timeline(
                cell=cell.name,
                panel=panel.title,
                line=trace.label,
                unit=panel.unit,
                seconds=[round(time, 3) for time, _ in trace.points],
                values=[digits(value) for _, value in trace.points],
                gaps=[(round(start, 3), round(end, 3)) for start, end in trace.gaps],
                missing=None,
            )
        if not panel.traces:
            yield Timeline(
                cell=cell.name,
                panel=panel.title,
                line="",
                unit=panel.unit,
                seconds=[],
                values=[],
                gaps=[],
                missing=panel.missing or "nothing to draw",
            )
