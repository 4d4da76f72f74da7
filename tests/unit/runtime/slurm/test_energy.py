"""Energy of job steps, as Slurm's accounting prints it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from escalade.errors import InfrastructureError
from escalade.runtime.slurm.calls import Caller
from escalade.runtime.slurm.energy import (
    SACCT_ENERGY,
    energy_of,
    energy_source,
    parse_sacct_energy,
)
from escalade.runtime.slurm.notation import SEPARATOR
from slurm_recordings import StandIns, output

if TYPE_CHECKING:
    from pathlib import Path

GATHERED = "AcctGatherEnergyType    = acct_gather_energy/ipmi\n"


def recorded() -> str:
    """Give what a site published in the fields and with the separator that are asked for."""
    table = output("published/sacct_energy_santis.txt").splitlines()
    names, *rows = [[part.strip() for part in line.strip("|").split("|")] for line in table]
    lines = []
    for row in rows[1:]:
        told = dict(zip(names, row, strict=True))
        if told["JobName"] == "cuda-vars.sh":
            told["JobID"] = "38113.0"  # cut where it was published
        for name in ("Start", "End"):
            day, _, clock = told[name].rpartition("-")
            told[name] = f"{day}T{clock}"
        lines.append(SEPARATOR.join(told[name] for name in SACCT_ENERGY.split(",")))
    return "\n".join(lines) + "\n"


@pytest.fixture
def programs(tmp_path: Path) -> StandIns:
    (tmp_path / "bin").mkdir()
    return StandIns(tmp_path / "bin")


@pytest.fixture
def caller(programs: StandIns) -> Caller:
    return Caller({"PATH": f"{programs.folder}:{os.environ['PATH']}"}, patience_seconds=1)


def test_every_recorded_step_has_its_joules_and_the_job_itself_is_none() -> None:
    found = parse_sacct_energy(recorded())

    assert [(each.step, each.joules, each.nodes) for each in found] == [
        ("38113.batch", 5094129.0, 1),
        ("38113.extern", 20543125.0, 4),
        ("38113.0", 20536917.0, 4),
    ]
    assert found[2].ended - found[2].began == 2101
    assert found[2].hosts == "nid[001002,001004,001012,001014]"


@pytest.mark.parametrize("raw", ["", "0", "18446744073709551614"])
def test_what_was_not_gathered_is_no_energy(raw: str) -> None:
    text = recorded().replace("20536917", raw)

    assert [each.step for each in parse_sacct_energy(text)] == ["38113.batch", "38113.extern"]


def test_a_step_that_runs_has_none_yet() -> None:
    text = recorded().replace("2024-03-15T20:59:17", "Unknown")

    assert [each.step for each in parse_sacct_energy(text)] == ["38113.batch", "38113.extern"]


@pytest.mark.parametrize("damage", ["20536917|4", "many"])
def test_what_is_no_answer_is_refused(damage: str) -> None:
    with pytest.raises(InfrastructureError, match="sacct"):
        parse_sacct_energy(recorded().replace("20536917", damage))


@pytest.mark.parametrize(
    ("said", "source"),
    [
        (GATHERED, "acct_gather_energy/ipmi"),
        ("AcctGatherEnergyType    = acct_gather_energy/none\n", ""),
        ("AcctGatherEnergyType    = (null)\n", ""),
        ("AccountingStorageType   = accounting_storage/none\n", ""),
    ],
)
def test_the_site_says_what_measures(
    programs: StandIns, caller: Caller, said: str, source: str
) -> None:
    programs.answers("scontrol", said)

    assert energy_source(caller) == source


def test_a_cluster_without_accounting_has_no_energy(programs: StandIns, caller: Caller) -> None:
    programs.answers("sacct", said="Slurm accounting storage is disabled", code=1)

    assert energy_of("38113", caller) == []
