"""Campaigns that many tests look at; they are made once and changed by none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from escalade.report.page import render
from unit.report import campaign

if TYPE_CHECKING:
    from escalade.report.data import ReportData


@pytest.fixture(scope="session")
def one() -> ReportData:
    """Give a campaign of one cell, the last step over-saturated."""
    return campaign.report_data()


@pytest.fixture(scope="session")
def page_of_four() -> str:
    """Give the report of two deployments with two repetitions and three steps."""
    return render(campaign.report_data(("slots-2", "slots-3"), 2, (1.0, 2.0, 5.0)))


@pytest.fixture(scope="session")
def page(one: ReportData) -> str:
    """Give the report of one cell."""
    return render(one)
