"""Locust with and without a step: its own ways stay as they are."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from escalade.files import read_table
from escalade.load.plan import workload_file, write_plan
from escalade.load.records import SCHEMA
from escalade.runtime.endpoints import free_port

if TYPE_CHECKING:
    from pathlib import Path

OWN = """
import gevent
from locust import FastHttpUser, HttpUser, SequentialTaskSet, between, task


class Reader(HttpUser):
    weight = 3
    wait_time = between(20, 30)

    def on_start(self):
        self.client.get("/login")

    @task
    def read(self):
        self.client.get("/read", headers={"X-Request-Id": "1"})


class Writer(FastHttpUser):
    weight = 1
    wait_time = between(20, 30)

    @task
    class Writing(SequentialTaskSet):
        wait_time = between(20, 30)

        @task
        def write(self):
            self.client.post("/write", json={"a": 1})
            gevent.spawn(self.client.get, "/check").join()

        @task
        def refuse(self):
            with self.client.get("/refuse", catch_response=True) as response:
                response.failure("not what I asked for")
"""


def test_an_own_locustfile_follows_the_schedule_unchanged(
    start_truth: Any, plan_step: Any, run: Any, tmp_path: Path
) -> None:
    own = tmp_path / "mine.py"
    own.write_text(OWN)
    truth = start_truth()
    done = run(plan_step(truth.url, 50, 3.0, workload=str(own)))
    hits = truth.lines().path.value_counts()

    # One arrival is one run of a task; what on_start sends is no arrival.
    assert hits["/read"] + hits["/write"] + hits["/refuse"] == len(done.requests) == 150
    assert hits["/check"] == hits["/write"]
    assert hits["/login"] >= 1
    assert 0.6 < hits["/read"] / 150 < 0.9  # weight 3 of 4
    refused = done.requests.error == "malformed"
    assert refused.sum() == hits["/refuse"] > 5
    assert done.requests.error[~refused].isna().all()
    assert (done.requests.status == 200).all()
    assert (done.requests.sent_at >= done.requests.planned_at).all()
    assert done.outcome["client"]["users"] < 150  # waits of 20 s would need 1000
    reported = done.step.log.read_text()
    assert "/write" in reported


def test_locust_itself_runs_a_step_headless(start_truth: Any, plan_step: Any) -> None:
    step = plan_step(start_truth().url, 20, 1.0, workload="openai_chat")
    plan = step.schedule.with_name("plan.json")
    write_plan(plan, step, None)
    command = [sys.executable, "-m", "locust", "-f", str(workload_file("openai_chat"))]
    command += ["--headless", "--host", step.host, "--escalade-step", str(plan)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    stored = read_table(step.requests_file, "request log", SCHEMA.names)
    assert len(stored) == 20
    assert stored.error.isna().all()


def test_without_a_step_a_workload_is_a_plain_locustfile(start_truth: Any) -> None:
    truth = start_truth("--ttft-seconds", "0", "--itl-seconds", "0.001")
    command = [sys.executable, "-m", "locust", "-f", str(workload_file("openai_chat"))]
    command += ["--headless", "--host", truth.url, "--users", "2", "--spawn-rate", "2"]
    command += ["--run-time", "3s"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0, done.stderr
    lines = truth.lines()
    assert len(lines) > 5
    assert lines.id.is_unique
    assert (lines.cached == 0).all()


def test_without_a_step_locust_s_own_master_shares_users_among_its_workers(
    start_truth: Any,
) -> None:
    truth = start_truth()
    port = str(free_port("127.0.0.1"))
    common = [sys.executable, "-m", "locust", "-f", str(workload_file("plain_http"))]
    at = ["--master-host", "127.0.0.1", "--master-port", port]
    workers = [
        subprocess.Popen(
            [*common, "--worker", *at], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(2)
    ]
    master = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port]
    master += ["--headless", "--expect-workers", "2", "--users", "4", "--spawn-rate", "4"]
    try:
        done = subprocess.run(
            [*common, *master, "--run-time", "2s", "--host", truth.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        codes = [worker.wait(timeout=20) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()

    assert done.returncode == 0, done.stderr
    assert codes == [0, 0]
    assert len(truth.lines()) > 5
    assert "Aggregated" in done.stderr  # its table of what both workers sent


@pytest.mark.slow
def test_a_step_runs_under_the_web_page(start_truth: Any, plan_step: Any) -> None:
    step = plan_step(start_truth().url, 20, 2.0)
    plan = step.schedule.with_name("plan.json")
    write_plan(plan, step, None)
    page = f"http://127.0.0.1:{(port := free_port('127.0.0.1'))}"
    command = [sys.executable, "-m", "locust", "-f", str(workload_file("plain_http"))]
    command += ["--autostart", "--web-host", "127.0.0.1", "--web-port", str(port)]
    command += ["--host", step.host, "--escalade-step", str(plan)]
    locust = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not step.client_file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        answer = requests.get(f"{page}/", timeout=5)
        live = requests.get(f"{page}/stats/requests", timeout=5).json()
    finally:
        locust.terminate()
        locust.wait(timeout=10)

    assert answer.status_code == 200
    assert [entry["num_requests"] for entry in live["stats"]] == [40, 40]  # the path, and all
    stored = read_table(step.requests_file, "request log", SCHEMA.names)
    assert stored.error.isna().all()
