"""Tokens per second per GPU against tokens per second per user: what operators get, and what users see."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from escalade.analysis.kpis.interactivity import PER_CORE, PER_GPU, PER_NODE, PER_USER
from escalade.report import words
from escalade.report.axis import at, short
from escalade.report.charts import drawing, hover, overlay
from escalade.report.charts.drawing import COLOURS, SIZE, Chart
from escalade.report.facts import INVALID, SATURATED, VALID
from escalade.report.tables import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from escalade.report.data import ReportData
    from escalade.report.estimates import Estimate
    from escalade.report.facts import StepFacts

_PER = {PER_GPU: "GPU", PER_CORE: "core", PER_NODE: "node"}
_WORST = (INVALID, SATURATED)
"""Of the states of a step's repetitions, the one that counts for all."""


@dataclass(frozen=True)
class Spot:
    """One step of a deployment: the median over its repetitions, and the intervals of an only one."""

    step: StepFacts
    state: str
    pace: float
    share: float
    own: tuple[Estimate, Estimate] | None
    repetitions: int


def interactivity_charts(data: ReportData) -> list[Chart]:
    """Draw a figure for each kind of share that deployments have; nothing where no token rate was measured."""
    charts: list[Chart] = []
    for metric, per in _PER.items():
        found = {name: _spots(data, name, metric) for name in data.deployments}
        shown = {name: spots for name, spots in found.items() if spots}
        names = list(shown)
        for start in range(0, len(names), overlay.MOST):
            part = {name: shown[name] for name in names[start : start + overlay.MOST]}
            charts.append(_chart(part, per, len(charts) + 1))
    return charts


def _spots(data: ReportData, deployment: str, metric: str) -> list[Spot]:
    """Collect the steps that have both figures in some repetition, in the order of the ladder."""
    cells = data.deployments[deployment]
    steps: dict[int, list[tuple[StepFacts, Estimate, Estimate]]] = {}
    for cell in cells:
        for step in cell.steps:
            pace = data.estimate(cell.name, step.number, PER_USER, "p50")
            share = data.estimate(cell.name, step.number, metric, "value")
            if pace.known and share.known:
                steps.setdefault(step.number, []).append((step, pace, share))
    spots = []
    for found in steps.values():
        states = [step.state for step, _, _ in found]
        only = found[0] if len(found) == 1 else None
        spots.append(
            Spot(
                step=found[0][0],
                state=next((bad for bad in _WORST if bad in states), states[0]),
                pace=statistics.median(pace.value for _, pace, _ in found),
                share=statistics.median(share.value for _, _, share in found),
                own=(only[1], only[2]) if only else None,
                repetitions=len(found),
            )
        )
    return sorted(spots, key=lambda spot: spot.step.place)


def _chart(shown: dict[str, list[Spot]], per: str, place: int) -> Chart:
    key = f"interactivity-{place}"
    heading = f"Output tokens per second per {per} against those per user"
    told = "; ".join(
        f"{name} gives {words.plain(spots[0].share)} per {per} at {words.plain(spots[0].pace)} per user "
        f"{at(spots[0].step.level)}, and {words.plain(spots[-1].share)} at "
        f"{words.plain(spots[-1].pace)} {at(spots[-1].step.level)}"
        for name, spots in shown.items()
    )
    svg = drawing.picture(
        key,
        heading,
        f"Better is up and to the right. In tokens per second, {told}. "
        "The table below the figure has every step.",
        (SIZE[0], overlay.height_of(list(shown), strip=False)),
        lambda figure: _draw(figure, shown, per),
    )
    most = max(spot.repetitions for spots in shown.values() for spot in spots)
    caption = (
        f"A point per step, labelled with its load where there is room. Upwards: tokens of all users per {per} of the "
        "service. To the right: the pace at which the median user's answer is written once it has "
        "begun (1 / median time per output token); the wait before it is not in it. Hollow: "
        "over-saturated, a pace only for those whose turn has come. "
        + (
            f"Medians over {most} repetitions."
            if most > 1
            else "Bars: 95 % intervals of this run's own requests."
        )
    )
    return Chart(key, heading, svg, caption, _table(shown, per))


def _draw(figure: Figure, shown: dict[str, list[Spot]], per: str) -> None:
    looks = [(name, *overlay.LOOKS[place]) for place, name in enumerate(shown)]
    axes = overlay.main_panel(figure, looks, strip=False)
    everything = [spot for spots in shown.values() for spot in spots]
    axes.set_xlim(0, max(spot.pace for spot in everything) * 1.18)
    axes.set_ylim(0, max(spot.share for spot in everything) * 1.18)
    drawing.number_axis(axes.xaxis)
    drawing.number_axis(axes.yaxis)
    axes.set_xlabel("tokens/s per user (median)")
    axes.set_ylabel(f"tokens/s per {per}")
    for (name, colour, marker, style), spots in zip(looks, shown.values(), strict=True):
        axes.plot(
            [spot.pace for spot in spots],
            [spot.share for spot in spots],
            color=COLOURS[colour],
            lw=1.8,
            linestyle=style,
        )
        for spot in spots:
            _spot(axes, spot, colour, marker)
            hover.point(axes, name, spot.pace, spot.share, _said(spot, per))
    overlay.name_points(
        axes, [(spot.pace, spot.share, short(spot.step.level)) for spot in everything]
    )
    axes.annotate(
        "better",
        (0.13, 0.16),
        xytext=(0.02, 0.05),
        xycoords="axes fraction",
        textcoords="axes fraction",
        fontsize=drawing.SMALL,
        ha="left",
        va="center",
        arrowprops={"arrowstyle": "->", "color": COLOURS["ink"], "lw": 1.4},
    )


def _spot(axes: Axes, spot: Spot, colour: str, marker: str) -> None:
    if spot.own is not None:
        pace, share = spot.own
        for ends, of_pace in ((pace, True), (share, False)):
            if ends.has_interval and math.isfinite(ends.low) and math.isfinite(ends.high):
                along = [ends.low, ends.high]
                across = [spot.share if of_pace else spot.pace] * 2
                axes.plot(
                    *((along, across) if of_pace else (across, along)),
                    color=COLOURS[colour],
                    lw=3,
                    alpha=0.3,
                    solid_capstyle="round",
                )
    axes.plot(
        [spot.pace],
        [spot.share],
        marker="x" if spot.state == INVALID else marker,
        markersize=7,
        markerfacecolor=COLOURS[colour] if spot.state == VALID else COLOURS["card"],
        markeredgecolor=COLOURS[colour],
        markeredgewidth=2.2 if spot.state == INVALID else 1.4,
        linestyle="none",
        zorder=4,
    )


def _said(spot: Spot, per: str) -> str:
    state = "" if spot.state == VALID else f", {spot.state}"
    return (
        f"{words.plain(spot.share)} tokens/s per {per}, {words.plain(spot.pace)} tokens/s per user, "
        f"{at(spot.step.level)}; step {spot.step.number}{state}"
    )


def _table(shown: dict[str, list[Spot]], per: str) -> Table:
    columns = (
        *("Deployment", "Step", "Load", "State", "Repetitions"),
        *(f"Tokens/s per {per}", "Tokens/s per user"),
    )
    rows = [
        (
            name,
            str(spot.step.number),
            short(spot.step.level),
            spot.state,
            str(spot.repetitions),
            _ends(spot.share, spot.own[1] if spot.own else None),
            _ends(spot.pace, spot.own[0] if spot.own else None),
        )
        for name, spots in shown.items()
        for spot in spots
    ]
    return Table(columns, tuple(rows))


def _ends(value: float, own: Estimate | None) -> str:
    return words.plain(value) if own is None else words.amount(value, own.low, own.high, "1")
