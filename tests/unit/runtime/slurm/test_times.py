"""When a job ran, as Slurm's programs print it."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from escalade.errors import InfrastructureError
from escalade.runtime.slurm.commands import Slurm
from escalade.runtime.slurm.notation import SEPARATOR
from escalade.runtime.slurm.text import JobState
from escalade.runtime.slurm.times import (
    JobTimes,
    parse_sacct_times,
    parse_scontrol_times,
    together,
)
from slurm_recordings import StandIns, output, situations

if TYPE_CHECKING:
    from pathlib import Path

NO_SUCH_JOB = {entry.command: entry for entry in situations("22.05/no_such_job.txt")}


def local(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def line(*fields: str) -> str:
    return SEPARATOR.join(fields) + "\n"


@pytest.fixture
def programs(tmp_path: Path) -> StandIns:
    (tmp_path / "bin").mkdir()
    return StandIns(tmp_path / "bin")


@pytest.fixture
def slurm(programs: StandIns) -> Slurm:
    return Slurm({"PATH": f"{programs.folder}:{os.environ['PATH']}"}, patience_seconds=1)


def test_every_recorded_job_has_its_times() -> None:
    found = parse_scontrol_times(output("22.05/scontrol_show_job.txt"))

    assert found[0] == JobTimes(
        JobState.COMPLETED, local("2026-11-22T07:23:43"), local("2026-11-22T07:23:43")
    )
    assert len(found) > 5
    for job in found:
        assert (job.ended is not None) == job.state.ended
        assert job.state is not JobState.PENDING or job.began is None


def test_an_end_that_is_only_expected_is_none() -> None:
    text = "JobId=5 JobName=x\n JobState=RUNNING\n StartTime=2026-11-22T07:00:00 EndTime=2026-11-22T09:00:00\n"

    (job,) = parse_scontrol_times(text)

    assert (job.began, job.ended) == (local("2026-11-22T07:00:00"), None)


def test_a_job_that_never_began_has_no_times() -> None:
    (job,) = parse_sacct_times(line("5", "CANCELLED by 1000", "None", "2026-11-22T09:00:00"))

    assert job.began is None


def test_components_are_one_time() -> None:
    parts = [
        JobTimes(JobState.COMPLETED, 10.0, 20.0),
        JobTimes(JobState.RUNNING, 12.0, None),
        JobTimes(JobState.COMPLETED, 11.0, 30.0),
    ]

    assert together(parts) == JobTimes(JobState.RUNNING, 10.0, None)
    assert together(parts[::2]) == JobTimes(JobState.COMPLETED, 10.0, 30.0)
    assert together([]) is None


def test_output_that_can_not_be_read_is_told() -> None:
    with pytest.raises(InfrastructureError, match="4 fields, got 2"):
        parse_sacct_times(line("5", "COMPLETED"))
    with pytest.raises(InfrastructureError, match="a time as in"):
        parse_sacct_times(line("5", "COMPLETED", "today", "now"))
    with pytest.raises(InfrastructureError, match="an entry with EndTime="):
        parse_scontrol_times("JobId=5\n JobState=RUNNING\n StartTime=2026-11-22T07:00:00\n")


def test_a_job_that_the_controller_forgot_is_looked_up_in_the_accounts(
    slurm: Slurm, programs: StandIns
) -> None:
    programs.answers("scontrol", said=NO_SUCH_JOB["scontrol show job 999999"].said, code=1)
    programs.answers(
        "sacct",
        line("5", "COMPLETED", "2026-11-22T07:00:00", "2026-11-22T08:00:00")
        + line("5.batch", "COMPLETED", "2026-11-22T07:00:00", "2026-11-22T08:00:01"),
    )

    assert slurm.times("5") == JobTimes(
        JobState.COMPLETED, local("2026-11-22T07:00:00"), local("2026-11-22T08:00:00")
    )


def test_a_job_that_nobody_knows_is_none(slurm: Slurm, programs: StandIns) -> None:
    programs.answers("scontrol", said=NO_SUCH_JOB["scontrol show job 999999"].said, code=1)
    programs.answers("sacct", "")

    assert slurm.times("5") is None
