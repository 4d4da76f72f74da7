"""What the page offers for download, in a real browser, with the page's own policy in force."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from escalade.report.data import StoredFile
from escalade.report.page import content_of, page_of
from integration.report.browser import browser, installed
from support import require_or_skip
from unit.report import campaign

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = "metric,value\nlatency_seconds,0.5 µs\n".encode()


def test_a_file_in_the_page_is_saved_as_it_was(tmp_path: Path) -> None:
    executable = installed()
    if executable is None:
        require_or_skip("chromium", "no Chromium was found on PATH")
    file = StoredFile("kpis.csv", "KPIs", "", len(CONTENT), "ab" * 32, CONTENT)
    data = replace(campaign.report_data(rates=(1.0,)), files=(file,))
    page, target = tmp_path / "report.html", tmp_path / "saved"
    page.write_text(page_of(content_of(data)), encoding="utf-8")
    target.mkdir()

    with browser(executable, tmp_path / "profile") as chromium:
        chromium.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(target))
        chromium.open(page, 1280)
        chromium.value("document.querySelector('a[download]').click()")
        deadline = time.monotonic() + 20
        while not (target / "kpis.csv").exists() and time.monotonic() < deadline:
            chromium.value("1")
            time.sleep(0.1)
        complaints = chromium.complaints()

    assert (target / "kpis.csv").read_bytes() == CONTENT
    assert complaints == []
