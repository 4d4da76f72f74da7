"""`escalade report --partial` beside a campaign that runs, and after its driver was killed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from unit.report.reader import Reader
from workplace import Workplace, deployment, ladder, until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def words_of(place: Workplace) -> str:
    """Make the partial report and give its text."""
    page: Path = place.results / "report.partial.html"
    code, output = place.here("report", str(place.results), "--partial")
    assert code == 0, output
    reader = Reader(page.read_text(encoding="utf-8"))
    assert reader.unbalanced == []
    return reader.words


def test_it_tells_what_is_measured_and_harms_no_run(workplace: Workplace) -> None:
    workplace.write(
        deployments=[deployment("first"), deployment("second")], load=ladder((10, 1), (20, 8))
    )
    child = workplace.drive()
    code, output = workplace.here("report", str(workplace.results), "--partial")
    assert code == 2, output  # nothing is measured yet
    until(lambda: len(workplace.cells()) == 1, 400)
    until(lambda: sum(e.stage == "run_load_1" for e in workplace.events()) >= 3, 400)
    (first,) = workplace.cells()
    cell = workplace.results / "cells" / first
    kept = {path: path.stat().st_mtime_ns for path in cell.rglob("*") if path.is_file()}

    beside = words_of(workplace)

    assert "1 of 2 cells is measured" in beside
    assert "Under way: second_rep-1" in beside
    assert "Load, queue and resources" in beside
    assert child.poll() is None

    os.killpg(child.pid, signal.SIGKILL)
    workplace.await_silence(20)
    after = words_of(workplace)

    assert "Interrupted, nothing drives the campaign now: second_rep-1" in after
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    code, output = workplace.run()
    assert code == 0, output
    assert len(workplace.cells()) == 2
    assert "Nothing is left to measure" in words_of(workplace)
