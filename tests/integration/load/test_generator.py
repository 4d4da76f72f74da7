"""One process forks the load generators of all steps; whatever ends, it says how."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import pandas as pd
import psutil
import pytest

from escalade.load.generator import LoadGenerator
from escalade.load.rows import read_rows
from escalade.load.step import run_step

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDS = ["--version"]
"""Arguments of locust with which it ends by itself."""


@pytest.fixture
def generator(tmp_path: Path) -> Iterator[LoadGenerator]:
    """Give a load generator on this machine."""
    with LoadGenerator(None, tmp_path / "load.log") as started:
        yield started


def process(generator: LoadGenerator) -> psutil.Process:
    """Give the process that forks."""
    return psutil.Process(generator.pid)


def test_steps_follow_each_other_without_its_start_between_them(
    generator: LoadGenerator, start_truth: Any, plan_step: Any
) -> None:
    first = plan_step(start_truth().url, 20, 0.5)
    second = dataclasses.replace(first, folder=first.folder.with_name("2"))

    began = time.time()
    one = run_step(first, generator, lambda: None)
    forker = process(generator)
    two = run_step(second, generator, lambda: None)

    assert (one["outcome"], two["outcome"]) == ("measured", "measured")
    assert process(generator) == forker
    assert two["started_at"] - one["drained_at"] < (one["started_at"] - began) / 2


@pytest.mark.parametrize("wrong", [0, 1])
def test_the_exit_code_is_that_of_the_worker_that_failed(
    generator: LoadGenerator, tmp_path: Path, wrong: int
) -> None:
    each = [(ENDS, tmp_path / "0.log"), (ENDS, tmp_path / "1.log")]
    generator.run(each[:1])
    assert generator.wait(30) == 0

    each[wrong] = (["-f", "nowhere.py"], tmp_path / "wrong.log")
    generator.run(each)
    assert generator.wait(30) != 0

    assert "nowhere.py" in (tmp_path / "wrong.log").read_text()
    generator.run(each[1 - wrong : 2 - wrong])
    assert generator.wait(30) == 0


@pytest.mark.parametrize("workers", [2, 4])
def test_workers_share_the_rows_and_the_epoch(
    generator: LoadGenerator, start_truth: Any, plan_step: Any, workers: int
) -> None:
    step = plan_step(start_truth().url, 40, 1.0, workers=workers)
    outcome = run_step(step, generator, lambda: None)

    assert outcome["outcome"] == "measured"
    assert outcome["client"]["workers"] == workers
    logs = [pd.read_parquet(worker.requests_file) for worker in step.each()]
    for number, log in enumerate(logs):
        assert log["index"].tolist() == list(range(number, 40, workers))
        assert set(log.worker) == {number}
    rows = pd.concat(logs).sort_values("index")
    planned = read_rows(step.schedule, 1)
    assert rows.error.isna().all()
    assert rows.payload_id.tolist() == planned.payload_id.tolist()
    since = rows.planned_at - outcome["started_at"]
    assert since.to_numpy() == pytest.approx(planned.offset_seconds, abs=1e-6)  # one clock for all


def test_a_worker_that_is_lost_ends_the_step_for_all(
    generator: LoadGenerator, start_truth: Any, plan_step: Any
) -> None:
    step = plan_step(start_truth().url, 40, 60.0, workers=2)

    def kill() -> None:
        sending = process(generator).children() if step.started_file.exists() else []
        if len(sending) == 2:
            sending[1].kill()

    began = time.monotonic()
    outcome = run_step(step, generator, kill)

    assert time.monotonic() - began < 30
    assert outcome["outcome"] == "client_failed"
    assert "killed by signal 9" in outcome["cause"]
    assert outcome["client"]["cpu_seconds"] is None  # of one of them nobody knows
    errors = [pd.read_parquet(worker.requests_file).error for worker in step.each()]
    assert [len(of) for of in errors] == [1200, 1200]
    assert sorted(of.eq("aborted").all() for of in errors) == [False, True]


def test_a_lost_process_takes_its_load_generator_along_and_is_started_again(
    generator: LoadGenerator, start_truth: Any, plan_step: Any
) -> None:
    step = plan_step(start_truth().url, 20, 60.0)
    sending: list[psutil.Process] = []

    def kill() -> None:
        if step.started_file.exists() and not sending:
            sending.extend(process(generator).children())
            process(generator).kill()

    outcome = run_step(step, generator, kill)

    assert outcome["outcome"] == "client_failed"
    assert "killed by signal 9" in outcome["cause"]
    gone, _ = psutil.wait_procs(sending, timeout=3)
    assert len(gone) == 1
    again = plan_step(step.host, 20, 0.5)
    assert run_step(again, generator, lambda: None)["outcome"] == "measured"


def test_what_can_not_be_started_elsewhere_says_why(plan_step: Any, tmp_path: Path) -> None:
    step = plan_step("http://127.0.0.1:1", 5, 1.0)
    words = ("sh", "-c", "echo no such node >&2; exit 7")

    with LoadGenerator(None, tmp_path / "load.log", lambda: words) as generator:
        outcome = run_step(step, generator, lambda: None)

    assert outcome["outcome"] == "client_failed"
    assert outcome["cause"] == "the load generator ended with exit code 7"
    assert outcome["log_tail"] == ["no such node"]


def test_the_end_of_the_driver_s_words_ends_everything(
    generator: LoadGenerator, start_truth: Any, plan_step: Any
) -> None:
    step = plan_step(start_truth().url, 20, 60.0)

    def leave() -> str | None:
        if not step.started_file.exists():
            return None
        processes.extend([process(generator), *process(generator).children()])
        generator.close()
        return "enough"

    processes: list[psutil.Process] = []
    outcome = run_step(step, generator, leave)

    assert outcome["cause"] == "enough"
    gone, _ = psutil.wait_procs(processes, timeout=0)
    assert len(gone) == 2
    assert outcome["drained_at"] is not None  # it wrote what it had


def test_cpus_that_it_may_not_use_are_named(plan_step: Any, tmp_path: Path) -> None:
    with LoadGenerator((4096,), tmp_path / "load.log") as generator:
        outcome = run_step(plan_step("http://127.0.0.1:1", 5, 1.0), generator, lambda: None)

    assert outcome["outcome"] == "client_failed"
    assert "not on [4096]" in outcome["log_tail"][-1]
