"""Figures as parts of a page: identifiers, colours, text, label places."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from escalade.report.charts import drawing
from escalade.report.charts.distribution import tail
from escalade.report.charts.ladder import saturated_regions
from escalade.report.charts.lines import Point
from escalade.report.estimates import Estimate
from escalade.report.facts import SATURATED, VALID

HOSTILE = '</text><script>alert(1)</script> $\\frac{x$ "quoted" & #0010b7'


def draw(figure: Figure) -> None:
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], marker="o", color=drawing.COLOURS["blue"])
    axes.axvspan(0, 1, hatch="//", edgecolor=drawing.COLOURS["muted"])
    axes.set_title(HOSTILE)


def test_a_figure_is_the_same_every_time_and_its_identifiers_are_its_own() -> None:
    first, again = (drawing.picture("a", "t", "d", (300, 200), draw) for _ in range(2))
    other = drawing.picture("b", "t", "d", (300, 200), draw)

    def identifiers(svg: str) -> set[str]:
        return set(re.findall(r' id="([^"]+)"', svg))

    assert first == again
    assert identifiers(first)
    assert not identifiers(first) & identifiers(other)
    used = set(re.findall(r"url\(#([^)]+)\)", first)) | set(re.findall(r'href="#([^"]+)"', first))
    assert used <= identifiers(first)


def test_a_figure_takes_its_colours_from_the_page_and_refers_to_nothing_outside() -> None:
    svg = drawing.picture("a", "t", "d", (300, 200), draw)

    assert "var(--blue)" in svg
    assert re.findall(r'style="[^"]*#[0-9a-f]{6}', svg) == []
    assert "http" not in svg
    assert "font-family" not in svg


def test_text_in_a_figure_stays_text() -> None:
    svg = drawing.picture("a", HOSTILE, HOSTILE, (300, 200), draw)
    root = ET.fromstring(svg)  # noqa: S314 - what this test has drawn

    assert "<script" not in svg
    assert HOSTILE in [element.text for element in root.iter("text")]
    assert [root.findtext(name) for name in ("title", "desc")] == [HOSTILE, HOSTILE]


@given(st.lists(st.floats(0, 300), max_size=12).map(sorted))
def test_labels_are_moved_apart_and_keep_their_order(places: list[float]) -> None:
    moved = drawing.spread_apart(places, 13.0)

    assert len(moved) == len(places)
    assert all(b - a >= 13.0 - 1e-6 for a, b in itertools.pairwise(moved))
    if places:
        assert abs(sum(moved) / len(moved) - sum(places) / len(places)) < 1e-6


def test_labels_with_room_stay_where_they_are() -> None:
    assert drawing.spread_apart([0.0, 20.0, 60.0], 13.0) == [0.0, 20.0, 60.0]


def test_the_tail_axis_sets_90_99_and_999_per_mille_equally_far_apart() -> None:
    nine, ninety_nine, per_mille = (float(tail(share)) for share in (0.9, 0.99, 0.999))

    assert abs((ninety_nine - nine) - (per_mille - ninety_nine)) < 1e-9


def test_only_over_saturated_steps_are_hatched_and_neighbours_join() -> None:
    def point(rate: float, state: str) -> Point:
        return Point(1, rate, rate, 1, state, Estimate())

    states = [(1.0, SATURATED), (2.0, VALID), (4.0, SATURATED), (6.0, SATURATED)]

    regions = saturated_regions([point(*each) for each in states], 6.5)

    assert regions == [(0.0, 1.5), (3.0, 6.5)]


def test_words_in_a_panel_stand_where_no_line_runs() -> None:
    axes = Figure().add_subplot()
    axes.set_xlim(0, 10)
    axes.set_ylim(0, 100)

    assert drawing.free_height(axes, 6, 9) == 0.06  # the best place of an empty panel

    axes.plot([0, 10], [6, 6])
    axes.axhline(18)
    assert drawing.free_height(axes, 6, 9) == 0.3

    axes.plot([7, 7], [25, 45])  # an interval, from 0.25 to 0.45 of the height
    axes.axvline(7)  # marks the x axis, and is no obstacle
    axes.plot([0, 5], [54, 54])  # ends before the words begin
    assert drawing.free_height(axes, 6, 9) == 0.54


def test_words_in_a_full_panel_stand_furthest_from_all_lines() -> None:
    axes = Figure().add_subplot()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    for height in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.73, 0.83, 0.95):
        axes.plot([0, 1], [height, height])

    assert drawing.free_height(axes, 0.2, 0.8) == 0.66  # 0.06 from the nearest
