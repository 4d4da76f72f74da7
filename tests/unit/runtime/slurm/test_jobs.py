"""The list of a run's jobs: what is left of it is cancelled, whatever happened before."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from escalade.errors import InfrastructureError
from escalade.runtime.allocation import Place
from escalade.runtime.slurm import jobs
from escalade.runtime.slurm.pool import Pool

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.runtime.slurm.commands import Slurm

PLACES = [Place("node1", "node1", (0, 1), (), 0), Place("node2", "node2", (0,), ("0",), 1)]


@dataclass
class Commands:
    """Stands in for the commands of Slurm: notes what is cancelled, or fails."""

    silent: bool = False
    cancelled: list[str] = field(default_factory=list)

    def cancel(self, ids: list[str]) -> None:
        if self.silent:
            raise InfrastructureError("slurmctld does not answer")
        self.cancelled += ids


def sweep(path: Path, commands: Commands) -> bool:
    return jobs.sweep(path, cast("Slurm", commands))


def test_what_was_entered_and_is_not_gone_is_cancelled_once(tmp_path: Path) -> None:
    path, commands = tmp_path / "jobs.jsonl", Commands()
    for job in ("11", "12", "13"):
        jobs.record(path, job, "cell")
    jobs.ended(path, "12")

    assert jobs.left(path) == ["11", "13"]
    assert sweep(path, commands)
    assert sweep(path, commands)
    assert commands.cancelled == ["11", "13"]


def test_the_cells_of_a_job_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    for job, cell in (("11", "a"), ("12", "b"), ("11", "c")):
        jobs.record(path, job, cell)

    assert jobs.cells(path, "11") == 2
    assert jobs.left(path) == ["11", "12"]


def test_a_silent_controller_leaves_the_jobs_for_the_next_sweep(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    jobs.record(path, "11", "cell")

    assert not sweep(path, Commands(silent=True))
    assert jobs.left(path) == ["11"]


def test_a_line_cut_short_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "jobs.jsonl"
    jobs.record(path, "11", "cell")
    with path.open("ab") as file:
        file.write(b'{"job": "1')
    jobs.record(path, "13", "cell")

    assert jobs.left(path) == ["11", "13"]


@pytest.mark.parametrize("content", [b"", b"garbage\n", b"[]\n", b"{}\n", b"\xff\n"])
def test_a_damaged_list_has_no_jobs(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "jobs.jsonl"
    path.write_bytes(content)

    assert jobs.left(path) == []


def test_no_list_is_no_jobs_and_needs_no_slurm(tmp_path: Path) -> None:
    assert jobs.left(tmp_path / "jobs.jsonl") == []
    assert sweep(tmp_path / "jobs.jsonl", Commands(silent=True))


def test_a_list_that_cant_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(InfrastructureError, match="can't be written"):
        jobs.record(tmp_path / "file" / "jobs.jsonl", "11", "cell")


def test_a_held_job_is_taken_once_with_its_places(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    pool.put("11", PLACES)

    assert pool.jobs() == ["11"]
    assert pool.take("11") == PLACES
    assert pool.take("11") is None
    assert pool.jobs() == []


def test_a_job_may_be_offered_again(tmp_path: Path) -> None:
    pool = Pool(tmp_path)
    for _ in range(2):
        pool.put("11", PLACES)
        assert pool.take("11") == PLACES


def test_a_damaged_offer_is_no_offer(tmp_path: Path) -> None:
    (tmp_path / "11.json").write_text("{")

    assert Pool(tmp_path).take("11") is None
