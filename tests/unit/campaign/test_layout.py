"""Which cells are over, and what happens to what an attempt left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from escalade.campaign.layout import CampaignFolder, CellFolder, is_over
from escalade.errors import InputError
from escalade.files import write_json, write_text

if TYPE_CHECKING:
    from pathlib import Path


def ended(folder: CellFolder, outcome: str, attempt: int = 1) -> CellFolder:
    """Give a cell whose attempt came to an end."""
    write_json(folder.cell, {"outcome": outcome, "attempt": attempt})
    return folder


@pytest.fixture
def cell(tmp_path: Path) -> CellFolder:
    """Give a cell's folder that does not exist yet."""
    return CellFolder(tmp_path / "cells" / "a_rep-1_00000000")


def test_a_cell_without_an_outcome_is_to_be_measured(cell: CellFolder) -> None:
    assert not is_over(cell, attempts=1, retry_failed=False)


def test_a_finished_cell_is_over_even_when_failures_are_retried(cell: CellFolder) -> None:
    ended(cell, "finished")

    assert is_over(cell, attempts=5, retry_failed=True)


def test_a_failed_cell_has_the_configured_number_of_attempts(cell: CellFolder) -> None:
    ended(cell, "failed", attempt=1)

    assert not is_over(cell, attempts=2, retry_failed=False)
    assert is_over(cell, attempts=1, retry_failed=False)


def test_retrying_takes_up_a_failed_cell_without_attempts_left(cell: CellFolder) -> None:
    ended(cell, "failed", attempt=3)

    assert not is_over(cell, attempts=2, retry_failed=True)


def test_a_damaged_outcome_is_named(cell: CellFolder) -> None:
    write_text(cell.cell, "{")

    with pytest.raises(InputError, match=r"cell\.json"):
        is_over(cell, attempts=1, retry_failed=False)


def test_setting_aside_keeps_evidence_and_schedule(cell: CellFolder) -> None:
    ended(cell, "failed")
    write_text(cell.schedule, "drawn")
    write_text(cell.logs / "service.log", "why it died")

    cell.set_aside()

    assert (cell.attempts / "1" / "logs" / "service.log").read_text() == "why it died"
    assert cell.schedule.read_text() == "drawn"
    assert not cell.cell.exists()


def test_attempts_are_counted_by_those_that_came_to_an_end(cell: CellFolder) -> None:
    write_text(cell.logs / "service.log", "killed before its end")
    cell.set_aside()
    assert cell.attempt() == 1

    ended(cell, "failed")
    cell.set_aside()
    assert cell.attempt() == 2
    assert sorted(entry.name for entry in cell.attempts.iterdir()) == ["1", "2"]


def test_setting_nothing_aside_makes_no_attempt(cell: CellFolder) -> None:
    cell.set_aside()

    assert not cell.attempts.exists()


def test_present_cells_are_named_in_order(tmp_path: Path) -> None:
    campaign = CampaignFolder(tmp_path)
    for name in ("b", "a"):
        campaign.cell(name).path.mkdir(parents=True)

    assert campaign.cells_present() == ["a", "b"]
