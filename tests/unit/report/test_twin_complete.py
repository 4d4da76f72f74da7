"""The twin carries every number of the page: what is added to the page alone fails here."""

from __future__ import annotations

import html.parser
import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from jsonschema import Draft202012Validator

from escalade.analysis.stats.intervals import NOT_ESTIMABLE
from escalade.report import words
from escalade.report.charts import drawing
from escalade.report.charts.hover import Drawn
from escalade.report.page import content_of, page_of
from escalade.report.twin.content import twin, written
from escalade.report.twin.models import schema_of_reports
from escalade.report.twin.plain import NEITHER, NOT_ABOVE, NOT_BELOW
from unit.report import campaign
from unit.report.test_comparison import slower, stored
from unit.report.test_money import hours, priced, with_cost
from unit.report.test_trends import history

if TYPE_CHECKING:
    from collections.abc import Iterator

    from escalade.report.data import ReportData

RATES = (1.0, 4.0)
KNOWN_KINDS = {"estimates", "margins"}
"""Tables that are made of KPIs and verdicts alone: `test_the_page_can_be_made_from_the_twin`."""


@dataclass
class Found:
    """A table of the page, as a browser shows it."""

    kinds: set[str]
    rows: list[list[str]]


class Tables(html.parser.HTMLParser):
    """Collects the tables of a page, without the marks of warnings and notes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Found] = []
        self._cell: list[str] | None = None
        self._marks = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.found.append(Found(set((dict(attrs).get("class") or "").split()), []))
        elif tag == "tr":
            self.found[-1].rows.append([])
        elif tag in ("th", "td"):
            self._cell = []
        self._marks += tag == "sup"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td") and self._cell is not None:
            self.found[-1].rows[-1].append(plain("".join(self._cell)))
            self._cell = None
        self._marks -= tag == "sup"

    def handle_data(self, data: str) -> None:
        if self._cell is not None and not self._marks:
            self._cell.append(data)


def plain(text: str) -> str:
    return " ".join(text.split())


def missing(page: str, found: dict[str, Any]) -> list[list[list[str]]]:
    """Give the tables of a page that are not in its twin."""
    tables = [*found["tables"].values(), *(figure["table"] for figure in found["figures"])]
    there = [
        [[plain(cell) for cell in row] for row in (each["columns"], *each["rows"])]
        for each in tables
    ]
    return [
        table.rows
        for table in Tables(page).found
        if not table.kinds & KNOWN_KINDS and table.rows not in there
    ]


@pytest.fixture(scope="module")
def rich() -> Iterator[tuple[ReportData, dict[str, Any], str]]:
    """Give a campaign with all that a page can have of numbers, its twin, and its page without pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "picture", lambda *_, **__: Drawn("<svg></svg>"))
        names = ("slots-2", "slots-3")
        cells = [
            campaign.simulated_cell(name, repetition, RATES, slots=2 + place)
            for repetition in (1, 2, 3)
            for place, name in enumerate(names)
        ]
        cells[0] = campaign.with_gpus(cells[0], nodes=2)
        base = campaign.analysed(cells, campaign.configuration(names, 3, RATES))
        priced_ = priced(0.75, inputs={"count": 2, "price_per_hour": 1.5, "slo_capacity_qps": 2.5})
        data = replace(
            with_cost(base, hours("cpu", 2.5, amount=3.75), serving=[priced_], currency="EUR"),
            comparison=stored(slower()),
            history=history([4.0, 4.1, 3.0], split=2),
        )
        content = content_of(data)
        yield data, json.loads(written(twin(data, content))), page_of(content)


def test_every_table_of_the_page_is_in_the_twin(
    rich: tuple[ReportData, dict[str, Any], str],
) -> None:
    _, found, page = rich

    assert missing(page, found) == []
    assert [e.message for e in Draft202012Validator(schema_of_reports()).iter_errors(found)] == []
    shown = Tables(page).found
    assert len(shown) > 40
    assert {"estimates", "margins"} <= set().union(*(table.kinds for table in shown))
    keys = {figure["key"] for figure in found["figures"]}
    assert {"latency-1", "front", "throughput-1", "timeline-1", "interactivity-1"} <= keys
    assert {"comparison-primary", "spread-latency-1"} <= keys
    assert {"capacity", "gates", "cost/hours", "cost/serving"} <= set(found["tables"])


def test_a_number_that_is_on_the_page_alone_is_found_out(
    rich: tuple[ReportData, dict[str, Any], str],
) -> None:
    _, found, page = rich
    row = '<table class="plain"><tr><th>a</th></tr><tr><td>987.6</td></tr></table>'

    assert missing(page.replace("</main>", f"{row}</main>"), found) == [[["a"], ["987.6"]]]
    assert len(missing(page.replace("<td>slots-2</td>", "<td>7</td>", 1), found)) == 1


def frame_of(kpis: list[dict[str, Any]]) -> pd.DataFrame:
    """Make the KPI table of the twin's rows."""
    frame = pd.DataFrame(kpis)
    for name in ("value", "ci_low", "ci_high", "n", "n_eff", "target_qps"):
        frame[name] = pd.to_numeric(frame[name])
    frame.loc[frame["no_interval"] == NOT_ABOVE, "ci_high"] = math.inf
    frame.loc[frame["no_interval"] == NOT_BELOW, "ci_low"] = -math.inf
    said = set(frame["no_interval"].dropna()) - {NOT_ABOVE, NOT_BELOW, NEITHER}
    assert all(words.startswith(NOT_ESTIMABLE) for words in said)
    return frame


def test_the_page_can_be_made_from_the_twin(rich: tuple[ReportData, dict[str, Any], str]) -> None:
    data, found, page = rich
    again = replace(
        data,
        kpis=frame_of(found["kpis"]),
        verdicts=found["verdicts"],
        comparison=found["comparison"],
        history=found["history"],
        components=found["components"],
    )
    assert found["provenance"] == data.provenance  # JSON sorts its keys, the page does not
    assert found["configuration"] == data.campaign

    made = page_of(content_of(again))

    assert [table.rows for table in Tables(made).found] == [
        table.rows for table in Tables(page).found
    ]
    assert made == page


def test_points_of_the_curves_are_what_the_tables_behind_the_charts_say(
    rich: tuple[ReportData, dict[str, Any], str],
) -> None:
    _, found, _ = rich
    tables = {figure["key"]: figure["table"] for figure in found["figures"]}
    for place, name in enumerate(("slots-2", "slots-3"), start=1):
        (curve,) = [
            each
            for each in found["series"]["curves"]
            if (each["deployment"], each["metric"]) == (name, "throughput_qps")
        ]
        column = tables[f"throughput-{place}"]["columns"].index("throughput")
        printed = [row[column] for row in tables[f"throughput-{place}"]["rows"]]
        assert printed == [told(point, curve["unit"]) for point in curve["points"]]
        assert len(printed) == 6  # three repetitions of two steps


def told(point: dict[str, Any], unit: str) -> str:
    low, high = words.bounds(point["ci_low"], point["ci_high"])
    return f"{words.amount(point['value'], low, high, unit)}, n = {words.plain(point['n'], 0)}"


def test_the_front_and_the_bands_over_repetitions_are_in_the_twin_as_numbers(
    rich: tuple[ReportData, dict[str, Any], str],
) -> None:
    data, found, _ = rich
    front = found["verdicts"]["front"]
    printed = next(f["table"] for f in found["figures"] if f["key"] == "front")["rows"]
    assert [row[:2] for row in printed] == [[p["deployment"], str(p["step"])] for p in front]
    assert [row[3] for row in printed] == [words.plain(p["throughput_qps"]) for p in front]
    assert [row[5] for row in printed] == ["yes" if p["on_front"] else "no" for p in front]

    bands = 0
    over_runs = {
        (row["deployment"], row["metric"], row["stat"], row["step"]): (
            row["ci_low"],
            row["ci_high"],
        )
        for row in found["verdicts"]["runs"]
    }
    assert len(over_runs) == len(data.verdicts["runs"])
    for curve in found["series"]["curves"]:
        assert [each["value"] for each in curve["middle"]] != []
        for band in curve["band"]:
            ends = band["ci_low"], band["ci_high"]
            assert ends in over_runs.values()
            bands += 1
    assert bands > 10


def test_the_what_if_of_the_page_is_in_the_twin(
    rich: tuple[ReportData, dict[str, Any], str],
) -> None:
    _, found, page = rich
    (objective,) = found["what_if"]
    embedded = json.loads(
        page.split('<script type="application/json" id="report-data">')[1].split("</script>")[0]
    )
    (shown,) = embedded["limits"]

    assert (objective["limit"], objective["unit"]) == (1.5, "s")
    assert len(objective["steps"]) == len(shown["steps"]) == 2 * (3 + 1) * 2
    for step, drawn in zip(objective["steps"], shown["steps"], strict=True):
        assert {name: value for name, value in step.items() if value not in (None, [])} == {
            name: value for name, value in drawn.items() if value is not None
        }
