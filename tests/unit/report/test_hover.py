"""What a figure tells where somebody points at it."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import pytest

from escalade.report.charts import drawing, hover
from escalade.report.charts.distribution import distribution_charts
from escalade.report.charts.latency import latency_charts
from escalade.report.charts.timelines import timeline_charts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from escalade.report.data import ReportData

LEFT, BOTTOM, WIDTH, HEIGHT = 0.1, 0.2, 0.5, 0.4


def panel(figure: Figure) -> Axes:
    """Put axes from (30, 40) to (180, 120) of 300 × 200 pixels, counted from below."""
    axes = figure.add_axes((LEFT, BOTTOM, WIDTH, HEIGHT))
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 4)
    return axes


def test_points_come_in_the_coordinates_of_the_picture() -> None:
    def draw(figure: Figure) -> None:
        axes = panel(figure)
        hover.point(axes, "p90", 5, 4, "four")
        hover.point(axes, "p50", 0, 1, "one")
        hover.point(axes, "p90", 10, 0, "none")
        hover.point(axes, "p90", math.nan, 0, "never drawn")

    drawn = drawing.picture("a", "t", "d", (300, 200), draw)

    # x: 30 + 150·5/10; y counts from above: 200 − 120, 200 − (40 + 80/4), 200 − 40
    assert drawn.hover == {
        "points": [
            ["p90", [[105.0, 80.0, "four"], [180.0, 160.0, "none"]]],
            ["p50", [[30.0, 140.0, "one"]]],
        ]
    }


def test_a_line_keeps_its_name_in_the_picture_and_its_panel_can_be_read_back() -> None:
    def draw(figure: Figure) -> None:
        axes = panel(figure)
        axes.plot([0, 1], [0, 1])
        (line,) = axes.plot([0, 10], [0, 4])
        hover.line(axes, line, "sent", " ms", "cell-1")

    drawn = drawing.picture("a", "t", "d", (300, 200), draw)

    (found,) = drawn.hover["panels"]
    ((identifier, label),) = found.pop("lines")
    assert label == "sent"
    assert found == {
        "box": [30.0, 80.0, 150.0, 80.0],
        "x": [0.0, 10.0],
        "y": [0.0, 4.0],
        "log": False,
        "unit": " ms",
        "clock": "cell-1",
    }
    path = re.search(rf'<g id="{identifier}"><path d="M ?([^"]+)"', drawn)
    assert path
    assert [float(number) for number in re.findall(r"[\d.]+", path[1])] == [30, 160, 180, 80]


def test_what_was_recorded_for_one_figure_is_not_told_by_another() -> None:
    def draw(figure: Figure) -> None:
        hover.point(panel(figure), "p90", 5, 4, "four")

    first = drawing.picture("a", "t", "d", (300, 200), draw)
    other = drawing.picture("b", "t", "d", (300, 200), lambda figure: figure.add_subplot() and None)

    assert first.hover
    assert other.hover == {}


def texts(chart: drawing.Chart) -> list[str]:
    return [place[2] for _, places in chart.svg.hover["points"] for place in places]


def test_every_point_of_a_latency_chart_says_value_interval_n_unit_and_where(
    one: ReportData,
) -> None:
    told = texts(latency_charts(one)[0])

    assert len(told) == 5 + 4  # p50 at five steps; p90 needs more than the 20 requests of the first
    asked = one.estimate(one.facts[0].name, 3, "latency_seconds", "p90")
    line = next(text for text in told if "step 3" in text and f"n = {asked.n:.0f}" in text)
    assert re.fullmatch(
        r"[\d.]+\sm?s \[[\d.]+,\s[\d.]+\], n = 80, at [\d.]+\srequests/s; step 3, repetition 1",
        line,
    )
    assert any(text.endswith(", over-saturated") for text in told)


def test_a_distribution_tells_its_quantiles_up_to_what_its_requests_support(
    one: ReportData,
) -> None:
    (name, places), *_ = distribution_charts(one)[0].svg.hover["points"]

    assert name == "0.5/s"  # 20 requests bear no p90, whose floor is 36
    assert [place[2].split()[0] for place in places] == ["50", "slowest:"]


@pytest.mark.parametrize("charts", [latency_charts, distribution_charts, timeline_charts])
def test_all_that_is_told_can_be_written_as_json(charts: Any, one: ReportData) -> None:
    for chart in charts(one):
        assert chart.svg.hover
        json.dumps(dict(chart.svg.hover), allow_nan=False)


def test_every_line_of_a_timeline_shares_its_cells_clock(one: ReportData) -> None:
    (chart,) = timeline_charts(one)

    panels = chart.svg.hover["panels"]
    assert {panel["clock"] for panel in panels} == {"cell-1"}
    assert [label for _, label in panels[0]["lines"]] == ["planned", "sent", "completed"]
    for identifier, _ in (line for panel in panels for line in panel["lines"]):
        assert f'<g id="{identifier}">' in chart.svg
