"""`escalade models load`: real servers that take memory of a fake GPU, in order and back again."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest
import requests

from model_loading import GB, Project, holding

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from gpus import Machine


@pytest.fixture
def project(machine: Machine, tmp_path: Path) -> Project:
    gpu = machine.add(memory_total=8 * GB, memory_used=1 * GB)
    return Project(tmp_path / "project", gpu)


@pytest.fixture
def held(project: Project) -> Iterator[subprocess.Popen[str]]:
    """Hold three models, and give the loader that does."""
    for name, megabytes in (("first", 300), ("second", 200), ("third", 100)):
        project.model(name, megabytes)
    with holding(project, "--port", "0") as loader:
        yield loader


def metrics_of(loader: subprocess.Popen[str]) -> str:
    """Give the loader's page; its address is the first line of its errors."""
    assert loader.stderr is not None
    return requests.get(loader.stderr.readline().split()[-1], timeout=5).text


def until(true: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_models_are_measured_one_by_one_and_given_back_in_reverse_order(project: Project) -> None:
    project.model("first", declared=300)
    project.model("second", declared=200, takes=250)
    project.model("third", declared=600)

    code, out, _ = project.load("--once", "--json")

    told = json.loads(out)
    assert code == 0
    assert [(it["name"], it["measured_bytes"]) for it in told["models"]] == [
        ("first", 300_000_000),
        ("second", 250_000_000),
    ]
    assert told["measured_bytes"] == 550_000_000
    assert told["spilled"] == ["third"]
    assert project.given_back == ["second", "first"]
    assert project.gpu.memory_used == 1 * GB


def test_more_than_the_limit_in_measured_memory_is_exit_code_1(project: Project) -> None:
    project.model("first", declared=300, takes=700)
    project.model("second", declared=200, takes=400)
    project.model("third", declared=100)

    code, out, _ = project.load()

    assert code == 1
    assert "Over the limit: 1,100 MB measured" in out
    assert "third: ready" not in out
    assert project.given_back == ["second", "first"]


def test_a_model_that_fails_gives_back_what_was_loaded_before(project: Project) -> None:
    project.model("first", declared=300)
    project.model("torn", declared=100, fails=True)

    code, _, err = project.load()

    assert code == 3
    assert "exited with code 1" in err
    assert "the weights are torn" in err
    assert "Traceback" not in err
    assert project.given_back == ["first"]
    assert project.status() is None


def test_what_is_held_can_be_seen_and_given_back_one_by_one(
    project: Project, held: subprocess.Popen[str]
) -> None:
    page = metrics_of(held)
    code, _, _ = project.run("unload", "second")
    until(lambda: project.given_back == ["second"])
    standing = project.status()
    refused, _, why = project.run("unload", "second")

    assert code == 0
    assert 'escalade_model_loaded{model="second",profile="small"} 1.0' in page
    assert standing is not None
    assert [head["name"] for head in standing["models"]] == ["first", "third"]
    until(lambda: (project.status() or {})["taken_bytes"] == 400_000_000)
    assert refused == 2
    assert "has no model 'second'; loaded are: first, third" in why


def test_sigterm_gives_everything_back_and_is_no_failure(
    project: Project, held: subprocess.Popen[str]
) -> None:
    held.terminate()
    out, err = held.communicate(timeout=30)

    assert held.returncode == 0
    assert project.given_back == ["third", "second", "first"]
    assert "Given back: third, second, first." in out
    assert "Traceback" not in err
    assert project.gpu.memory_used == 1 * GB
    assert project.status() is None


def test_a_server_that_is_killed_is_noticed_and_the_others_stay(
    project: Project, held: subprocess.Popen[str]
) -> None:
    standing = project.status()
    assert standing is not None

    os.kill(standing["models"][1]["pid"], signal.SIGKILL)
    until(lambda: len((project.status() or {})["models"]) == 2)
    held.terminate()
    out, _ = held.communicate(timeout=30)

    assert "second: its server was killed by SIGKILL; it is not loaded any more" in out
    assert held.returncode == 0


def test_an_interrupt_while_it_loads_leaves_nothing(project: Project) -> None:
    project.model("first", declared=300)
    project.model("second", declared=100)
    loader = project.started("load", "--profile", "small", "--backend", "head")
    assert loader.stdout is not None
    for line in loader.stdout:
        if line.startswith("first: ready"):
            break

    loader.send_signal(signal.SIGINT)
    _, err = loader.communicate(timeout=30)

    assert loader.returncode in {0, 130}  # 0 when the second one was ready by then
    assert project.given_back[-1] == "first"
    assert "Traceback" not in err


def test_nothing_outlives_a_loader_that_is_killed(
    project: Project, held: subprocess.Popen[str]
) -> None:
    standing = project.status()
    assert standing is not None
    pids = [head["pid"] for head in standing["models"]]

    held.kill()

    until(lambda: not any(psutil.pid_exists(pid) for pid in pids), 40)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["load", "--profile", "smal"], "there is no profile 'smal'"),
        (["load", "--profile", "small", "--backend", "hed"], "There is no recipe 'hed'"),
        (["load", "--profile", "small", "--compat", "dcgm"], "--compat: 'dcgm' is unknown"),
        (["load", "--profile", "small"], "nothing is known that serves"),
        (["load", "nobody", "--profile", "small"], "there is no model 'nobody'"),
        (["unload", "first"], "No loader runs"),
    ],
)
def test_what_can_not_be_loaded_is_said_before_anything_starts(
    project: Project, arguments: list[str], expected: str
) -> None:
    project.model("first", declared=300)

    code, _, err = project.run(*arguments)

    assert code == 2
    assert expected in err
    assert "Traceback" not in err
    assert project.gpu.memory_used == 1 * GB


def test_the_live_profile_is_what_the_headroom_leaves(project: Project) -> None:
    project.model("first", declared=300)

    code, out, _ = project.run("plan", "--profile", "live", "--headroom", "0.25", "--json")

    assert code == 0
    assert json.loads(out)["budget_bytes"] == 5 * GB
