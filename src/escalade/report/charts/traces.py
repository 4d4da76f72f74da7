"""Lines of the timelines: from raw samples to points, gaps left open."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.report.facts import CellFacts

GAP_SECONDS = 3.0
"""Samples further apart than this (or than three scrapes) have a gap between them."""
MOST_POINTS = 600
"""Of a sampled line, which has about twice as many pixels to lie on."""
NO_SAMPLES = "no samples were stored"
_LOOKS = (
    *(("blue", False), ("orange", True), ("green", False), ("purple", True)),
    *(("vermilion", False), ("sky", True), ("ink", False), ("muted", True)),
)
"""Colour of each line of a panel, and whether it is dashed: neighbours differ in both."""

Points = list[tuple[float, float]]
Lines = dict[str, "pd.Series[float]"]
"""Values by time, by the label of their line; the label of an only line is empty."""


@dataclass(frozen=True)
class Trace:
    """One line: points in seconds since the cell's first step, NaN where the line is broken."""

    label: str
    points: Points
    colour: str = "blue"
    width: float = 1.6
    stepped: bool = False
    dashed: bool = False
    gaps: tuple[tuple[float, float], ...] = ()

    def mean(self, start: float, end: float) -> float:
        """Give the mean over [start, end) of the points that are there, NaN when there are none."""
        inside = [v for t, v in self.points if start <= t < end and math.isfinite(v)]
        return sum(inside) / len(inside) if inside else math.nan


@dataclass(frozen=True)
class Panel:
    """One quantity over time; `missing` says why there is nothing to draw."""

    title: str
    unit: str
    traces: tuple[Trace, ...] = ()
    missing: str = ""
    ceiling: float = field(default=0.0)


def sampled(
    cell: CellFacts,
    title: str,
    unit: str,
    metrics: tuple[str, ...],
    reduce: Callable[[pd.DataFrame], Lines],
    *,
    ceiling: float = 0.0,
) -> Panel:
    """Make a panel of scraped samples, broken between steps and where scrapes are missing.

    Parameters
    ----------
    cell
        Whose samples.
    title, unit
        Of the panel.
    metrics
        Raw names.
    reduce
        Makes the lines of the samples of these metrics, by label: values by their time. Of one
        line the label is empty.
    ceiling
        What the axis reaches at least.
    """
    if cell.series.empty:
        return Panel(title, unit, missing=NO_SAMPLES)
    # the margins of two steps overlap: a sample there is stored with both
    mine = cell.series[cell.series["metric"].isin(metrics)]
    mine = mine.drop_duplicates(["metric", "labels", "timestamp"])
    lines = reduce(mine) if len(mine) else {}
    known = {label: values[np.isfinite(values)] for label, values in lines.items()}
    limit = max(GAP_SECONDS, 3 * cell.scrape_interval_seconds)
    traces = tuple(
        traced(cell, label or title, values, place, limit=limit)
        for place, (label, values) in enumerate(
            (label, values) for label, values in known.items() if len(values)
        )
    )
    missing = "" if traces else f"no sample of {' or '.join(metrics)}"
    return Panel(title, unit, traces, missing, ceiling)


def traced(
    cell: CellFacts,
    label: str,
    values: pd.Series,
    place: int,
    *,
    limit: float,
    most: int = MOST_POINTS,
) -> Trace:
    """Make a line of samples, broken where neighbours are more than `limit` seconds apart.

    Parameters
    ----------
    cell
        Whose samples.
    label
        Of the line.
    values
        By Unix time, ascending.
    place
        Of the line in its panel: gives its looks.
    limit
        In seconds.
    most
        Points to keep: of every small span its lowest and its highest.
    """
    points, gaps = broken(values, limit)
    if len(values) > most:  # what is broken where samples are missing is so when thinned
        kept = _thinned(values, most)
        breaks = pd.Series(math.nan, index=[start for start, _ in gaps], dtype=float)
        both = pd.concat([kept, breaks]).sort_index(kind="stable")
        points = list(zip(both.index.tolist(), both.tolist(), strict=True))
    spans = [(s.times["started_at"], s.times["drained_at"]) for s in cell.steps]
    inside = tuple(
        (start - cell.started_at, end - cell.started_at)
        for start, end in gaps
        if any(begun <= start and end <= drained for begun, drained in spans)
    )
    shifted = [(time - cell.started_at, value) for time, value in points]
    colour, dashed = _LOOKS[place % len(_LOOKS)]
    return Trace(label, shifted, colour, dashed=dashed, gaps=inside)


def broken(values: pd.Series, limit: float) -> tuple[Points, list[tuple[float, float]]]:
    """Break a line where neighbours are more than `limit` seconds apart.

    Parameters
    ----------
    values
        Samples, indexed by time in seconds, ascending.

    Returns
    -------
    tuple
        The points with NaN inside every gap, and the gaps as (last before, first after).
    """
    times = values.index.to_numpy(dtype=float)
    points: Points = []
    gaps: list[tuple[float, float]] = []
    for place, (time, value) in enumerate(zip(times, values, strict=True)):
        if place and time - times[place - 1] > limit:
            gaps.append((float(times[place - 1]), float(time)))
            points.append((float(times[place - 1]), math.nan))
        points.append((float(time), float(value)))
    return points, gaps


def _thinned(values: pd.Series[float], most: int = MOST_POINTS) -> pd.Series[float]:
    """Keep of every small span its lowest and its highest sample, so that no peak is lost."""
    if len(values) <= most:
        return values
    times = values.index.to_numpy(dtype=float)
    place = ((times - times[0]) * (max(1, most // 2) / (times[-1] - times[0]))).astype(int)
    by_place = pd.Series(values.to_numpy(), index=np.arange(len(values))).groupby(place)
    kept = np.union1d(by_place.idxmin().to_numpy(), by_place.idxmax().to_numpy())
    return values.iloc[kept]


def summed(frame: pd.DataFrame) -> pd.Series:
    """Add up what was scraped at the same time."""
    return frame.groupby("timestamp", sort=True)["value"].sum(min_count=1)


def total_rate(frame: pd.DataFrame) -> pd.Series:
    """Add up the rates of counters; a counter that went back gives no rate there."""
    rates = []
    for _, group in frame.groupby("labels", sort=True):
        ordered = group.drop_duplicates("timestamp").sort_values("timestamp")
        values, times = ordered["value"], ordered["timestamp"]
        rate = values.diff() / times.diff()
        rates.append(pd.Series(rate.to_numpy(), index=times.to_numpy()).where(lambda r: r >= 0))
    if not rates:
        return pd.Series(dtype=float)
    return pd.concat(rates, axis=1).sort_index().sum(axis=1, min_count=1)


def of_service(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep what the service's nodes were scraped for, where client and service have nodes of their own."""
    return frame[matching(frame, lambda labels: label_of(labels, "place") in ("", "service"))]


def matching(frame: pd.DataFrame, fits: Callable[[str], bool]) -> pd.Series[bool]:
    """Say of each sample whether its labels fit; each text of labels is read once."""
    known = {labels: fits(labels) for labels in frame["labels"].unique()}
    return frame["labels"].map(known).astype(bool)


def label_of(labels: str, name: str) -> str:
    """Give one of the labels of a series, empty where it has none such."""
    try:
        return str(json.loads(labels).get(name, ""))
    except (ValueError, AttributeError):
        return ""
