"""Energy per request and per token against the arrival rate, gross and net of idle, one panel per scope."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from escalade.report import words
from escalade.report.charts import drawing
from escalade.report.charts.drawing import SIZE
from escalade.report.charts.ladder import Scene, against_rate, draw_lines, panel
from escalade.report.charts.lines import Line, Point, description, highest_of, table_of, told_band
from escalade.report.charts.pieces import told_pieces
from escalade.report.sections.energy import PER_REQUEST, PER_TOKEN, SCOPES, scopes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from escalade.report.charts.drawing import Chart
    from escalade.report.data import ReportData
    from escalade.report.facts import CellFacts


def energy_charts(data: ReportData) -> list[Chart]:
    """Draw what was measured; nothing where there is no figure."""
    charts = []
    for place, (name, cells) in enumerate(data.deployments.items(), start=1):
        for scope in scopes_of(data, cells):
            for metric, thing in ((PER_REQUEST, "request"), (PER_TOKEN, "output token")):
                gross = _line(data, cells, metric, "gross", scope)
                net = _line(data, cells, metric, "net", scope)
                if gross.drawn:
                    scene = Scene(data, name, [gross, net])
                    kind = thing.rpartition(" ")[2]
                    charts.append(_chart(scene, scope, thing, f"energy-{kind}-{scope}-{place}"))
    return charts


def _line(data: ReportData, cells: Sequence[CellFacts], metric: str, stat: str, scope: str) -> Line:
    points = tuple(
        Point(
            step.number,
            step.place,
            data.arrival_rate(cell.name, step),
            cell.repetition,
            step.state,
            data.scoped(cell.name, step.number, metric, stat, scope),
        )
        for cell in cells
        for step in cell.steps
    )
    strong = stat == "gross"
    return Line(stat, points, "blue" if strong else "green", "o" if strong else "D", strong=strong)


def _chart(scene: Scene, scope: str, thing: str, key: str) -> Chart:
    heading = scene.heading(f"Energy per {thing}, {SCOPES[scope]}")

    def draw(figure: Figure) -> None:
        axes = panel(figure)
        axes.set_ylim(0, 1.15 * max(highest_of(scene.lines), 1e-9))
        drawing.number_axis(axes.yaxis)
        axes.set_ylabel(f"J per {thing}")
        against_rate(axes, scene)
        kept = [line for line in scene.lines if line.drawn]
        draw_lines(axes, replace(scene, lines=kept), words.Scale(1.0, ""))

    svg = drawing.picture(key, heading, description(scene.lines, "J", scene.data.axis), SIZE, draw)
    caption = (
        "Gross: all energy of the window by what was answered in it. Net: without what the same "
        f"scope draws while the service waits. {told_band(scene.lines, brief=True)}"
        f"{told_pieces(scene.data, [scene.deployment])}"
    )
    return drawing.Chart(key, heading, svg, caption, table_of(scene.lines, scene.data.axis))
