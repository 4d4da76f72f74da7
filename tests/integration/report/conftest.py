"""A browser and reports to look at, each made once for all tests here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from escalade.analysis.findings import findings
from escalade.report.page import render
from escalade.report.several.page import render_several
from escalade.report.several.told import Member
from integration.report.browser import browser, installed
from support import require_or_skip
from unit.report import campaign

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from escalade.report.data import ReportData
    from integration.report.browser import Browser

MANY = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 4.0, 6.0)


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start a browser once for all tests here."""
    executable = installed()
    if executable is None:
        require_or_skip("chromium", "no Chromium was found on PATH")
    with browser(executable, tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture(scope="package")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a report with several cells, one of them failed."""
    cells = [
        campaign.simulated_cell("slots-2", rates=(1.0, 2.0, 5.0), away=1),
        campaign.simulated_cell("slots-3-with-a-rather-long-name", rates=(1.0, 2.0, 5.0), slots=3),
    ]
    other = campaign.simulated_cell("slots-2", 2, rates=(1.0, 2.0, 5.0))
    cells.append(campaign.without_results(other, "the service never became ready", ["x" * 300]))
    names = ("slots-2", "slots-3-with-a-rather-long-name")
    data = campaign.analysed(cells, campaign.configuration(names, 1, (1.0, 2.0, 5.0)))
    data.verdicts["findings"] = findings(data.verdicts, data.kpis, data.cells)
    return written(data, tmp_path_factory)


@pytest.fixture(scope="package")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> tuple[ReportData, Path]:
    """Write a report of two deployments with three repetitions each."""
    data = campaign.report_data(("slots-2", "slots-3"), 3, (1.0, 2.0, 4.0))
    return data, written(data, tmp_path_factory)


@pytest.fixture(scope="package")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a report of many steps."""
    return written(campaign.report_data(rates=MANY), tmp_path_factory)


@pytest.fixture(scope="package")
def several(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Member], Path]:
    """Write the page of two campaigns, one with two deployments."""
    first = campaign.report_data(rates=(1.0, 2.0))
    second = campaign.report_data(("smollm2", "wide"), rates=(1.0, 2.0))
    second = replace(second, campaign={**second.campaign, "campaign": "later"})
    members = [Member(first, "results/demo", ""), Member(second, "results/later", "")]
    path = tmp_path_factory.mktemp("several") / "campaigns.html"
    path.write_text(render_several(members), encoding="utf-8")
    return members, path


def written(data: ReportData, factory: pytest.TempPathFactory) -> Path:
    """Write the report into a folder of its own."""
    path = factory.mktemp("report") / "report.html"
    path.write_text(render(data), encoding="utf-8")
    return path
