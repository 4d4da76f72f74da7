"""Which cells a driver takes on, and what its job asks for."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.campaign.cluster import ALLOCATION_OVERHEAD_SECONDS, seconds_of
from escalade.campaign.submission import (
    BEYOND_SECONDS,
    WARN_SECONDS,
    driver_request,
    is_over,
    submissions,
)
from escalade.campaign.turn import Turn, fitting
from escalade.runtime.slurm import own
from escalade.runtime.slurm.text import Job, JobState
from unit.campaign.builders import campaign, cells

if TYPE_CHECKING:
    from escalade.campaign.run import CampaignRun


class Clock:
    """Stands for Slurm: a job that has so many seconds left."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def jobs(self, ids: list[str]) -> dict[str, tuple[Job, ...]]:
        left = {"time_left_seconds": self.seconds}
        return {job: (Job(job, job, JobState.RUNNING, partition="cpu", **left),) for job in ids}


def a_run(count: int, lanes: int = 1, **slurm: Any) -> CampaignRun:
    plan = SimpleNamespace(campaign=campaign(lanes, **slurm))
    run: Any = SimpleNamespace(plan=plan, unfinished=cells(count))
    return run


def turn(run: CampaignRun, seconds: float) -> Turn:
    clock: Any = Clock(seconds)
    return Turn("7", run, clock)


@pytest.mark.parametrize(
    ("needed", "lanes", "seconds", "count"),
    [
        ([10, 10, 10], 1, 25, 2),
        ([10, 10, 10], 1, 30, 3),
        ([10, 10, 10], 2, 10, 2),  # the third would be the second of its lane
        ([10, 40, 10, 10], 2, 30, 1),  # lanes take turns: nobody jumps the queue
        ([10], 1, 9.9, 0),
        ([], 1, 100, 0),
    ],
)
def test_cells_are_taken_in_order_while_their_lane_has_the_time(
    needed: list[float], lanes: int, seconds: float, count: int
) -> None:
    assert fitting(needed, lanes, seconds) == count


@given(
    needed=st.lists(st.floats(0.1, 100), max_size=20),
    lanes=st.integers(1, 5),
    seconds=st.floats(0, 300),
)
def test_no_lane_gets_more_than_it_has_time_for(
    needed: list[float], lanes: int, seconds: float
) -> None:
    taken = needed[: fitting(needed, lanes, seconds)]

    assert all(sum(taken[lane::lanes]) <= seconds + 1e-6 for lane in range(lanes))


def test_a_driver_takes_what_ends_before_its_job_does() -> None:
    run = a_run(3)
    one = seconds_of(run.unfinished[0], run.plan.campaign)

    assert len(turn(run, BEYOND_SECONDS + 2.5 * one).cells(run)) == 2
    assert turn(run, BEYOND_SECONDS + 0.5 * one).cells(run) == ()


def test_the_number_of_cells_per_allocation_counts_over_the_whole_turn() -> None:
    run = a_run(5, cells_per_allocation=2)
    taking = turn(run, 1e6)

    assert len(taking.cells(run)) == 2
    assert taking.cells(run) == ()


def test_a_turn_of_a_paired_campaign_parts_no_pair() -> None:
    run = a_run(3)
    run.plan.campaign = run.plan.campaign.model_copy(update={"design": "paired"})  # type: ignore[misc]
    pairs: Any = SimpleNamespace(
        plan=run.plan, unfinished=[c for c in run.unfinished for _ in "AB"]
    )
    each = seconds_of(run.unfinished[0], run.plan.campaign)

    assert len(turn(pairs, BEYOND_SECONDS + 3.5 * each).cells(pairs)) == 2
    assert len(turn(pairs, BEYOND_SECONDS + 4.5 * each).cells(pairs)) == 4


def test_a_turn_has_progressed_once_a_cell_is_over() -> None:
    run = a_run(2)
    taking = turn(run, 1e6)

    assert not taking.progressed(run)
    assert taking.progressed(a_run(1))


def test_outside_of_a_submitted_driver_there_is_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "12")  # an interactive job of the user's

    assert own.own_job() is None
    assert Turn.of(a_run(1)) is None
    monkeypatch.setenv(own.VARIABLE, own.HERE)
    assert own.own_job() == "12"


def test_the_job_of_a_driver_has_time_for_its_cells_and_for_what_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    run = a_run(2)
    two = 2 * seconds_of(run.unfinished[0], run.plan.campaign)

    request = driver_request(run, ("escalade", "run"), Path("driver.log"))

    assert request.name == "small.driver"
    assert request.warn_seconds == WARN_SECONDS
    at_least = two + ALLOCATION_OVERHEAD_SECONDS + BEYOND_SECONDS
    assert at_least <= request.time_limit_seconds < at_least + 60


def test_a_list_of_drivers_with_a_line_cut_short_keeps_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    listed = tmp_path / "state" / "demo" / "submissions.jsonl"
    listed.parent.mkdir(parents=True)
    one = '{"job": "7", "at": 1.0, "config": "c", "profile": "p", "log": "l", "after": null}'
    listed.write_text(f'{one}\n{{"job": "8", "at\n')

    assert [entry.job for entry in submissions("demo")] == ["7"]
    assert submissions("another") == []


def test_a_job_that_slurm_has_forgotten_is_over() -> None:
    forgotten = Job("7", "7", JobState.UNKNOWN)
    running = Job("7", "7", JobState.RUNNING, partition="cpu")

    assert is_over((forgotten,))
    assert is_over((Job("7", "7", JobState.NODE_FAIL, partition="cpu"),))
    assert not is_over((running, forgotten))
