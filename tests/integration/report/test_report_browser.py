"""The report in a real browser: light and dark, wide and narrow, and on paper."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from escalade.analysis.findings import findings
from escalade.report.page import render
from integration.report.browser import browser, installed
from support import require_or_skip
from unit.report import campaign

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a report with several cells, one of them failed."""
    cells = [
        campaign.simulated_cell("slots-2", rates=(1.0, 2.0, 5.0), away=1),
        campaign.simulated_cell("slots-3-with-a-rather-long-name", rates=(1.0, 2.0, 5.0), slots=3),
    ]
    cells.append(campaign.without_results(cells[0], "the service never became ready", ["x" * 300]))
    names = ("slots-2", "slots-3-with-a-rather-long-name")
    data = campaign.analysed(cells, campaign.configuration(names, 1, (1.0, 2.0, 5.0)))
    data.verdicts["findings"] = findings(data.verdicts, data.kpis, data.cells)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(render(data), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start a browser once for all tests here."""
    executable = installed()
    if executable is None:
        require_or_skip("chromium", "no Chromium was found on PATH")
    with browser(executable, tmp_path_factory.mktemp("profile")) as started:
        yield started


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


def test_the_page_prints(chromium: Browser, report: Path, tmp_path: Path) -> None:
    chromium.open(report, 1280)
    chromium.pdf(tmp_path / "report.pdf")

    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF-")
