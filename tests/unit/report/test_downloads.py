"""Downloads: in the page where small, else beside it with a hash."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from escalade.report.data import StoredFile
from escalade.report.page import content_of, page_of
from escalade.report.sections.downloads import downloads
from unit.report.reader import Reader

if TYPE_CHECKING:
    from escalade.report.data import ReportData

CONTENT = "a,b\n1,é\n".encode()


def test_a_small_file_is_in_the_page_and_a_large_one_beside_it(one: ReportData) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    files = (
        StoredFile("kpis.csv", "KPIs", "", len(CONTENT), digest, CONTENT),
        StoredFile("big file.json", "much", "../x/", 3_000_000, "ab" * 32),
    )
    page = page_of(content_of(replace(one, files=files)))
    reader = Reader(page)

    (embedded,) = re.findall(r'<a download="kpis.csv" href="([^"]+)"', page)
    assert embedded.startswith("data:text/csv;base64,")
    assert base64.b64decode(embedded.partition(",")[2]) == CONTENT
    assert '<a href="../x/big%20file.json">beside this page</a>' in page
    assert digest in reader.words
    assert "ab" * 32 in reader.words
    assert reader.unbalanced == []


def test_sizes_read_well(one: ReportData) -> None:
    sizes = [512, 2048, 3 * 1024 * 1024]
    files = tuple(StoredFile("x", "y", size=size) for size in sizes)

    shown = [
        each.size.replace("\N{NO-BREAK SPACE}", " ")
        for each in downloads(replace(one, files=files))
    ]

    assert shown == ["512 bytes", "2 KiB", "3 MiB"]


def test_a_page_without_files_has_no_such_section(page: str) -> None:
    assert 'id="downloads"' not in page
