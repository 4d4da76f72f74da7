"""Throughput, goodput and tokens against the arrival rate, a figure for each deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from escalade.report.charts import drawing
from escalade.report.charts.bound_lines import REQUESTS, TOKENS, draw_levels, levels_of, within
from escalade.report.charts.drawing import COLOURS, SIZE, Chart
from escalade.report.charts.ladder import (
    SAME,
    Scene,
    against_rate,
    capacity_height,
    draw_lines,
    panel,
)
from escalade.report.charts.lines import description, highest_of, line_of, table_of, told_band
from escalade.report.charts.pieces import told_pieces

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from escalade.report.data import ReportData


def throughput_charts(data: ReportData) -> list[Chart]:
    """Draw throughput, goodput and tokens against the arrival rate, per deployment."""
    charts = []
    for place, (name, cells) in enumerate(data.deployments.items(), start=1):
        done = line_of(data, cells, "throughput_qps", label="throughput", colour="blue")
        good = line_of(
            data,
            cells,
            "goodput_qps",
            label="goodput",
            colour="green",
            marker="D",
            strong=False,
        )
        if done.drawn or good.drawn:
            charts.append(_throughput_chart(Scene(data, name, [done, good]), place))
        tokens = line_of(data, cells, "output_tokens_per_second", label="", colour="purple")
        if tokens.drawn:
            charts.append(_tokens_chart(Scene(data, name, [tokens]), place))
    return charts


def _throughput_chart(scene: Scene, place: int) -> Chart:
    key, heading = f"throughput-{place}", scene.heading("Throughput and goodput")
    opened = scene.data.axis.open
    ideal = max((point.rate for point in scene.points), default=1.0)
    grey = COLOURS["muted"]
    bounds = levels_of(scene.data, scene.deployment, REQUESTS)

    def draw(figure: Figure) -> None:
        axes = panel(figure, right=0.78)
        top = max(ideal if scene.data.axis.open else 0.0, highest_of(scene.lines), 0.1)
        axes.set_ylim(0, 1.12 * max(top, *(level.value for level in within(bounds, top)), 0.0))
        drawing.number_axis(axes.yaxis)
        axes.set_ylabel("requests/s")
        against_rate(axes, scene)
        also = []
        if scene.data.axis.open:  # else nothing says how much would be answered at once
            axes.plot([0, ideal], [0, ideal], color=grey, linestyle=(0, (4, 3)), lw=1.2)
            also = [(ideal, ideal, "ideal")]
        capacity_height(axes, scene)
        draw_levels(axes, bounds, "requests/s")
        draw_lines(axes, scene, SAME, also=also)

    svg = drawing.picture(
        key, heading, description(scene.lines, "requests/s", scene.data.axis), SIZE, draw
    )
    caption = (
        "Throughput counts completions inside the window, goodput those within the objective"
        + ("; on the dashed line everything sent would be answered at once. " if opened else ". ")
        + told_band(scene.lines, brief=True)
        + told_pieces(scene.data, [scene.deployment])
    )
    return Chart(key, heading, svg, caption, table_of(scene.lines, scene.data.axis))


def _tokens_chart(scene: Scene, place: int) -> Chart:
    key, heading = f"tokens-{place}", scene.heading("Output tokens per second")
    bounds = levels_of(scene.data, scene.deployment, TOKENS)

    def draw(figure: Figure) -> None:
        axes = panel(figure)
        top = max(highest_of(scene.lines), 0.1)
        axes.set_ylim(0, 1.15 * max(top, *(level.value for level in within(bounds, top)), 0.0))
        drawing.number_axis(axes.yaxis)
        axes.set_ylabel("tokens/s")
        against_rate(axes, scene)
        draw_levels(axes, bounds, "tokens/s")
        draw_lines(axes, scene, SAME)

    svg = drawing.picture(
        key, heading, description(scene.lines, "tokens/s", scene.data.axis), SIZE, draw
    )
    caption = f"Tokens of all answers, counted when they came. {told_band(scene.lines, brief=True)}"
    caption += told_pieces(scene.data, [scene.deployment])
    return Chart(key, heading, svg, caption, table_of(scene.lines, scene.data.axis))
