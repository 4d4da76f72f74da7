"""The report on paper: what the browser prints."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pypdf
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from integration.report.browser import Browser

A4 = (595, 842)
"""Width and height in points."""


@pytest.fixture(scope="module")
def pages(
    chromium: Browser, report: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[pypdf.PageObject]:
    """Print the page as it looks to somebody who likes it dark."""
    path = tmp_path_factory.mktemp("paper") / "report.pdf"
    chromium.open(report, 1280, dark=True)
    chromium.pdf(path)
    return list(pypdf.PdfReader(path).pages)


def words_of(page: pypdf.PageObject) -> str:
    """Give the text of a page in one line, with ligatures as their letters."""
    return " ".join(unicodedata.normalize("NFKC", page.extract_text()).split())


def test_it_is_a4_and_its_text_is_text(pages: list[pypdf.PageObject]) -> None:
    sizes = {tuple(round(float(length)) for length in page.mediabox[2:]) for page in pages}
    text = " ".join(words_of(page) for page in pages)

    assert sizes <= {A4, (A4[0] + 1, A4[1]), (A4[0], A4[1] + 1)}
    for expected in (
        "p90 of end-to-end latency ≤ 1.5 s",
        "seconds from planned send",
        "Time to first token",
        "escalade verify results/demo",
        "input_tokens: 32",  # of the configuration, which is folded on the screen
    ):
        assert expected in text, expected


def test_every_figure_stands_on_one_page_with_its_heading(
    chromium: Browser, report: Path, pages: list[pypdf.PageObject]
) -> None:
    chromium.open(report, 1280)
    figures = chromium.value(
        "[...document.querySelectorAll('figure')].map(f => [f.querySelector('h3').textContent,"
        " [...f.querySelectorAll('svg text')].map(t => t.textContent).filter(t => t.length > 8)])"
    )
    written = [words_of(page).replace(" ", "") for page in pages]

    assert figures
    for heading, labels in figures:
        plain = [unicodedata.normalize("NFKC", text) for text in (heading, *labels)]
        wanted = ["".join(text.split()) for text in plain]
        assert any(all(text in page for text in wanted) for page in written), heading


def test_what_only_answers_on_a_screen_is_not_on_paper(pages: list[pypdf.PageObject]) -> None:
    text = " ".join(words_of(page) for page in pages)

    assert "What if the limit" not in text
    assert "Skip to the results" not in text
    assert "↕" not in text


def test_no_page_is_empty(pages: list[pypdf.PageObject]) -> None:
    assert min(len(words_of(page)) for page in pages) > 40


def test_paper_is_white_though_the_screen_is_dark(chromium: Browser, report: Path) -> None:
    colours = (
        "['body', 'section', 'table'].map(name => getComputedStyle(document.querySelector(name)))"
        ".flatMap(style => [style.backgroundColor, style.color])"
    )
    chromium.open(report, 1280, dark=True)
    dark = chromium.value(colours)
    chromium.call(
        "Emulation.setEmulatedMedia",
        media="print",
        features=[{"name": "prefers-color-scheme", "value": "dark"}],
    )
    paper = chromium.value(colours)
    chromium.call("Emulation.setEmulatedMedia", media="")

    assert dark[0] == "rgb(14, 20, 26)"
    assert paper == [
        *("rgb(255, 255, 255)", "rgb(21, 32, 43)"),
        *("rgb(255, 255, 255)", "rgb(21, 32, 43)"),
        *("rgba(0, 0, 0, 0)", "rgb(21, 32, 43)"),
    ]
