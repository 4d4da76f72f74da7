"""The page as a whole: order, safety, determinism, and broken results."""

from __future__ import annotations

import base64
import copy
import hashlib
import html
import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from escalade.report.data import ReportData
from escalade.report.page import render
from escalade.report.sections.concerns import concerns
from escalade.report.sections.objectives import slo_table
from escalade.report.sections.origin import origin
from escalade.report.sections.story import summary
from escalade.report.tables import kpi_tables
from unit.report import campaign
from unit.report.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

TESTS = Path(__file__).parents[2]
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{}'"
HOSTILE = "</style></pre><script>alert(1)</script><img src=x onerror=alert(1)>\"'&\x00\u202e$x$"


def small() -> ReportData:
    return campaign.report_data(rates=(1.0, 2.0))


def configuration() -> dict[str, Any]:
    return campaign.configuration(("smollm2",), 1, (1.0, 2.0))


def test_the_sections_stand_in_order_and_quality_comes_before_any_figure(page: str) -> None:
    order = ["summary", "quality", "latency", "throughput", "distribution", "timelines"]
    places = [page.index(f'<section id="{name}"') for name in [*order, "figures", "provenance"]]

    assert places == sorted(places)
    assert places[0] < page.index("<svg")
    assert page.index('class="strip"') < places[0]


def test_the_page_asks_for_nothing_outside_itself(page: str) -> None:
    reader = Reader(page)

    data, script = re.findall(r"<script([^>]*)>(.*?)</script>", page, re.DOTALL)
    assert data[0] == ' type="application/json" id="report-data"'
    assert script[0] == ""
    digest = base64.b64encode(hashlib.sha256(script[1].encode()).digest()).decode()
    policy = html.unescape(re.findall(r'Security-Policy" content="([^"]*)"', page)[0])
    assert policy == POLICY.format(digest)
    assert reader.tags.count("script") == 2
    assert not re.search(r"<[^>]+\son\w+=", page)
    outside = [a for a in reader.addresses if not a.startswith("#")]
    assert set(outside) == {"data:,"}
    assert re.findall(r"@import|url\((?!#)", page) == []


def test_the_page_is_well_formed_and_every_link_inside_it_arrives(page_of_four: str) -> None:
    reader = Reader(page_of_four)

    assert reader.unbalanced == []
    assert len(reader.identifiers) == len(set(reader.identifiers))
    inside = {a[1:] for a in reader.addresses if a.startswith("#")}
    assert inside <= set(reader.identifiers)


def test_every_figure_has_a_title_a_description_and_a_table(page: str) -> None:
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)

    assert len(figures) == 10
    for figure in figures:
        assert re.search(r"<title[^>]*>[^<]+</title><desc[^>]*>[^<]+</desc>", figure)
        assert re.search(r'<details>.*<table class="plain">.*<td>', figure, re.DOTALL)


def test_the_page_says_system_date_commit_and_verdict(page: str) -> None:
    words = Reader(page).words

    for text in (
        "Example CPU @ 2.40GHz, 2 cores",
        "2026-09-21 14:29 UTC",
        "commit 0123456789ab",
        "p90 of end-to-end latency ≤ 1.5 s at 2 requests/s",
        "This run only 1 repetition",
        "Exploratory short windows",
        "escalade verify results/demo",
        "snakemake --profile profiles/local",
        "5e" * 32,
        "no GPU",
    ):
        assert text in words


def test_a_number_that_is_missing_says_why(page: str) -> None:
    words = Reader(page).words

    assert "needs n ≥ 368" in words
    assert "grows with time" in words
    assert "GPU utilisation: no GPU." in words
    assert "nan" not in words.lower().split()


def test_the_check_without_escalade_accepts_a_manifest_and_refuses_a_change(
    one: ReportData, tmp_path: Path
) -> None:
    folder = tmp_path / "results" / "demo"
    folder.mkdir(parents=True)
    (folder / "kpis.csv").write_text("a\n")
    digest = hashlib.sha256(b"a\n").hexdigest()
    manifest = {"artifacts": {"kpis.csv": {"sha256": digest}}}
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    command = origin(one).verify.partition("# or, with nothing of Escalade:\n")[2]

    def check() -> int:
        return subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, check=False, capture_output=True
        ).returncode

    assert check() == 0
    (folder / "kpis.csv").write_text("b\n")
    assert check() == 1


def test_the_same_results_give_the_same_bytes(one: ReportData, page: str) -> None:
    assert render(replace(one)) == page


def hostile(content: Any) -> Any:
    """Give the same structure with every text replaced by a hostile one."""
    if isinstance(content, dict):
        return {key: hostile(value) for key, value in content.items()}
    if isinstance(content, list):
        return [hostile(value) for value in content]
    return HOSTILE + "\ud800" if isinstance(content, str) else content


def test_hostile_values_stay_text() -> None:
    data = small()
    cell = data.cells[0]
    series = cell.series.assign(labels=HOSTILE, metric=cell.series["metric"] + HOSTILE)
    bad = replace(
        cell,
        cell={**hostile(cell.cell), "cell": HOSTILE, "deployment": HOSTILE},
        environment=hostile(cell.environment),
        series=series,
    )
    failed = campaign.without_results(bad, hostile("cause"), [hostile("log line")])
    kpis = data.kpis.assign(cell=HOSTILE, deployment=HOSTILE, quality=HOSTILE, unit=HOSTILE)
    kpis["source"] = HOSTILE + "{" + HOSTILE
    verdicts = hostile(data.verdicts)
    attacked = ReportData(
        hostile(data.campaign), kpis, verdicts, [bad, failed], hostile(data.provenance), [HOSTILE]
    )

    page = render(attacked)
    reader = Reader(page)

    assert reader.tags.count("script") == 2
    assert "img" not in reader.tags
    assert "alert(1)" in reader.words
    assert "\x00" not in page
    assert "\u202e" not in page
    assert page.encode("utf-8")
    assert reader.unbalanced == []


def invalid(data: ReportData) -> ReportData:
    verdicts = copy.deepcopy(data.verdicts)
    for gate in verdicts["gates"]:
        gate.update(outcome="fail", invalidates=True)
    for row in verdicts["slos"]:
        row.update(verdict="INVALID", reason="gate late_ratio: 20 % of the requests were late")
    return replace(data, verdicts=verdicts)


def failed(data: ReportData) -> ReportData:
    cell = campaign.without_results(data.cells[0], "the service never became ready", ["no memory"])
    return campaign.analysed([cell], configuration())


def without_series(data: ReportData) -> ReportData:
    cell = replace(data.cells[0], series=data.cells[0].series.iloc[:0])
    return campaign.analysed([cell], configuration())


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda _: ReportData({}, pd.DataFrame(), {}, [], {}), "No cell was measured"),
        (failed, "The cell failed: the service never became ready. "),
        (failed, "no memory"),
        (invalid, "the limit of 1.5 s can't be judged: gate late_ratio"),
        (without_series, "no samples were stored"),
        (lambda data: replace(data, kpis=data.kpis.iloc[:0]), "The KPI table is empty"),
        (lambda data: replace(data, kpis=pd.DataFrame()), "The KPI table is empty"),
        (lambda data: replace(data, verdicts={}), "No gate was judged."),
        (lambda data: replace(data, provenance={}), "The command was not recorded."),
        (lambda data: replace(data, stale=["old_rep-1_aaaaaaaa"]), "old_rep-1_aaaaaaaa"),
        (
            lambda data: replace(data, cells=[replace(data.cells[0], environment={})]),
            "the service publishes no queue length",
        ),
        (
            lambda data: replace(data, cells=[replace(data.cells[0], requests=pd.DataFrame())]),
            "no request was recorded",
        ),
    ],
)
def test_broken_results_still_render_and_say_what_is_missing(
    broken: Callable[[ReportData], ReportData], says: str
) -> None:
    reader = Reader(render(broken(small())))

    assert says in reader.words
    assert reader.unbalanced == []


@pytest.mark.parametrize("rates", [(2.0,), (0.025,)])
def test_one_step_and_one_request_render(rates: tuple[float, ...]) -> None:
    data = campaign.analysed([campaign.simulated_cell(rates=rates)], configuration())

    assert re.search(r"holds? at least", Reader(render(data)).words)


@pytest.mark.parametrize("column", ["value", "ci_low", "quality", "n", "unit", "source", "stat"])
def test_a_kpi_table_without_a_column_can_be_told(one: ReportData, column: str) -> None:
    data = replace(one, kpis=one.kpis.drop(columns=column))

    assert summary(data)
    assert concerns(data)
    assert kpi_tables(data.facts[0], data)
    assert slo_table(data).rows


def test_several_cells_have_their_own_numbers_and_figures(page_of_four: str) -> None:
    page = page_of_four
    words = Reader(page).words

    for number in range(1, 5):
        assert f'id="cell-{number}"' in page
        assert f'id="figure-timeline-{number}"' in page
    assert "2 deployments, 2 repetitions" in words
    assert "too few for an interval over runs" in words
    assert "These runs only 2 repetitions" in words
