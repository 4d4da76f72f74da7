"""The report in a real browser: light and dark, wide and narrow, and on paper."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from integration.report import axe

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.report.data import ReportData
    from integration.report.browser import Browser

_OVERFLOWING = """
[...document.querySelectorAll("body *")]
  .filter(e => !e.closest("svg") && !e.closest(".scroll") && !e.closest("pre"))
  .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5)
  .map(e => e.tagName + "." + e.className).join()
"""
_CUT_IN_FIGURES = """
[...document.querySelectorAll("figure svg text")]
  .filter(text => {
    const inside = text.getBoundingClientRect(), figure = text.closest("svg").getBoundingClientRect();
    return inside.width > 0 && (inside.left < figure.left - 1 || inside.right > figure.right + 1
      || inside.top < figure.top - 1 || inside.bottom > figure.bottom + 1);
  })
  .map(text => text.closest("figure").id + ": " + text.textContent).join()
"""
_OVERLAPPING = """
[...document.querySelectorAll("figure svg")].flatMap(svg => {
  const boxes = [...svg.querySelectorAll("text")].map(text => [text, text.getBoundingClientRect()])
    .filter(([, box]) => box.width > 0);
  const meet = (a, b) => {  // letters, not the empty space above and below them
    const slack = 0.2 * Math.min(a.height, b.height);
    return Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
      && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > slack;
  };
  return boxes.flatMap(([one, a], at) => boxes.slice(at + 1).filter(([, b]) => meet(a, b))
    .map(([other]) => svg.closest("figure").id + ": " + one.textContent + " | " + other.textContent));
}).join("\\n")
"""
_SMALL_TARGETS = """
[...document.querySelectorAll("button, input, select, summary, nav a")]
  .filter(e => { const b = e.getBoundingClientRect(); return b.width > 0 && Math.min(b.width, b.height) < 24; })
  .map(e => e.tagName + " " + e.textContent).join()
"""
_UNREADABLE = """
(() => {
  const channel = c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = c.match(/[0-9.]+/g).map(Number);
    return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
  const paper = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor;
    if (!/, 0\\)$/.test(c) && c !== "transparent") return light(c); } return 1; };
  const bad = new Set();
  for (const e of document.querySelectorAll("body *")) {
    if (e.closest("svg") || ![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const [a, b] = [light(getComputedStyle(e).color), paper(e)].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.add(e.tagName + "." + e.className);
  }
  return [...bad].join();
})()
"""


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_its_window_and_nothing_leaves_it(
    chromium: Browser, report: Path, width: int, *, dark: bool
) -> None:
    chromium.open(report, width, dark=dark)

    assert chromium.value("innerWidth") == width
    assert chromium.value("document.documentElement.scrollWidth") <= width
    assert chromium.value(_OVERFLOWING) == ""
    assert chromium.value(_CUT_IN_FIGURES) == ""
    assert chromium.value(_UNREADABLE) == ""
    assert chromium.requested() == [report.as_uri()]
    assert chromium.complaints() == []


def test_a_figure_follows_light_and_dark(chromium: Browser, report: Path) -> None:
    colour = "getComputedStyle(document.querySelector('figure svg text')).fill"

    chromium.open(report, 1280)
    light = chromium.value(colour)
    chromium.open(report, 1280, dark=True)

    assert chromium.value(colour) != light


def test_the_policy_stops_what_was_smuggled_in(chromium: Browser, report: Path) -> None:
    chromium.open(report, 1280)
    chromium.value(
        "document.body.insertAdjacentHTML('beforeend', "
        '\'<img src="http://192.0.2.1/x.png"><img src=y.png onerror="window.broken = true">\')'
    )
    deadline = time.monotonic() + 10
    while len(chromium.refused()) < 2 and time.monotonic() < deadline:
        chromium.value("1")

    assert chromium.refused() == ["csp", "csp"]
    assert chromium.value("window.broken") is None


@pytest.mark.parametrize("width", [390, 1280])
def test_many_steps_fit_and_no_label_lies_on_another(
    chromium: Browser, long: Path, width: int
) -> None:
    chromium.open(long, width)
    chromium.value("document.querySelectorAll('[data-view]').forEach(view => view.hidden = false)")
    chromium.value("document.querySelectorAll('details').forEach(each => each.open = true)")

    assert chromium.value("document.documentElement.scrollWidth") <= width
    assert chromium.value(_OVERFLOWING) == ""
    assert chromium.value(_CUT_IN_FIGURES) == ""
    assert chromium.value(_OVERLAPPING) == ""
    assert chromium.value(_SMALL_TARGETS) == ""
    assert chromium.complaints() == []


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_violation(
    chromium: Browser, repeated: tuple[ReportData, Path], *, dark: bool
) -> None:
    script = axe.script()
    chromium.open(repeated[1], 1280, dark=dark)
    chromium.value("document.querySelectorAll('details').forEach(each => each.open = true)")

    chromium.value(script)

    # in the dark the page is the same, but for its colours
    assert chromium.value(axe.checked(axe.COLOURS if dark else axe.ALL)) == []


def test_with_scripts_off_everything_is_there_to_read(chromium: Browser, report: Path) -> None:
    shown = "document.querySelectorAll('[data-view] figure').length"

    chromium.open(report, 1280, scripts=False)
    without = chromium.value("document.body.innerText.length")

    assert chromium.value("document.documentElement.className") == ""
    assert chromium.value(f"{shown} > 2")
    assert chromium.value(
        "[...document.querySelectorAll('[data-view]')].every(v => v.offsetHeight)"
    )
    assert chromium.value("document.getElementById('what-if').offsetHeight") == 0
    assert (
        chromium.value("document.querySelectorAll('[role=slider], .sort, [role=tab]').length") == 0
    )
    assert without > 5000


def test_a_click_on_the_skip_link_leads_past_the_contents(chromium: Browser, report: Path) -> None:
    chromium.open(report, 1280)

    chromium.press("Tab")
    assert chromium.value("document.activeElement.textContent") == "Skip to the results"
    assert chromium.value("document.activeElement.getBoundingClientRect().top") >= 0
    chromium.press("Enter")

    assert chromium.value("document.activeElement.id") == "main"
