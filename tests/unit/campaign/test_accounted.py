"""A cell's energy by Slurm's accounting: noted where there is some, and told apart from the rest."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from escalade.campaign.accounted import energy_rows, note_energy
from escalade.campaign.layout import CampaignFolder
from escalade.report.page import render
from escalade.report.sections.energy import energy_view
from escalade.runtime.slurm.calls import Caller
from slurm_recordings import StandIns
from unit.report import campaign
from unit.runtime.slurm.test_energy import GATHERED, recorded

if TYPE_CHECKING:
    from pathlib import Path

BEGAN = 1_700_000_000.0
"""Before the recorded job."""


@pytest.fixture
def programs(tmp_path: Path) -> StandIns:
    (tmp_path / "bin").mkdir()
    return StandIns(tmp_path / "bin")


def noted(tmp_path: Path, programs: StandIns, since: float = BEGAN) -> list[float]:
    """Note the energy of the recorded job; gives the pauses between the looks."""
    pauses: list[float] = []
    caller = Caller({"PATH": f"{programs.folder}:{os.environ['PATH']}"}, patience_seconds=1)
    note_energy(tmp_path / "energy.json", "38113", since, caller, pauses.append)
    return pauses


def test_the_service_s_steps_are_noted_with_their_source(
    tmp_path: Path, programs: StandIns
) -> None:
    programs.answers("scontrol", GATHERED)
    programs.answers("sacct", recorded().replace("20536917", ""))  # it ends a moment later
    programs.answers("sacct", recorded().replace("cuda-vars.sh", "service"))

    pauses = noted(tmp_path, programs)

    note = json.loads((tmp_path / "energy.json").read_text())
    assert (note["source"], note["job"]) == ("acct_gather_energy/ipmi", "38113")
    assert [(step["step"], step["joules"]) for step in note["steps"]] == [("38113.0", 20536917.0)]
    assert len(pauses) == 1


def test_nothing_is_noted_where_the_site_gathers_none(tmp_path: Path, programs: StandIns) -> None:
    programs.answers("scontrol", "AcctGatherEnergyType    = acct_gather_energy/none\n")
    programs.answers("sacct", recorded())

    assert noted(tmp_path, programs) == []
    assert not (tmp_path / "energy.json").exists()
    assert programs.calls("sacct") == []


def test_steps_of_earlier_cells_in_the_same_job_are_not_this_one_s(
    tmp_path: Path, programs: StandIns
) -> None:
    programs.answers("scontrol", GATHERED)
    programs.answers("sacct", recorded().replace("cuda-vars.sh", "service"))

    noted(tmp_path, programs, since=BEGAN * 1.1)

    assert not (tmp_path / "energy.json").exists()


def test_an_accounting_that_answers_nonsense_fails_no_cell(
    tmp_path: Path, programs: StandIns
) -> None:
    programs.answers("scontrol", GATHERED)
    programs.answers("sacct", "what?\n")

    noted(tmp_path, programs)

    assert not (tmp_path / "energy.json").exists()


def test_it_is_a_source_of_its_own_in_verdicts_and_report(
    tmp_path: Path, programs: StandIns
) -> None:
    data = campaign.report_data(rates=(1.0, 2.0))
    name = data.facts[0].name
    folder = CampaignFolder(tmp_path / "results")
    folder.cell(name).path.mkdir(parents=True)
    programs.answers("scontrol", GATHERED)
    programs.answers("sacct", recorded().replace("cuda-vars.sh", "service"))
    noted(tmp_path, programs)
    (tmp_path / "energy.json").rename(folder.cell(name).energy)

    (row,) = energy_rows(folder, data.cells)

    assert (row["scope"], row["joules"], row["seconds"]) == ("node", 20536917.0, 2101.0)
    assert row["mean_watts"] == pytest.approx(20536917 / 2101)
    shown = replace(data, verdicts={**data.verdicts, "energy_accounted": [row]})
    (line,) = energy_view(shown).accounted.rows
    assert line[1:5] == ("38113.0 (service)", "node", "Slurm, acct_gather_energy/ipmi", "4")
    assert energy_view(shown).table == energy_view(data).table  # nothing is added to anything
    assert "As Slurm's accounting has it" in render(shown).replace("&#39;", "'")
    assert "accounting has it" not in render(data)


def test_on_one_machine_nobody_is_asked(tmp_path: Path) -> None:
    note_energy(tmp_path / "energy.json", None, BEGAN, SimpleNamespace())  # type: ignore[arg-type]

    assert not (tmp_path / "energy.json").exists()
