"""What was held: the notes beside cells and attempts, and those of earlier releases."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest

from escalade.analysis.verdicts.cost import LOCAL, NOT_RECORDED, Part
from escalade.campaign.holdings import holdings_of
from escalade.campaign.layout import CampaignFolder
from escalade.errors import InputError
from escalade.files import write_json, write_text
from unit.analysis.builders import Step, cell

if TYPE_CHECKING:
    from pathlib import Path

HELD = {
    "held_at": 100.0,
    "job": "7",
    "nodes": ["n1", "n2"],
    "components": [
        {"name": "client", "partition": "cpu", "nodes": 1, "cpus": None, "gpus": 0},
        {"name": "service", "partition": "gpu", "nodes": 2, "cpus": 64, "gpus": 4},
    ],
    "run": {"id": "r1", "began_at": 50.0},
    "driving": True,
}


def made(**environment: Any) -> Any:
    data = cell(Step(), **environment)
    return type(data)(
        **{
            **vars(data),
            "cell": {**data.cell, "started_at": 90.0, "ended_at": 400.0},
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> CampaignFolder:
    return CampaignFolder(tmp_path)


def test_a_cell_tells_what_it_held_from_its_note(folder: CampaignFolder) -> None:
    data = made(allocation={"launcher": "slurm", "job": "7"})
    write_json(folder.cell(data.name).held, HELD)

    (holding,), untold = holdings_of(folder, [data])

    assert (holding.start, holding.end, holding.job, untold) == (100.0, 400.0, "7", 0)
    assert holding.parts == (
        Part("client", "cpu", 1, None, 0),
        Part("service", "gpu", 2, 64, 4),
    )
    assert (holding.run, holding.paid_from) == ("r1", 50.0)


def test_a_cell_of_an_earlier_release_stands_by_its_begin_and_end(folder: CampaignFolder) -> None:
    here = made(allocation={"launcher": "local"}, node={"cpus": 2})
    there = made(
        allocation={"launcher": "slurm", "job": "7", "client_node": "n1", "service_nodes": ["n2"]}
    )

    (local,), _ = holdings_of(folder, [here])
    (slurm,), _ = holdings_of(folder, [there])

    assert (local.start, local.end) == (90.0, 400.0)
    assert local.parts == (Part("all", LOCAL, 1, 2, 0),)
    assert math.isnan(local.run_start)
    assert slurm.parts == (Part("all", NOT_RECORDED, 2),)


def test_lost_attempts_are_told_apart_and_those_that_do_not_tell_are_counted(
    folder: CampaignFolder,
) -> None:
    data = made(allocation={"launcher": "slurm", "job": "7"})
    attempts = folder.cell(data.name).attempts
    write_json(folder.cell(data.name).held, HELD)
    for number, note in (("1", {**HELD, "job": "6", "until": 130.0}), ("2", {"until": 300.0})):
        (attempts / number).mkdir(parents=True)
        write_json(attempts / number / "lost.json", note)
    (attempts / "3").mkdir()
    (attempts / "4").mkdir()
    write_text(attempts / "4" / "lost.json", "{")

    holdings, untold = holdings_of(folder, [data])

    assert [(each.job, each.lost) for each in holdings] == [("7", False), ("6", True)]
    assert (holdings[1].end, untold) == (130.0, 3)


def test_a_damaged_note_of_a_cell_is_named(folder: CampaignFolder) -> None:
    data = made()
    folder.cell(data.name).path.mkdir(parents=True)
    write_text(folder.cell(data.name).held, '{"held_at":')

    with pytest.raises(InputError, match=r"held\.json"):
        holdings_of(folder, [data])
