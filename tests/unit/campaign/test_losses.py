"""What attempts cost that came to nothing."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from escalade.campaign.layout import CampaignFolder, CellFolder
from escalade.campaign.losses import Losses, losses_of
from escalade.files import write_json, write_text

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cell(tmp_path: Path) -> CellFolder:
    return CampaignFolder(tmp_path).cell("a_rep-1_00000000")


def losses(tmp_path: Path) -> Losses:
    plan = SimpleNamespace(cells=[SimpleNamespace(name="a_rep-1_00000000")])
    run: Any = SimpleNamespace(plan=plan, folder=CampaignFolder(tmp_path))
    return losses_of(run)


def attempt(cell: CellFolder, *, held: bool) -> None:
    """Leave an attempt that wrote its last line half an hour after it got two nodes."""
    cell.logs.mkdir(parents=True)
    write_text(cell.logs / "service.log", "gone")
    os.utime(cell.logs / "service.log", (2800.0, 2800.0))
    if held:
        write_json(cell.held, {"held_at": 1000.0, "job": "7", "nodes": ["n1", "n2"]})
        os.utime(cell.held, (1000.0, 1000.0))
    cell.set_aside()


def test_an_attempt_costs_its_nodes_from_the_allocation_to_the_last_line(
    cell: CellFolder, tmp_path: Path
) -> None:
    attempt(cell, held=True)

    assert losses(tmp_path) == Losses(attempts=1, node_hours=pytest.approx(1.0), untold=0)
    assert losses(tmp_path).describe() == "1 attempt came to nothing: 1.00 node-hours"


def test_one_that_ended_before_it_had_nodes_costs_none_and_is_counted(
    cell: CellFolder, tmp_path: Path
) -> None:
    attempt(cell, held=True)
    attempt(cell, held=False)

    said = losses(tmp_path).describe()

    assert said == "2 attempts came to nothing: 1.00 node-hours, 1 of them without nodes"


def test_a_damaged_note_is_one_that_does_not_tell(cell: CellFolder, tmp_path: Path) -> None:
    attempt(cell, held=True)
    write_text(cell.attempts / "1" / "lost.json", '{"nodes": 3}')

    assert losses(tmp_path) == Losses(attempts=1, node_hours=0.0, untold=1)


def test_without_a_loss_nothing_is_said(tmp_path: Path) -> None:
    assert losses(tmp_path).describe() == ""
