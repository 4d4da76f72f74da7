"""What the page answers: to the mouse, to the keyboard, and to another limit."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from escalade.analysis.verdicts.judge import judge
from escalade.report.charts.latency import latency_charts
from escalade.report.charts.panels import panels
from escalade.report.charts.timelines import timeline_charts
from unit.report.campaign import SLOS

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.report.data import ReportData
    from integration.report.browser import Browser

Repeated = tuple["ReportData", "Path"]

_TIP = "document.querySelector('#figure-{} .tip:not([hidden])')?.textContent"
_VERDICTS = """
[...document.querySelectorAll("#what-if tbody tr")].map(row =>
  [...row.cells].map(cell => cell.textContent.trim().replace(/^[✓✗?⊘–] /, "")))
"""


def place(browser: Browser, figure: str, x: float, y: float) -> tuple[float, float]:
    """Bring a figure into the window; gives where a place of its drawing is."""
    picture = f"document.querySelector('#figure-{figure} svg')"
    left, top, width, _ = browser.box(picture)
    scale = width / browser.value(f"{picture}.viewBox.baseVal.width")
    return left + x * scale, top + y * scale


def test_the_mouse_over_a_mark_tells_its_value_and_leaving_it_ends_that(
    chromium: Browser, repeated: Repeated
) -> None:
    data, page = repeated
    chart = latency_charts(data)[0]
    name, points = chart.svg.hover["points"][-1]
    x, y, text = points[3]
    chromium.open(page, 1280)

    chromium.move(*place(chromium, chart.key, x, y))
    assert chromium.value(_TIP.format(chart.key)) == f"{name} {text}"
    chromium.move(1, 1)

    assert chromium.value(_TIP.format(chart.key)) is None


def test_the_keyboard_goes_from_mark_to_mark_and_says_each(
    chromium: Browser, repeated: Repeated
) -> None:
    data, page = repeated
    chart = latency_charts(data)[0]
    (lower, below), (upper, above) = (
        (name, sorted(points, key=lambda point: point[0]))
        for name, points in chart.svg.hover["points"]
    )
    spoken = "document.activeElement.getAttribute('aria-valuetext')"
    chromium.open(page, 1280)
    chromium.value(f"document.querySelector('#figure-{chart.key} .reader').focus()")

    chromium.press("ArrowRight", 2)
    assert chromium.value(spoken) == f"{lower}: {below[2][2]}"
    chromium.press("ArrowUp")
    beside = min(above, key=lambda point: abs(point[0] - below[2][0]))
    assert chromium.value(spoken) == f"{upper}: {beside[2]}"
    chromium.press("End")
    assert chromium.value(spoken) == f"{upper}: {above[-1][2]}"
    assert chromium.value(_TIP.format(chart.key)) == f"{upper} {above[-1][2]}"
    chromium.press("Escape")
    assert chromium.value(_TIP.format(chart.key)) is None


def test_one_cursor_reads_every_panel_of_a_cell_at_one_time(
    chromium: Browser, repeated: Repeated
) -> None:
    data, page = repeated
    chart, cell = timeline_charts(data)[0], data.facts[0]
    memory = next(p for p in panels(cell) if p.title == "Service memory").traces[0].points
    time, value = memory[len(memory) // 3]
    first = chart.svg.hover["panels"][0]
    x = first["box"][0] + first["box"][2] * time / first["x"][1]
    chromium.open(page, 1280)

    chromium.move(*place(chromium, chart.key, x, first["box"][1] + 10))
    told = chromium.value(
        f"[...document.querySelectorAll('#figure-{chart.key} .cursor text')].map(t => t.textContent)"
    )

    assert len(told) == len(chart.svg.hover["panels"])
    assert re.fullmatch(
        r"[\d.]+ s: planned 2 · sent [\d.]+ · completed [\d.]+\srequests/s", told[0]
    ), told[0]
    assert float(told[0].split()[0]) == pytest.approx(time, abs=0.5)
    number, unit = told[-1].split("\N{NO-BREAK SPACE}")
    assert unit == "MiB"
    assert float(number) * 2**20 == pytest.approx(value, rel=0.01)


def test_the_cursor_says_where_no_sample_is(chromium: Browser, report: Path) -> None:
    chromium.open(report, 1280)  # the first step of its first cell has a gap of 8 s
    chromium.value("document.querySelector('#figure-timeline-1 .reader').focus()")
    chromium.press("Home")
    chromium.press("PageDown")
    steps, spoken = 0, ""
    while "no sample" not in spoken and steps < 40:
        chromium.press("ArrowRight")
        spoken = chromium.value("document.activeElement.getAttribute('aria-valuetext')")
        steps += 1

    assert "Service CPU no sample" in spoken
    assert "sent no sample" not in spoken  # requests were recorded all the same


def test_one_metric_is_shown_at_a_time_and_arrow_keys_go_to_the_next(
    chromium: Browser, repeated: Repeated
) -> None:
    shown = "[...document.querySelectorAll('[data-view]')].filter(v => !v.hidden).map(v => v.dataset.view)"
    tab = "document.querySelectorAll('[role=tab]')"
    chromium.open(repeated[1], 1280)
    names = chromium.value("[...document.querySelectorAll('[data-view]')].map(v => v.dataset.view)")

    assert names[:2] == ["End-to-end latency", "Time to first token"]
    assert chromium.value(shown) == names[:1]
    chromium.click(f"{tab}[1]")
    assert chromium.value(shown) == [names[1]]
    chromium.press("Home")
    assert chromium.value(shown) == names[:1]
    chromium.press("ArrowLeft")
    assert chromium.value(shown) == names[-1:]
    assert chromium.value(f"[...{tab}].filter(t => t.tabIndex === 0).length") == 1


def test_a_link_to_a_figure_that_is_not_shown_brings_it_up(
    chromium: Browser, repeated: Repeated
) -> None:
    chromium.open(repeated[1], 1280)
    chromium.value("location.hash = '#figure-ttft-1'")
    chromium.value("new Promise(done => setTimeout(done, 50))")

    assert chromium.value("document.getElementById('figure-ttft-1').offsetHeight") > 0


def column(browser: Browser, table: str, at: int) -> list[str]:
    return list(
        browser.value(f"[...{table}.tBodies[0].rows].map(r => r.cells[{at}].textContent.trim())")
    )


def test_a_table_is_sorted_by_the_number_behind_the_text_missing_last(
    chromium: Browser, report: Path
) -> None:
    table = "document.getElementById('made-up')"
    fields = [
        "1.2 s",
        "—",
        "900 ms",
        "2 s [1, 3], n = 7",
        "−5 µs",
        "1\N{NARROW NO-BREAK SPACE}000 s",
    ]
    rows = "".join(f"<tr><td>{place}</td><td>{text}</td></tr>" for place, text in enumerate(fields))
    made = (
        "<table class='plain' id='made-up'><thead><tr><th>Place</th><th>Time</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></main>"
    )
    altered = report.with_name("altered.html")
    altered.write_text(report.read_text("utf-8").replace("</main>", made), encoding="utf-8")
    chromium.open(altered, 1280)
    heading = f"{table}.tHead.rows[0].cells[1]"

    chromium.click(f"{heading}.querySelector('button')")
    assert column(chromium, table, 1) == [fields[at] for at in (4, 2, 0, 3, 5, 1)]
    assert chromium.value(f"{heading}.getAttribute('aria-sort')") == "ascending"
    chromium.press("Enter")
    assert column(chromium, table, 1) == [fields[at] for at in (5, 3, 0, 2, 4, 1)]
    assert chromium.value(f"{heading}.getAttribute('aria-sort')") == "descending"
    chromium.press("Enter")
    assert column(chromium, table, 1) == fields
    assert chromium.value(f"{heading}.getAttribute('aria-sort')") is None


def explored(browser: Browser) -> dict[tuple[str, str], tuple[str, str]]:
    """Give original and explored verdict by deployment or repetition, and load."""
    return {(row[0], row[1]): (row[3], row[2]) for row in browser.value(_VERDICTS)}


def named(row: dict[str, Any], data: ReportData) -> tuple[str, str]:
    repetition = next((c.repetition for c in data.facts if c.name == row["cell"]), None)
    run = f"repetition {repetition}" if repetition else "all repetitions"
    return f"{row['deployment']}, {run}", f"{row['target_qps']:g}/s"


@pytest.mark.parametrize("limit", [0.6, 1.1, 1.5, 4.0, 100.0])
def test_another_limit_gives_what_the_analysis_would_give(
    chromium: Browser, repeated: Repeated, limit: float
) -> None:
    data, page = repeated
    slo = replace(SLOS[0], limit=limit, at_qps=None)
    expected = {
        named(row, data): row["verdict"] for row in judge(data.kpis, data.cells, [slo])["slos"]
    }
    chromium.open(page, 1280)

    chromium.write("document.getElementById('limit-field-0')", f"{limit:g}")
    found = {where: now for where, (_, now) in explored(chromium).items()}

    assert len(expected) == 2 * 4 * 3
    assert found == expected


def test_the_objectives_own_verdict_stays_beside_the_explored_one(
    chromium: Browser, repeated: Repeated
) -> None:
    data, page = repeated
    own = {named(row, data): row["verdict"] for row in data.slos}
    chromium.open(page, 1280)

    at_first = explored(chromium)
    assert {where: both for where, both in at_first.items() if where in own} == {
        where: (verdict, verdict) for where, verdict in own.items()
    }
    chromium.value("document.getElementById('limit-slider-0').focus()")
    chromium.press("Home")
    afterwards = explored(chromium)

    assert {given for given, _ in afterwards.values()} == {given for given, _ in at_first.values()}
    assert "PASS" not in {now for _, now in afterwards.values()}
    said = "document.querySelector('#what-if [role=status]').textContent"
    assert chromium.value(said).startswith("Exploratory, with a limit of ")
    assert "slots-2, all repetitions: no step" in chromium.value(said)
    chromium.click("document.querySelector('#what-if button')")
    assert explored(chromium) == at_first


def test_an_empty_field_changes_nothing(chromium: Browser, repeated: Repeated) -> None:
    chromium.open(repeated[1], 1280)
    before = explored(chromium)

    chromium.write("document.getElementById('limit-field-0')", "")

    assert explored(chromium) == before
    assert chromium.complaints() == []
