"""The trend over campaigns: a chart for each figure, and what is to be said of its change points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.charts.trend import trend_charts
from escalade.report.texts.history import history_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from escalade.report.charts.drawing import Chart
    from escalade.report.data import ReportData


@dataclass(frozen=True)
class Trend:
    """One deployment under one workload on one class of hardware."""

    title: str
    sentences: tuple[str, ...]
    charts: tuple[Chart, ...]


@dataclass(frozen=True)
class Trends:
    """The section on the trend."""

    trends: tuple[Trend, ...]
    remarks: tuple[str, ...]

    @property
    def charts(self) -> tuple[Chart, ...]:
        """All its charts."""
        return tuple(chart for trend in self.trends for chart in trend.charts)

    @property
    def sentences(self) -> tuple[str, ...]:
        """All its sentences."""
        return tuple(sentence for trend in self.trends for sentence in trend.sentences)


def trends_section(data: ReportData) -> Trends | None:
    """Make the section; None of a page that no earlier campaign was asked for."""
    return trends_of(data.history)


def trends_of(found: Mapping[str, Any]) -> Trends | None:
    """Make the section of a history, as `escalade history --format json` prints it; None of an empty one."""
    if not found:
        return None
    several = [history for history in found["histories"] if len(history["campaigns"]) > 1]
    alone = [history for history in found["histories"] if len(history["campaigns"]) == 1]
    remarks = [
        words.sentence(
            f"{words.clean(history['deployment'])}: no other campaign that was given has this deployment under the "
            "same workload on the same hardware"
        )
        for history in alone
    ]
    remarks += [
        words.sentence(f"Left out: {words.clean(each['why'])}") for each in found["skipped"]
    ]
    return Trends(
        tuple(_trend(history, str(number)) for number, history in enumerate(several, start=1)),
        tuple(remarks),
    )


def _trend(history: Mapping[str, Any], key: str) -> Trend:
    table = history_table(history)
    return Trend(table.title, table.sentences, trend_charts(history, key))
