"""What fails is recorded: as rows, as the outcome of the step, never as a hang."""

from __future__ import annotations

import os
import signal
import socketserver
import subprocess
import sys
import threading
import time
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
from escalade.load.generator import LoadGenerator
from escalade.load.step import run_step
step, _ = read_plan(Path(sys.argv[1]))
with LoadGenerator(None, step.log) as generator:
    run_step(step, generator, lambda: None)
"""
MIXED = """
from locust import FastHttpUser, HttpUser, task

from escalade.load.workload import due, json_events, parameters


class Streaming(FastHttpUser):
    weight = 6

    @task
    def ask(self):
        request = due()
        hosts = parameters()["hosts"]
        url = hosts[request.payload_id % len(hosts)] + "/v1/chat/completions"
        body = {"messages": [{"content": "x"}], "max_tokens": 4, "stream": True}
        with self.client.post(url, json=body, stream=True, catch_response=True) as response:
            for _ in json_events(response, request):
                request.chunk()


class Plain(HttpUser):
    @task
    def wait_in_vain(self):
        self.client.get(parameters()["slow"])
"""
CLASSES = {  # how a server fails, and what a client that waits 0.5 s makes of it
    "malformed": ("malformed", 200),
    "truncated": ("reset", 200),
    "silent": ("timeout", 200),
    "endless": ("timeout", 200),
    "failing": ("http_5xx", 503),
    "refused": ("connect", 0),
    "no TLS": ("connect", 0),
    "whole": ("", 200),
}


def _answers_plainly() -> int:
    """Serve plain text to whatever comes, for as long as the tests run; give the port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(4096)
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def test_what_fails_is_recorded_by_its_class(
    start_truth: Any, plan_step: Any, run: Any, tmp_path: Path
) -> None:
    own = tmp_path / "mine.py"
    own.write_text(MIXED)
    fast = ("--ttft-seconds", "0", "--itl-seconds", "0.01")
    urls = {
        how: start_truth("--stream", how, *fast).url
        for how in ("malformed", "truncated", "silent", "endless", "whole")
    }
    urls["failing"] = start_truth("--error-ratio", "1", "--error-status", "503").url
    urls["refused"] = "http://127.0.0.1:1"
    urls["no TLS"] = f"https://127.0.0.1:{_answers_plainly()}"
    slow = start_truth("--service-seconds", "60")
    step = plan_step(
        slow.url,
        70,
        2.0,
        workload=str(own),
        parameters={"hosts": [urls[how] for how in CLASSES], "slow": slow.url},
        request_timeout_seconds=0.5,
    )
    done = run(step)

    assert done.outcome["outcome"] == "measured"
    assert done.outcome["drained"] is True
    plain = (done.requests.status == 0) & (done.requests.error == "timeout")
    assert 5 < plain.sum() < 40  # one in seven, by weight
    streams = done.requests[~plain]
    for place, (error, status) in enumerate(CLASSES.values()):
        rows = streams[streams.payload_id % len(CLASSES) == place]
        assert len(rows) > 5
        assert rows.error.fillna("").unique().tolist() == [error]
        assert rows.status.unique().tolist() == [status]
        assert rows.first_chunk_at.notna().all() == (status == 200)
    assert "Traceback" not in step.log.read_text()


def test_what_is_in_flight_after_the_drain_timeout_is_unfinished(
    start_truth: Any, plan_step: Any, run: Any
) -> None:
    truth = start_truth("--stream", "endless", "--ttft-seconds", "0")
    step = plan_step(truth.url, 20, 0.5, workload="openai_chat", drain_timeout_seconds=0.5)
    done = run(step)

    assert done.requests.error.tolist() == ["unfinished"] * 10
    assert done.requests.ended_at.isna().all()
    assert done.requests.first_chunk_at.notna().all()
    assert done.outcome["outcome"] == "measured"
    assert done.outcome["drained"] is False


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
    client = done.outcome["client"]
    assert client == dict.fromkeys(client) | {"workers": 1}


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
    clients = psutil.Process(driver.pid).children(recursive=True)
    assert len(clients) == 2  # the process that forks, and the one that sends
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()

    gone, alive = psutil.wait_procs(clients, timeout=3)
    assert len(gone) == 2, alive


def _stored(step: Any) -> Path:
    path = step.schedule.with_name("driver.json")
    write_plan(path, step, None)
    return path
