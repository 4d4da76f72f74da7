"""What is lost when a line is cut, a head or an agent is killed, a job ends: next to nothing."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from escalade.runtime.processes import snapshot
from profiling import Rig, until

if TYPE_CHECKING:
    from typing import Any

    from profiling import Wire

INTERVAL = 0.25


def missing(told: dict[str, Any], node: str = "alpha") -> int:
    """Count the readings that a node's first GPU lacks between its first and its last."""
    ticks = [
        frame["frame_id"]
        for frame in told["frames"]
        if any(gpu.startswith(f"{node}:0:") for gpu in frame["gpu_id"])
    ]
    return ticks[-1] - ticks[0] + 1 - len(ticks)


def begun(rig: Rig, wire: Wire) -> None:
    """Begin a session over one node behind the wire."""
    rig.head()
    rig.node("alpha", head=wire.address)
    until(lambda: rig.ask("status", rig.address)["healthy"] == 1)
    rig.run("profile", rig.address, "--name", "one")
    time.sleep(2)


def test_a_cut_line_loses_nothing_and_is_caught_up_soon(rig: Rig, wire: Wire) -> None:
    begun(rig, wire)
    wire.cut()
    rig.children[1].until("does not take readings")
    time.sleep(4)
    wire.mend()
    rig.children[1].until("is back after")
    time.sleep(2)

    told = rig.stop("one")

    assert missing(told) == 0
    assert told["gaps"] == []
    assert len(told["frames"]) >= 30


@pytest.mark.slow
def test_a_head_that_is_killed_goes_on_with_its_sessions(rig: Rig, wire: Wire) -> None:
    begun(rig, wire)
    rig.children[0].process.kill()
    rig.children[0].process.wait()
    time.sleep(2)
    lost = rig.run("recover", "--list", "--data", str(rig.data))
    rig.head()
    rig.children[1].until("is back after")
    time.sleep(2)

    told = rig.stop("one")

    assert "Head: does not run" in lost
    assert "interrupted" in lost
    assert missing(told) <= 1 / INTERVAL


@pytest.mark.slow
def test_a_dead_heads_session_is_exported_without_it(rig: Rig, wire: Wire) -> None:
    begun(rig, wire)
    rig.children[0].process.kill()
    rig.children[0].process.wait()

    said = rig.run("recover", "--export", "--name", "one", "--data", str(rig.data))

    assert str(rig.data / "output" / "one.json") in said.replace("\n", "")
    assert (rig.data / "output" / "one.parquet").stat().st_size > 0


@pytest.mark.slow
def test_an_ended_session_is_resumed_without_a_hole(rig: Rig, wire: Wire) -> None:
    begun(rig, wire)
    rig.stop("one")
    time.sleep(1)

    rig.run("recover", "--name", "one", "--data", str(rig.data))
    time.sleep(1)
    told = rig.stop("one")

    assert missing(told) == 0
    assert len(told["frames"]) >= 14


@pytest.mark.slow
def test_a_job_that_ends_while_the_line_is_cut_loses_nothing_once_its_queue_is_drained(
    rig: Rig, wire: Wire
) -> None:
    begun(rig, wire)
    wire.cut()
    rig.children[1].until("does not take readings")
    time.sleep(3)
    ended = time.time()
    assert rig.children[1].end() == 0
    said = rig.children[1].said
    wire.mend()

    drained = rig.run("drain", str(rig.queue("alpha")), wire.address)
    told = rig.stop("one")

    assert "escalade profile drain" in said
    assert "everything in" in drained
    assert missing(told) == 0
    last = max(frame["timestamp"][0] for frame in told["frames"] if frame["gpu_id"])
    assert ended - last < 1 + 2 * INTERVAL


@pytest.mark.slow
def test_an_agent_that_is_killed_while_the_line_is_cut_loses_two_seconds_at_most(
    rig: Rig, wire: Wire
) -> None:
    begun(rig, wire)
    wire.cut()
    rig.children[1].until("does not take readings")
    time.sleep(4)
    killed = time.time()
    os.kill(rig.children[1].process.pid, signal.SIGKILL)
    rig.children[1].process.wait()
    time.sleep(1)
    rig.node("alpha", "--resilient", head=wire.address)
    time.sleep(2)
    wire.mend()
    time.sleep(6)  # a request that was cut off is given up after five seconds

    told = rig.stop("one")

    times = [frame["timestamp"][0] for frame in told["frames"] if frame["gpu_id"]]
    before = [at for at in times if at <= killed]
    assert killed - before[-1] <= 2 + 2 * INTERVAL
    assert before[-1] - before[0] <= (len(before) - 1 + 0.5) * INTERVAL, "no hole before"


@pytest.mark.slow
def test_a_vmagent_that_is_killed_is_started_again(rig: Rig, wire: Wire) -> None:
    begun(rig, wire)
    agent = rig.children[1].process.pid
    (child,) = (it.pid for it in snapshot().values() if it.parent == agent)
    os.kill(child, signal.SIGKILL)
    rig.children[1].until("vmagent ended with code -9; it is started again")
    time.sleep(3)

    told = rig.stop("one")

    assert missing(told) <= 4 / INTERVAL
    assert told["frames"][-1]["gpu_id"]


@pytest.mark.slow
def test_a_node_that_falls_silent_is_unhealthy_and_missing_and_its_return_is_noticed(
    rig: Rig, wire: Wire
) -> None:
    rig.head()
    rig.node("alpha")
    rig.node("beta", head=wire.address)
    until(lambda: rig.ask("status", rig.address)["healthy"] == 2)
    rig.run("profile", rig.address, "--name", "one")
    time.sleep(1)
    wire.cut()
    time.sleep(2)

    told = rig.stop("one")

    assert told["frames"][-1]["missing"] == ["beta"]
    assert [gap["node"] for gap in told["gaps"]] == ["beta"]
    wire.mend()
    until(lambda: rig.stop("one")["gaps"] == [])
