"""What fails is recorded: as rows, as the outcome of the step, never as a hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from escalade.errors import InputError
from escalade.files import read_json
from escalade.load.plan import write_plan

if TYPE_CHECKING:
    from pathlib import Path

DRIVER = """
import sys
from pathlib import Path
from escalade.load.plan import read_plan
from escalade.load.step import run_step
run_step(read_plan(Path(sys.argv[1]))[0], lambda: None)
"""
HTTP_USER = """
from locust import HttpUser, task

class Mine(HttpUser):
    @task
    def ask(self):
        self.client.get("/")
"""
STREAMS = {  # how a stream ends, and what a client that waits 0.5 s makes of it
    "malformed": "malformed",
    "truncated": "reset",
    "silent": "timeout",
    "endless": "timeout",
}


def test_what_fails_is_recorded_by_its_class(
    start_truth: Any, plan_step: Any, run: Any, tmp_path: Path
) -> None:
    chat = {"workload": "openai_chat", "request_timeout_seconds": 0.5}
    truths = {
        how: start_truth("--stream", how, "--ttft-seconds", "0", "--itl-seconds", "0.02")
        for how in STREAMS
    }
    steps = {how: plan_step(truth.url, 10, 1.0, **chat) for how, truth in truths.items()}
    steps["unfinished"] = plan_step(
        truths["endless"].url, 10, 1.0, workload="openai_chat", drain_timeout_seconds=0.5
    )
    steps["refused"] = plan_step("http://127.0.0.1:1", 10, 1.0)
    own = tmp_path / "mine.py"
    own.write_text(HTTP_USER)
    slow = start_truth("--service-seconds", "60")
    steps["slow"] = plan_step(slow.url, 10, 1.0, workload=str(own), request_timeout_seconds=0.5)
    failing = start_truth("--error-ratio", "0.5", "--error-status", "503")
    steps["failing"] = plan_step(failing.url, 50, 1.0)
    with ThreadPoolExecutor() as pool:  # eight starts of locust one by one take long
        done = dict(zip(steps, pool.map(run, steps.values()), strict=True))

    for how, error in STREAMS.items():
        assert done[how].requests.error.tolist() == [error] * 10, how
        assert done[how].requests.first_chunk_at.notna().all()
        assert (done[how].requests.status == 200).all()
        assert done[how].outcome["drained"] is True
    assert done["unfinished"].requests.error.tolist() == ["unfinished"] * 10
    assert done["unfinished"].requests.ended_at.isna().all()
    assert done["unfinished"].outcome["drained"] is False
    assert done["slow"].requests.error.tolist() == ["timeout"] * 10
    assert done["refused"].requests.error.tolist() == ["connect"] * 10
    assert (done["refused"].requests.status == 0).all()
    assert "Traceback" not in done["refused"].step.log.read_text()
    joined = done["failing"].joined(failing)  # the server knows which ones it failed
    assert (joined.status == joined.status_true).all()
    assert ((joined.status == 503) == (joined.error == "http_5xx")).all()
    assert 5 < (joined.status == 503).sum() < 45
    assert {one.outcome["outcome"] for one in done.values()} == {"measured"}


def test_a_service_that_dies_ends_the_step_at_once(
    start_truth: Any, plan_step: Any, run: Any
) -> None:
    truth = start_truth("--die-after-seconds", "1.5")
    step = plan_step(truth.url, 20, 60.0, workload="openai_chat")
    done = run(step, truth.watch)

    assert done.outcome["outcome"] == "service_failed"
    assert done.outcome["cause"] == "the service ended with exit code 3"
    assert done.wall_seconds < 20
    assert len(done.requests) == 1200
    assert done.requests.error.isna().any()
    assert (done.requests.error == "not_sent").sum() > 900
    assert set(done.requests.error.dropna()) <= {"not_sent", "connect", "reset", "aborted"}
    assert done.outcome == read_json(step.outcome_file, "outcome")
    assert done.outcome["drained"] is False
    assert done.outcome["window_start"] < done.outcome["drained_at"] < done.outcome["window_end"]


def test_a_killed_client_is_its_own_failure(
    start_truth: Any, plan_step: Any, run: Any, client_of: Any
) -> None:
    truth = start_truth()
    step = plan_step(truth.url, 20, 60.0)

    def kill() -> None:
        client = client_of(step)
        if client and step.started_file.exists():
            client.kill()

    done = run(step, kill)

    assert done.outcome["outcome"] == "client_failed"
    assert "killed by signal 9" in done.outcome["cause"]
    assert done.outcome["log_tail"]
    assert done.requests.error.tolist() == ["aborted"] * 1200  # its memory is lost
    assert done.requests.planned_at.iloc[0] >= done.outcome["started_at"]
    assert done.outcome["client"] == dict.fromkeys(done.outcome["client"])


def test_a_client_that_can_not_start_says_why(plan_step: Any, run: Any, tmp_path: Any) -> None:
    own = tmp_path / "mine.py"
    own.write_text(
        "from locust import HttpUser, task\n"
        "class Mine(HttpUser):\n"
        "    def on_start(self):\n"
        "        raise RuntimeError('no such account')\n"
        "    @task\n"
        "    def look(self):\n"
        "        pass\n"
    )
    done = run(plan_step("http://127.0.0.1:1", 5, 1.0, workload=str(own)))

    assert done.outcome["outcome"] == "client_failed"
    assert done.outcome["started_at"] is None
    tail = "\n".join(done.outcome["log_tail"])
    assert "No user of Mine became ready" in done.step.log.read_text(), tail
    assert done.requests.error.tolist() == ["not_sent"] * 5


def test_a_hopeless_step_is_refused_before_anything_starts(plan_step: Any, run: Any) -> None:
    step = plan_step("http://127.0.0.1:1", 5, 1.0, workload="no_such_workload")

    with pytest.raises(InputError, match="no_such_workload"):
        run(step)
    assert not step.log.exists()


def test_sigterm_writes_what_there_is_at_once(
    start_truth: Any, plan_step: Any, run: Any, client_of: Any
) -> None:
    truth = start_truth()
    step = plan_step(truth.url, 50, 60.0)
    asked: list[float] = []

    def terminate() -> None:
        client = client_of(step)
        if client and step.started_file.exists():
            time.sleep(1)
            asked.append(time.monotonic())
            client.terminate()

    done = run(step, terminate)

    assert time.monotonic() - asked[0] < 3
    assert done.outcome["outcome"] == "client_failed"
    assert "exit code 3" in done.outcome["cause"]
    assert done.requests.error.isna().sum() > 20
    assert (done.requests.error == "not_sent").sum() > 2500


def test_the_client_dies_with_its_driver(start_truth: Any, plan_step: Any) -> None:
    truth = start_truth()
    step = plan_step(truth.url, 20, 60.0)
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(_stored(step))])
    deadline = time.monotonic() + 30
    while not step.started_file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    (client,) = psutil.Process(driver.pid).children()
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()

    gone, _ = psutil.wait_procs([client], timeout=3)
    assert gone


def _stored(step: Any) -> Path:
    path = step.schedule.with_name("driver.json")
    write_plan(path, step, None)
    return path
