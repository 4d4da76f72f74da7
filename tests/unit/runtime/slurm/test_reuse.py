"""Which held job serves the next cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from escalade.errors import InfrastructureError
from escalade.runtime.allocation import Place
from escalade.runtime.driver import RunFolder
from escalade.runtime.slurm import jobs, own, reuse
from escalade.runtime.slurm.queue import Order

if TYPE_CHECKING:
    from pathlib import Path

PLACES = [Place("n1", "10.0.0.1", (0,), (), None, 1)]


class Queue:
    """Jobs with so many seconds left, and those that were ended."""

    def __init__(self, **seconds: float) -> None:
        self.seconds = seconds
        self.gone: list[str] = []

    def seconds_left(self, job: str) -> float:
        return self.seconds[f"j{job}"]

    def end(self, job: str) -> None:
        self.gone.append(job)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path, 15.0)


def order(most_cells: int | None = None) -> Order:
    request: Any = None
    return Order(request, 60.0, needed_seconds=100.0, most_cells=most_cells)


def take(run: RunFolder, queue: Queue, most_cells: int | None = None) -> Any:
    asked: Any = queue
    return reuse.take(run, order(most_cells), "cell", asked)


def test_a_job_with_the_time_is_taken_and_entered_for_the_cell(run: RunFolder) -> None:
    jobs.record(run.jobs, "7", "earlier")
    reuse.give_back(run, "7", PLACES)

    assert take(run, Queue(j7=100.0)) == ("7", PLACES)
    assert jobs.cells(run.jobs, "7") == 2
    assert take(run, Queue(j7=100.0)) is None


@pytest.mark.parametrize(("seconds", "most_cells"), [(99.0, None), (1000.0, 1)])
def test_a_job_that_may_not_serve_is_ended(
    run: RunFolder, seconds: float, most_cells: int | None
) -> None:
    jobs.record(run.jobs, "7", "earlier")
    reuse.give_back(run, "7", PLACES)
    queue = Queue(j7=seconds)

    assert take(run, queue, most_cells) is None
    assert queue.gone == ["7"]
    assert jobs.left(run.jobs) == []


def test_without_a_held_job_one_has_to_be_asked_for(run: RunFolder) -> None:
    assert take(run, Queue()) is None


@pytest.fixture
def driver_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    monkeypatch.setenv(own.VARIABLE, own.HERE)


@pytest.mark.usefixtures("driver_job")
def test_the_drivers_own_job_serves_first_and_is_never_listed_for_cancelling(
    run: RunFolder,
) -> None:
    reuse.offer_own_job(run)

    assert take(run, Queue(j9=100.0), most_cells=1) == ("9", [])
    assert not run.jobs.exists()


@pytest.mark.usefixtures("driver_job")
def test_the_drivers_own_job_is_not_ended_when_it_is_too_short(run: RunFolder) -> None:
    reuse.offer_own_job(run)
    queue = Queue(j9=99.0)

    with pytest.raises(InfrastructureError, match=r"ends in 99 s, .* left to the next job"):
        take(run, queue)

    assert queue.gone == []
    assert take(run, Queue(j9=100.0)) == ("9", [])


PAIR = "9,14"
"""The driver's own job, and that of the service beside it."""


@pytest.mark.usefixtures("driver_job")
def test_the_job_beside_the_drivers_own_is_kept_as_long_as_it_lasts(run: RunFolder) -> None:
    jobs.record(run.jobs, "14", "earlier")
    reuse.give_back(run, PAIR, PLACES)
    queue = Queue(**{"j9": 500.0, "j9,14": 100.0})

    assert take(run, queue) == (PAIR, PLACES)
    reuse.give_back(run, PAIR, PLACES)
    queue.seconds["j9,14"] = 0.0  # the service's job has ended

    assert take(run, queue) == ("9", [])
    assert queue.gone == ["14"]
    assert jobs.left(run.jobs) == []


@pytest.mark.usefixtures("driver_job")
def test_at_the_end_only_the_job_beside_the_drivers_own_is_ended(run: RunFolder) -> None:
    jobs.record(run.jobs, "14", "earlier")
    queue = Queue(j9=100.0)
    asked: Any = queue

    reuse.let_go(run, PAIR, PLACES, asked)

    assert queue.gone == ["14"]
    assert take(run, queue) == ("9", [])


def test_two_jobs_of_an_allocation_are_ended_and_crossed_out_together(run: RunFolder) -> None:
    jobs.record(run.jobs, "12,13", "cell")
    queue = Queue()
    asked: Any = queue

    assert jobs.left(run.jobs) == ["12", "13"]
    assert jobs.cells(run.jobs, "12,13") == 1
    reuse.let_go(run, "12,13", PLACES, asked)

    assert queue.gone == ["12,13"]
    assert jobs.left(run.jobs) == []


def test_no_other_process_offers_its_job(run: RunFolder) -> None:
    reuse.offer_own_job(run)

    assert take(run, Queue()) is None
