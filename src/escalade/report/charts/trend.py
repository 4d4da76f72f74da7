"""One figure over campaigns: a point for each with its interval, levels between change points."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.report import words
from escalade.report.charts import drawing
from escalade.report.charts.drawing import COLOURS, Chart
from escalade.report.tables import Table
from escalade.report.texts.history import MARKS, date, head, value_of
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (400.0, 250.0)
_LABELS = 4
"""Dates under the axis."""
_TONES = {"better": "green", "worse": "vermilion"}


@dataclass(frozen=True)
class Spot:
    """A point of a trend, in the unit of the panel; NaN where there is none."""

    place: int
    value: float
    low: float
    high: float
    beyond: str


def trend_charts(history: Mapping[str, Any], key: str) -> tuple[Chart, ...]:
    """Draw each series of a history that has a value; `key` is unique in the page."""
    return tuple(
        _chart(history, series, f"trend-{key}-{number}")
        for number, series in enumerate(history["series"], start=1)
        if any(known(point["value"]) == known(point["value"]) for point in series["points"])
    )


def _chart(history: Mapping[str, Any], series: Mapping[str, Any], key: str) -> Chart:
    campaigns = history["campaigns"]
    title = f"{head(series)}, {words.clean(history['deployment'])}"
    scale = words.scale_for(series["unit"], [known(each["value"]) for each in series["points"]])
    spots = [_spot(place, point, scale) for place, point in enumerate(series["points"])]

    def draw(figure: Figure) -> None:
        axes = figure.add_axes((0.14, 0.18, 0.83, 0.8))
        _levels(axes, spots, series["change_points"])
        _points(axes, spots)
        _dates(axes, campaigns)
        axes.set_ylim(*_span(spots))
        drawing.number_axis(axes.yaxis)
        axes.set_ylabel(scale.label)
        _marks(axes, series["change_points"])

    rows = tuple(
        (
            date(campaign["measured_at"]),
            words.clean(campaign["path"]),
            value_of(series, point),
            str(campaign["repetitions"]),
            next((MARKS[s["word"]] for s in series["change_points"] if s["index"] == place), ""),
            words.clean(point["why"]),
        )
        for place, (campaign, point) in enumerate(zip(campaigns, series["points"], strict=True))
    )
    columns = ("Measured (UTC)", "Folder", "Value, 95 %", "Repetitions", "Change", "Remark")
    better = {"lower": "Lower is better.", "higher": "Higher is better."}.get(series["better"], "")
    return Chart(
        key,
        title,
        drawing.picture(key, title, _description(series, rows), SIZE, draw),
        f"{better} A point for each campaign, in the order of measurement, with its 95 % interval; a dashed line "
        "where the figures change beyond chance, and the median on both sides.",
        Table(columns, rows),
    )


def _spot(place: int, point: Mapping[str, Any], scale: words.Scale) -> Spot:
    low, high = words.bounds(point["ci_low"], point["ci_high"])
    value, low, high = (scale.apply(each) for each in (known(point["value"]), low, high))
    return Spot(place, value, low, high, str(point["beyond"]))


def _span(spots: Sequence[Spot]) -> tuple[float, float]:
    """Give the height: all points, and intervals as far as they leave the points readable."""
    values = [spot.value for spot in spots if math.isfinite(spot.value)]
    ends = [end for spot in spots for end in (spot.low, spot.high) if math.isfinite(end)]
    low, high = min(values), max(values)
    room = max(high - low, 0.1 * abs(high), 1e-12)
    low = max(min([low, *ends]), low - 4 * room)
    high = min(max([high, *ends]), high + 4 * room)
    edge = 0.12 * max(high - low, room)
    return (0.0 if low >= 0 and low - edge < 0 else low - edge), high + 2 * edge


def _points(axes: Axes, spots: Sequence[Spot]) -> None:
    for spot in spots:
        if not math.isfinite(spot.value):
            continue
        if not math.isnan(spot.low + spot.high):
            ends = [end if math.isfinite(end) else spot.value for end in (spot.low, spot.high)]
            axes.plot(
                *([spot.place] * 2, ends),
                color=COLOURS["blue"],
                lw=5,
                alpha=0.35,
                solid_capstyle="round",
                zorder=2,
            )
        shape = {"above": "^", "below": "v"}.get(spot.beyond, "o")
        axes.plot([spot.place], [spot.value], shape, color=COLOURS["blue"], ms=6.5, zorder=4)


def _levels(axes: Axes, spots: Sequence[Spot], splits: Sequence[Mapping[str, Any]]) -> None:
    """Draw the median of each part between change points."""
    edges = [0, *(int(split["index"]) for split in splits), len(spots)]
    for start, end in itertools.pairwise(edges):
        values = sorted(spot.value for spot in spots[start:end] if math.isfinite(spot.value))
        if values and len(spots) > 1:
            middle = (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2
            axes.plot(
                *([start - 0.35, end - 0.65], [middle, middle]),
                color=COLOURS["muted"],
                lw=1.5,
                zorder=1,
            )


def _marks(axes: Axes, splits: Sequence[Mapping[str, Any]]) -> None:
    for split in splits:
        place = int(split["index"]) - 0.5
        colour = COLOURS[_TONES.get(split["word"], "ink")]
        axes.axvline(place, color=colour, lw=1.5, linestyle=(0, (5, 3)), zorder=1)
        right = place > sum(axes.get_xlim()) / 2
        axes.annotate(
            MARKS[split["word"]],
            (place, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(-5 if right else 5, -4),
            textcoords="offset points",
            ha="right" if right else "left",
            va="top",
            fontsize=drawing.SMALL,
            fontweight="bold",
            zorder=6,
        )


def _dates(axes: Axes, campaigns: Sequence[Mapping[str, Any]]) -> None:
    """Write the dates of a few campaigns, first and last among them; the times where all are of one day."""
    told = [date(campaign["measured_at"]) for campaign in campaigns]
    one_day = len({text[:10] for text in told}) == 1
    last = len(told) - 1
    places = sorted({round(last * part / (_LABELS - 1)) for part in range(_LABELS)})
    axes.set_xlim(-0.6, last + 0.6)
    drawing.fixed_axis(
        axes.xaxis, places, [told[place][11:] if one_day else told[place][5:10] for place in places]
    )
    first, final = told[0][:10], told[-1][:10]
    axes.set_xlabel(f"campaigns of {first}, UTC" if one_day else f"campaigns, {first} to {final}")


def _description(series: Mapping[str, Any], rows: Sequence[Sequence[str]]) -> str:
    count = len(series["change_points"])
    changes = f"{count} change point{'s' * (count != 1)}" if count else "no change point"
    return (
        f"{words.counted(len(rows), 'campaign')}, {changes}. First {rows[0][2]}, last {rows[-1][2]}. The table "
        "below the figure has every value."
    )
