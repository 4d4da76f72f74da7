"""The page of several campaigns in a real browser: it answers as a campaign's own page does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from integration.report import axe
from integration.report.test_report_browser import _CUT_IN_FIGURES, _OVERFLOWING, _UNREADABLE
from integration.report.test_report_script import _TIP, column, place

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.report.several.told import Member
    from integration.report.browser import Browser

Several = tuple["list[Member]", "Path"]


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_it_fits_its_window_and_nothing_leaves_it(
    chromium: Browser, several: Several, width: int, *, dark: bool
) -> None:
    chromium.open(several[1], width, dark=dark)
    chromium.value("document.querySelectorAll('details').forEach(each => each.open = true)")

    assert chromium.value("document.documentElement.scrollWidth") <= width
    assert chromium.value(_OVERFLOWING) == ""
    assert chromium.value(_CUT_IN_FIGURES) == ""
    assert chromium.value(_UNREADABLE) == ""
    assert chromium.requested() == [several[1].as_uri()]
    chromium.value(axe.script())
    assert chromium.value(axe.checked(axe.COLOURS if dark else axe.ALL)) == []
    assert chromium.complaints() == []


def test_it_tells_values_and_shows_one_metric_at_a_time(
    chromium: Browser, several: Several
) -> None:
    shown = "[...document.querySelectorAll('[data-view]')].filter(v => !v.hidden).map(v => v.dataset.view)"
    chromium.open(several[1], 1280)
    assert chromium.value(shown) == ["End-to-end latency", "Throughput"]

    points = "JSON.parse(document.getElementById('report-data').textContent).figures['several-latency'].points"
    (name, places) = chromium.value(points)[2]  # the others lie one on another
    chromium.move(*place(chromium, "several-latency", *places[0][:2]))
    assert chromium.value(_TIP.format("several-latency")) == f"{name} {places[0][2]}"
    assert "requests/s; step 1, repetition 1" in places[0][2]
    chromium.click(
        "[...document.querySelectorAll('[role=tab]')].find(t => t.textContent === 'Goodput')"
    )
    assert chromium.value(shown) == ["End-to-end latency", "Goodput"]


def test_its_overview_can_be_sorted(chromium: Browser, several: Several) -> None:
    table = "document.querySelector('table.overview')"
    chromium.open(several[1], 1280)
    before = column(chromium, table, 1)

    chromium.click(f"{table}.tHead.rows[0].cells[1].querySelector('button')")
    chromium.press("Enter")

    assert column(chromium, table, 1) == sorted(before, reverse=True) != before


def test_the_limit_of_each_campaign_can_be_moved(chromium: Browser, several: Several) -> None:
    chromium.open(several[1], 1280)
    options = chromium.value(
        "[...document.querySelectorAll('#limit-objective option')].map(o => o.textContent)"
    )
    assert [option.split(":")[0] for option in options] == ["demo", "later"]

    chromium.write("document.getElementById('limit-field-0')", "0.01")

    said = "document.querySelector('#what-if .explored:not([hidden]) [role=status]').textContent"
    assert chromium.value(said).endswith("smollm2: no step.")


def test_with_scripts_off_all_of_it_is_there_to_read(chromium: Browser, several: Several) -> None:
    chromium.open(several[1], 1280, scripts=False)

    assert chromium.value(
        "[...document.querySelectorAll('[data-view]')].every(v => v.offsetHeight)"
    )
    assert chromium.value("document.getElementById('what-if').offsetHeight") == 0
    assert chromium.value("document.querySelectorAll('[role=slider], .sort').length") == 0
