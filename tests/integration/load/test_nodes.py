"""Two nodes send one schedule: here they are two client processes, one with a clock of its own.

That is the CLOCK_MONOTONIC of a time namespace, 500 s beyond this machine's, for timers as
well: what another node has that was booted at another time.
"""

from __future__ import annotations

import dataclasses
import subprocess
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import psutil
import pytest

from escalade.load import nodes as load_nodes
from escalade.load.nodes import ClientNode, NodesGenerator
from escalade.load.rows import read_rows
from escalade.load.step import run_step
from support import require_or_skip

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AHEAD_SECONDS = 500
AHEAD = ("unshare", "--time", "--fork", "--kill-child", f"--monotonic={AHEAD_SECONDS}")
ENDS = ["--version"]
"""Arguments of locust with which it ends by itself."""


@pytest.fixture(scope="module")
def ahead() -> tuple[str, ...]:
    """Give what runs a command by a clock of its own."""
    tried = subprocess.run([*AHEAD, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        require_or_skip("time", f"no time namespace here: {tried.stderr.strip()}")
    return AHEAD


@pytest.fixture(scope="module")
def nodes(
    tmp_path_factory: pytest.TempPathFactory, ahead: tuple[str, ...]
) -> Iterator[NodesGenerator]:
    """Give the load generator of two nodes, the second one's clock ahead."""
    folder = tmp_path_factory.mktemp("nodes")
    both = [
        ClientNode("one", None, folder / "load.one.log"),
        ClientNode("two", None, folder / "load.two.log", lambda: ahead),
    ]
    with NodesGenerator(both) as generator:
        yield generator


def processes_on(generator: NodesGenerator, node: str) -> list[psutil.Process]:
    """Give the client process of a node and its workers, what started them first."""
    first = psutil.Process(generator.pid_on(node))
    return [first, *first.children(recursive=True)]


def variation(times: Any) -> float:
    """Give the coefficient of variation of the gaps."""
    gaps = np.diff(np.sort(times))
    return float(gaps.std() / gaps.mean())


def logs_of(step: Any) -> list[pd.DataFrame]:
    """Read the request logs of all workers."""
    return [pd.read_parquet(worker.requests_file) for worker in step.each()]


@pytest.mark.alone
@pytest.mark.parametrize(("workers", "arrivals"), [(2, "poisson"), (4, "poisson"), (2, "constant")])
def test_merged_arrivals_are_those_of_the_schedule(
    nodes: NodesGenerator, start_truth: Any, plan_step: Any, workers: int, arrivals: str
) -> None:
    for _ in range(4):  # neighbours may take the cores: the claim is about the instrument
        truth = start_truth()
        step = plan_step(truth.url, 60, 3.0, workers=workers, arrivals=arrivals)
        outcome = run_step(step, nodes, lambda: None)
        rows = pd.concat(logs_of(step)).sort_values("index")
        assert outcome["outcome"] == "measured"
        assert rows["index"].tolist() == list(range(180))
        assert rows.worker.tolist() == [index % workers for index in range(180)]
        assert rows.error.isna().all()
        planned = variation(rows.planned_at)
        off = [abs(variation(of) - planned) for of in (rows.sent_at, truth.lines().arrival)]
        if max(off) < 0.05:
            return
    lag = outcome["client"]["event_loop_lag_seconds"]["p99"]
    if lag > 0.002:
        pytest.skip(f"the machine is too busy to tell: the event loop itself is {lag:.3f} s late")
    pytest.fail(f"four times off the schedule, at last by {off}")


def test_all_times_are_those_of_the_first_node_s_clock(
    nodes: NodesGenerator, start_truth: Any, plan_step: Any
) -> None:
    truth = start_truth()
    step = plan_step(truth.url, 40, 1.0, workers=3)
    outcome = run_step(step, nodes, lambda: None)

    one, two = outcome["client"]["nodes"]
    assert (one["node"], one["workers"]) == ("one", [0, 2])
    assert (two["node"], two["workers"]) == ("two", [1])
    assert one["clock_offset_seconds"] == one["clock_error_seconds"] == 0
    # the truth is known: 500 s, and the same wall clock
    assert abs(two["clock_offset_seconds"] - AHEAD_SECONDS) <= two["clock_error_seconds"]
    assert abs(two["wall_offset_seconds"]) < two["clock_error_seconds"] + 0.001
    assert 0 < two["clock_error_seconds"] < 0.05
    rows = pd.concat(logs_of(step)).sort_values("index")
    since = rows.planned_at - outcome["started_at"]
    planned = read_rows(step.schedule, 1)
    assert since.to_numpy() == pytest.approx(planned.offset_seconds, abs=1e-6)  # one clock for all
    lines = truth.lines()
    lines["index"] = lines["id"].str.split("-").str[1].astype(int)
    both = rows.merge(lines, on="index")
    way = (both.arrival_unix - both.sent_at).groupby(both.worker).median()
    assert way.abs().max() < 0.05


def test_steps_follow_each_other_without_a_start_between_them(
    nodes: NodesGenerator, start_truth: Any, plan_step: Any
) -> None:
    first = plan_step(start_truth().url, 20, 0.5, workers=2)
    second = dataclasses.replace(first, folder=first.folder.with_name("2"))

    one = run_step(first, nodes, lambda: None)
    forkers = [nodes.pid_on(name) for name in ("one", "two")]
    two = run_step(second, nodes, lambda: None)

    assert (one["outcome"], two["outcome"]) == ("measured", "measured")
    assert [nodes.pid_on(name) for name in ("one", "two")] == forkers


@pytest.mark.parametrize("victim", ["forks", "sends"])
@pytest.mark.parametrize("node", ["one", "two"])
def test_a_node_that_is_lost_is_named_and_ends_the_step_for_all(
    nodes: NodesGenerator, start_truth: Any, plan_step: Any, node: str, victim: str
) -> None:
    step = plan_step(start_truth().url, 40, 60.0, workers=2)
    sending: list[psutil.Process] = []

    def kill() -> None:
        if sending or not all(worker.started_file.exists() for worker in step.each()):
            return
        sending.extend(processes_on(nodes, name)[-1] for name in ("one", "two"))
        forks, sends = processes_on(nodes, node)[-2:]
        (forks if victim == "forks" else sends).kill()

    began = time.monotonic()
    outcome = run_step(step, nodes, kill)

    assert time.monotonic() - began < 30
    assert outcome["outcome"] == "client_failed"
    assert outcome["cause"].startswith(f"the load generator on {node} ")
    lost = ["one", "two"].index(node)
    errors = [log.error for log in logs_of(step)]
    assert [of.eq("aborted").all() for of in errors] == [number == lost for number in (0, 1)]
    assert outcome["client"]["nodes"][1]["clock_error_seconds"] is None  # nobody asked at the end
    gone, _ = psutil.wait_procs(sending, timeout=5)
    assert len(gone) == 2
    again = plan_step(step.host, 20, 0.5, workers=2)
    assert run_step(again, nodes, lambda: None)["outcome"] == "measured"


def test_a_node_whose_worker_can_not_begin_says_so(nodes: NodesGenerator, tmp_path: Path) -> None:
    each = [(["-f", "nowhere.py"], tmp_path / f"{number}.log") for number in range(2)]
    nodes.run(each)

    code = None
    while code is None:
        code = nodes.wait(1.0)

    assert code != 0
    assert "nowhere.py" in "".join(log.read_text() for _, log in each if log.exists())


def test_a_worker_that_ends_well_before_the_step_began_has_failed(
    nodes: NodesGenerator, tmp_path: Path
) -> None:
    nodes.run([(ENDS, tmp_path / "0.log"), (ENDS, tmp_path / "1.log")])

    code = None
    while code is None:
        code = nodes.wait(1.0)

    assert code == 1
    assert "ended before the step began" in nodes.describe(code)


def test_a_node_that_can_not_be_reached_says_why(plan_step: Any, tmp_path: Path) -> None:
    words = ("sh", "-c", "echo no such node >&2; exit 7")
    both = [
        ClientNode("one", None, tmp_path / "load.one.log"),
        ClientNode("two", None, tmp_path / "load.two.log", lambda: words),
    ]

    with NodesGenerator(both) as generator:
        step = plan_step("http://127.0.0.1:1", 5, 1.0, workers=2)
        outcome = run_step(step, generator, lambda: None)

    assert outcome["outcome"] == "client_failed"
    assert outcome["cause"] == "the load generator on two ended with exit code 7"
    assert outcome["log_tail"] == ["no such node"]


def test_a_node_that_says_no_time_ends_the_step(
    plan_step: Any, start_truth: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_nodes, "_CLOCK_SECONDS", 0.5)
    mute = tmp_path / "mute.py"
    mute.write_text(
        "import sys, time\n"
        "sys.stdin.readline()\n"
        "print('{\"ready\": true}', flush=True)\n"
        "time.sleep(60)\n"
    )
    both = [
        ClientNode("one", None, tmp_path / "load.one.log"),
        ClientNode(
            "two", None, tmp_path / "load.two.log", lambda: ("sh", "-c", f"exec python {mute}")
        ),
    ]

    with NodesGenerator(both) as generator:
        step = plan_step(start_truth().url, 5, 1.0, workers=2)
        outcome = run_step(step, generator, lambda: None)

    assert outcome["outcome"] == "client_failed"
    assert (
        outcome["cause"]
        == "the load generator on two did not say within 0.5 s what the clock shows"
    )


def test_the_end_of_the_driver_s_words_ends_everything_on_all_nodes(
    ahead: tuple[str, ...], start_truth: Any, plan_step: Any, tmp_path: Path
) -> None:
    both = [
        ClientNode("one", None, tmp_path / "load.one.log"),
        ClientNode("two", None, tmp_path / "load.two.log", lambda: ahead),
    ]
    generator = NodesGenerator(both)
    step = plan_step(start_truth().url, 20, 60.0, workers=2)
    running: list[psutil.Process] = []

    def leave() -> str | None:
        if not all(worker.started_file.exists() for worker in step.each()):
            return None
        running.extend([*processes_on(generator, "one"), *processes_on(generator, "two")])
        generator.close()
        return "enough"

    outcome = run_step(step, generator, leave)

    assert outcome["cause"] == "enough"
    gone, alive = psutil.wait_procs(running, timeout=1)
    assert not alive
    assert len(gone) == 5  # two that fork, two that send, and what made the clock
    assert outcome["drained_at"] is not None  # both wrote what they had
