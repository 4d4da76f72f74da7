"""Several campaigns on one page."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from jsonschema import Draft202012Validator

from escalade.report.embedded import script
from escalade.report.several.page import render_several
from escalade.report.several.told import Member, labels, overview, remarks
from escalade.report.several.twin import several_twin
from escalade.report.twin.content import written
from escalade.report.twin.models import schema_of_reports
from unit.report import campaign
from unit.report.reader import Reader

if TYPE_CHECKING:
    from escalade.report.data import ReportData

RATES = (1.0, 2.0)


@pytest.fixture(scope="module")
def members() -> list[Member]:
    """Give two campaigns with a deployment of the same name; the second on other hardware."""
    first = campaign.report_data(rates=RATES)
    second = campaign.report_data(("smollm2", "wide"), rates=RATES)
    cells = [
        replace(
            cell,
            environment={**cell.environment, "node": {"cpu_model": "Other CPU", "cpus": 64}},
        )
        for cell in second.cells
    ]
    second = replace(second, cells=cells, campaign={**second.campaign, "campaign": "later"})
    return [
        Member(first, "results/demo", "results/demo/report.html"),
        Member(second, "results/later", ""),
    ]


@pytest.fixture(scope="module")
def page(members: list[Member]) -> str:
    """Give the page of both, and of a folder that could not be read."""
    return render_several(members, [("results/broken", "results/broken is no campaign.")])


def test_deployments_of_the_same_name_stay_apart(members: list[Member]) -> None:
    rows = overview(members)

    assert [(row.campaign, row.deployment) for row in rows] == [
        ("demo", "smollm2"),
        ("later", "smollm2"),
        ("later", "wide"),
    ]
    assert rows[0].capacity_qps == members[0].data.capacity[0]["capacity_qps"]
    assert rows[0].slo_value == members[0].data.slos[0]["value"]
    assert rows[2].system == "Other CPU, 64\N{NO-BREAK SPACE}cores"


def test_campaigns_of_the_same_name_are_told_by_their_folders(members: list[Member]) -> None:
    twice = [members[0], replace(members[0], folder="old/demo")]

    assert labels(twice) == ["demo (results/demo)", "demo (old/demo)"]


def test_other_hardware_is_said_and_the_same_workload_is_not(members: list[Member]) -> None:
    said = remarks(members)

    assert said[0].startswith("Different hardware: demo; later.")
    assert not any(text.startswith("Different workload") for text in said)
    data = members[1].data
    load = {**data.campaign["load"], "arrivals": "constant"}
    other = replace(members[1], data=replace(data, campaign={**data.campaign, "load": load}))
    assert any(text.startswith("Different workload") for text in remarks([members[0], other]))


def test_the_page_has_overview_figures_and_each_campaign(page: str) -> None:
    reader = Reader(page)

    assert reader.unbalanced == []
    assert len(reader.identifiers) == len(set(reader.identifiers))
    inside = {a[1:] for a in reader.addresses if a.startswith("#")}
    assert "what-if" in reader.identifiers
    assert inside <= set(reader.identifiers)
    assert {a for a in reader.addresses if not a.startswith("#")} == {
        "data:,",
        "results/demo/report.html",
    }
    for text in ("later: wide", "2 campaigns, side by side", "results/broken is no campaign."):
        assert text in reader.words
    assert 'id="figure-several-latency"' in page
    assert 'id="figure-several-throughput"' in page


def test_the_same_campaigns_give_the_same_bytes(members: list[Member], page: str) -> None:
    assert render_several(members, [("results/broken", "results/broken is no campaign.")]) == page


def test_the_twin_of_several_is_valid(members: list[Member]) -> None:
    found = json.loads(written(several_twin(members, [("results/broken", "no campaign")])))

    assert [e.message for e in Draft202012Validator(schema_of_reports()).iter_errors(found)] == []
    assert list(found["reports"]) == ["results/demo", "results/later"]
    assert found["unread"] == [{"folder": "results/broken", "why": "no campaign"}]
    latency = next(each for each in found["figures"] if each["key"] == "several-latency")
    assert [row[0] for row in latency["table"]["rows"]] == [
        *(["demo"] * 2),
        *(["later: smollm2"] * 2),
        *(["later: wide"] * 2),
    ]


def test_the_page_carries_its_script_with_what_it_tells_and_the_policy_that_allows_it(
    members: list[Member], page: str
) -> None:
    source = page.split("<script>")[1].split("</script>", maxsplit=1)[0]
    digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
    told = json.loads(page.split('id="report-data">')[1].split("</script>", maxsplit=1)[0])

    assert f"script-src 'sha256-{digest}'" in html.unescape(page)
    assert source == script()
    assert {"several-latency", "several-ttft", "several-throughput"} <= set(told["figures"])
    points = dict(told["figures"]["several-latency"]["points"])
    assert set(points) == {"demo", "later: smollm2", "later: wide"}
    assert [len(places) for places in points.values()] == [2, 2, 2]
    assert [objective["title"] for objective in told["limits"]] == [
        "demo: p90 of end-to-end latency ≤ 1.5\N{NO-BREAK SPACE}s",
        "later: p90 of end-to-end latency ≤ 1.5\N{NO-BREAK SPACE}s",
    ]
    steps = told["limits"][1]["steps"]  # two deployments with two steps
    assert [step["where"] for step in steps] == [*(["later: smollm2"] * 2), *(["later: wide"] * 2)]


def test_without_the_script_every_figure_of_the_page_is_shown(page: str) -> None:
    shown = page.split('<script type="application/json"', maxsplit=1)[0]
    assert re.findall(r"<(\w+) id=\"([^\"]+)\"[^>]* hidden>", shown) == [("section", "what-if")]
    assert page.count('data-views="') == 2
    for view in ("End-to-end latency", "Time to first token", "Inter-token latency", "Throughput"):
        assert f'data-view="{view}"' in page


def test_a_load_without_a_rate_is_in_the_table_but_in_no_figure(
    members: list[Member], one: ReportData
) -> None:
    verdicts = {**one.verdicts, "slos": [], "capacity": []}
    cell = one.cells[0]
    steps = [
        {**{k: v for k, v in step.items() if k != "target_qps"}, "concurrency": step["step"]}
        for step in cell.windows["steps"]
    ]
    closed = replace(cell, windows={**cell.windows, "steps": steps})
    member = Member(replace(one, cells=[closed], verdicts=verdicts), "results/closed", "")

    page = Reader(render_several([member])).words

    assert "Not in the figures, since their load has no rate: demo." in page
