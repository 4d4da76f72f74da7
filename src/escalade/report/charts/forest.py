"""Changes since a baseline as a forest plot: one line for each KPI, with its interval, threshold and verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from escalade.analysis.measured.levels import level_of
from escalade.report import words
from escalade.report.axis import short
from escalade.report.charts import drawing
from escalade.report.charts.drawing import COLOURS
from escalade.report.words import known

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from escalade.report.charts.hover import Drawn

WIDTH = 400.0
_LINE, _HEAD, _FOOT = 40.0, 26.0, 44.0
"""Heights of a KPI, of the words over a panel and of the axis, in CSS pixels."""
_MARKS = {
    "worse": ("v", "vermilion", True),
    "better": ("^", "green", True),
    "changed": ("D", "blue", True),
    "no change shown": ("o", "ink", True),
    "inconclusive": ("s", "orange", False),
}
"""Shape, colour, and whether it is filled: no two verdicts share the shape."""
_SIDES = {
    "lower": ("◀ better", "worse ▶", "lower is better"),
    "higher": ("◀ worse", "better ▶", "higher is better"),
    "none": ("◀ less", "more ▶", "neither side is better"),
}
_NAME = 44
"""Letters of a KPI's name that a line has room for."""


@dataclass(frozen=True)
class Effect:
    """One line of the plot; shares of the baseline, infinite beyond measure, NaN where there is none."""

    name: str
    better: str
    verdict: str
    point: float
    low: float
    high: float

    @property
    def drawn(self) -> bool:
        """Whether there is a point to draw."""
        return not math.isnan(self.point)

    @property
    def words(self) -> str:
        """The verdict with the effect: "worse, +20 %"."""
        if not self.drawn:
            return self.verdict
        return f"{self.verdict}, {percent(self.point)}"


def effect_of(row: Mapping[str, Any], *, deployment: bool) -> Effect:
    """Read a row of a comparison; differences become shares of the baseline's median."""
    point, low, high = (known(row[name]) for name in ("effect", "ci_low", "ci_high"))
    if row["scale"] == "ratio":
        point, low, high = point - 1, low - 1, high - 1
    elif row["scale"] == "difference":
        base = abs(known(row["baseline"])) or math.nan
        point, low, high = (value / base for value in (point, low, high))
    if row["scale"] is not None and row["effect"] is None:
        point = _beyond(row)
    low, high = words.bounds(None if math.isnan(low) else low, None if math.isnan(high) else high)
    name = named(row)
    return Effect(
        f"{name}, {words.clean(row['deployment'])}" if deployment else name,
        str(row["better"]),
        str(row["verdict"]),
        point,
        low,
        high,
    )


def named(row: Mapping[str, Any]) -> str:
    """Name a KPI of a comparison: "End-to-end latency p90 at 4/s"."""
    title = {"capacity_qps": "Capacity", "slo_capacity_qps": "SLO capacity"}.get(
        row["metric"]
    ) or words.title(row["metric"])
    stat = "" if row["stat"] == "value" else f" {row['stat']}"
    inner = ", ".join(str(row["label"]).split('"')[1::2])
    label = f" ({words.clean(inner)})" if inner else ""
    place = f" at {short(level_of(row))}" if row["step"] else ""
    return f"{title}{stat}{label}{place}"


def percent(share: float) -> str:
    """Write a change as a percentage with its sign."""
    if math.isinf(share):
        return f"{'+' if share > 0 else '−'}∞{words.NO_BREAK}%"
    text = words.plain(100 * share)
    return f"{'+' if share > 0 and text != '0' else ''}{text}{words.NO_BREAK}%"


def _beyond(row: Mapping[str, Any]) -> float:
    """Give the side of a change without number: failed requests have infinite times."""
    if row["verdict"] not in ("worse", "better") or row["better"] not in ("lower", "higher"):
        return math.nan
    up = (row["verdict"] == "better") == (row["better"] == "higher")
    return math.inf if up else -math.inf


def forest(key: str, title: str, effects: Sequence[Effect], margin: float) -> Drawn:
    """Draw the effects in their order, those of one direction in one panel."""
    panels = [
        [effect for effect in effects if effect.better == better]
        for better in dict.fromkeys(effect.better for effect in effects)
    ]
    ends = _ends(effects, margin)
    heights = [_LINE * len(panel) for panel in panels]
    total = sum(heights) + _HEAD * len(panels) + _FOOT

    def draw(figure: Figure) -> None:
        top = total
        for panel, height in zip(panels, heights, strict=True):
            top -= _HEAD + height
            axes = figure.add_axes((0.05, top / total, 0.9, height / total))
            _panel(axes, panel, ends, margin, last=panel is panels[-1])

    return drawing.picture(key, title, description(effects, margin), (WIDTH, total), draw)


def description(effects: Sequence[Effect], margin: float) -> str:
    """Say what the plot shows to somebody who can't see it."""
    told = [
        f"{effect.name}: {effect.words}"
        + (
            f" [{percent(effect.low)}, {percent(effect.high)}]"
            if not math.isnan(effect.low + effect.high)
            else ""
        )
        for effect in effects
    ]
    return (
        f"Change since the baseline with its 95 % interval, threshold at ±{100 * margin:.3g} %. "
        f"{words.sentence('; '.join(told))}"
    )


def _ends(effects: Sequence[Effect], margin: float) -> tuple[float, float]:
    """Give the ends of the axis: all points, and as much of the intervals as leaves them readable."""
    points = [effect.point for effect in effects if math.isfinite(effect.point)]
    ends = [end for e in effects for end in (e.low, e.high) if math.isfinite(end)]
    far = max([abs(point) for point in points], default=margin)
    least = max(2.0 * margin, 0.02, 0.25 * far)

    def end(sign: int) -> float:
        outermost = max([sign * point for point in points], default=0.0)
        interval = max([sign * end for end in ends], default=0.0)
        return sign * max(least, 1.15 * outermost, min(1.15 * interval, 3 * far))

    return end(-1), end(1)


def _panel(
    axes: Axes, effects: Sequence[Effect], ends: tuple[float, float], margin: float, *, last: bool
) -> None:
    axes.set_xlim(*ends)
    axes.set_ylim(len(effects) - 0.05, -0.05)
    for place, effect in enumerate(effects):
        _scale(axes, place, margin)
        _line(axes, place, effect, ends)
    _words_over(axes, effects[0].better)
    axes.grid(visible=False)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    drawing.number_axis(axes.xaxis, count=6)
    axes.xaxis.set_major_formatter(lambda value, _: percent(value))
    if not last:
        axes.tick_params(axis="x", labelbottom=False, length=0)
        axes.spines["bottom"].set_visible(False)
        return
    axes.set_xlabel(f"change since the baseline; dashed: threshold ±{100 * margin:.3g} %")


def _scale(axes: Axes, place: int, margin: float) -> None:
    """Draw the threshold and the place of no change beside a KPI's interval, clear of its name."""
    span = (place + 0.46, place + 0.92)
    axes.fill_betweenx(span, -margin, margin, color=COLOURS["band"], lw=0, zorder=0)
    for x in (-margin, margin) if margin else ():
        dashes = (0, (3, 2))
        axes.plot([x, x], span, color=COLOURS["muted"], lw=1.0, linestyle=dashes, zorder=1)
    axes.plot([0, 0], span, color=COLOURS["ink"], lw=1.2, zorder=1)


def _words_over(axes: Axes, better: str) -> None:
    left, right, what = _SIDES[better]
    for x, text, align in ((0.0, left, "left"), (0.5, what, "center"), (1.0, right, "right")):
        axes.annotate(
            text,
            (x, 1.0),
            xycoords="axes fraction",
            xytext=(0, 6),
            textcoords="offset points",
            ha=align,
            fontsize=drawing.SMALL,
            fontweight="normal" if x == 0.5 else "bold",
            color=COLOURS["muted" if x == 0.5 else "ink"],
        )


def _line(axes: Axes, place: int, effect: Effect, panel: tuple[float, float]) -> None:
    """Draw name and verdict, and under them the interval with its point."""
    height = place + 0.68
    name = effect.name if len(effect.name) <= _NAME else f"{effect.name[: _NAME - 1]}…"
    for x, text, align, weight in (
        (0.0, name, "left", "normal"),
        (1.0, effect.words, "right", "bold"),
    ):
        axes.text(
            *(x, place + 0.26, text),
            transform=axes.get_yaxis_transform(),
            ha=align,
            va="center",
            fontsize=drawing.SMALL,
            fontweight=weight,
            zorder=6,
        )
    if not effect.drawn:
        return
    shape, name_, filled = _MARKS[effect.verdict]
    colour = COLOURS[name_]
    if not math.isnan(effect.low + effect.high):
        ends = [_within(end, panel) for end in (effect.low, effect.high)]
        axes.plot(ends, [height, height], color=colour, lw=3.0, alpha=0.55, zorder=2)
        for end, given in zip(ends, (effect.low, effect.high), strict=True):
            cut = end != given
            mark = (">" if given > 0 else "<") if cut else "|"
            axes.plot(
                *([end], [height]),
                marker=mark,
                color=colour,
                ms=7,
                mew=0 if cut else 1.8,
                clip_on=False,
                zorder=3,
            )
    axes.plot(
        *([_within(effect.point, panel)], [height]),
        marker=shape,
        ms=8,
        color=colour,
        markerfacecolor=colour if filled else COLOURS["card"],
        markeredgewidth=1.6,
        clip_on=False,
        zorder=4,
    )


def _within(value: float, ends: tuple[float, float]) -> float:
    return max(ends[0], min(ends[1], value))
