"""Sessions over a real Prometheus, with a real vmagent and simulated GPUs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from profiling import Rig, until

if TYPE_CHECKING:
    from typing import Any


def healthy(rig: Rig, nodes: int) -> None:
    until(lambda: rig.ask("status", rig.address)["healthy"] == nodes)


@pytest.fixture
def training(rig: Rig) -> tuple[Rig, dict[str, Any]]:
    """Give a session of about three seconds over two nodes of two GPUs."""
    rig.head()
    for name in ("alpha", "beta"):
        rig.node(name)
    healthy(rig, 2)
    rig.run("profile", rig.address, "--name", "training")
    time.sleep(3)
    return rig, rig.stop("training")


def test_a_session_has_all_gpus_of_all_nodes_with_true_figures_and_units(
    training: tuple[Rig, dict[str, Any]],
) -> None:
    rig, told = training

    assert told["session_name"] == "training"
    assert told["units"]["gpu_bandwidth"] == "GB/s"
    gpus = [f"{node}:{gpu}:NVIDIA H100 80GB HBM3" for node in ("alpha", "beta") for gpu in (0, 1)]
    assert sorted(told["summary_by_device"]) == gpus
    frames = told["frames"]
    assert [frame["frame_id"] for frame in frames] == list(range(len(frames)))
    assert len(frames) >= 10
    middle = frames[len(frames) // 2]
    assert middle["gpu_id"] == gpus
    assert middle["missing"] == []
    assert all(5 <= use <= 95 for use in middle["gpu_util"])
    # The library counts 1.2 GB/s out and 2.5 GB/s in, and 18 links of 0.4 and 0.3 GB/s.
    assert middle["dram_bandwidth_rx"] == pytest.approx([2.5] * 4, rel=0.02)
    assert middle["dram_bandwidth_tx"] == pytest.approx([1.2] * 4, rel=0.02)
    assert middle["gpu_bandwidth"] == pytest.approx([12.6] * 4, rel=0.02)
    assert all(80 <= watts <= 600 for watts in middle["power"])
    assert middle["timestamp"][0] != middle["timestamp"][2], "each node has a phase of its own"
    assert told["gaps"] == []

    head = rig.ask("status", rig.address)
    assert [it["state"] for it in head["sessions"]] == ["ended"]


def test_json_and_parquet_say_the_same(training: tuple[Rig, dict[str, Any]]) -> None:
    rig, told = training
    table = pq.read_table(rig.data / "output" / "training.parquet")
    facts = json.loads(
        pq.read_metadata(rig.data / "output" / "training.parquet").metadata[b"escalade"]
    )

    for key in ("session_name", "units", "summary_by_device", "summary_by_node", "gaps"):
        assert facts[key] == told[key]
    rows = [
        (frame["frame_id"], gpu, frame["gpu_util"][place], frame["dram_bandwidth"][place])
        for frame in told["frames"]
        for place, gpu in enumerate(frame["gpu_id"])
    ]
    columns = ("frame_id", "gpu_id", "gpu_util", "dram_bandwidth")
    stored = list(zip(*(table[name].to_pylist() for name in columns), strict=True))
    assert [row[:3] for row in stored] == [row[:3] for row in rows]
    for (*_, there), (*_, here) in zip(stored, rows, strict=True):
        assert there == (None if here is None else pytest.approx(here, rel=1e-9))


def test_sessions_overlap_and_are_cut_out_of_the_past(rig: Rig) -> None:
    rig.head()
    rig.node("alpha")
    healthy(rig, 1)
    rig.run("profile", rig.address, "--name", "whole")
    time.sleep(1.5)
    rig.run("http-profile", rig.address, "--name", "phase")
    time.sleep(1.5)
    phase = rig.stop("phase")
    whole = rig.stop("whole")
    rig.run(
        "profile",
        rig.address,
        "--name",
        "past",
        "--from",
        phase["start_time"],
        "--to",
        phase["end_time"],
    )
    past = rig.stop("past")

    assert len(whole["frames"]) > len(phase["frames"]) >= 5
    inside = [frame["timestamp"][0] for frame in whole["frames"]]
    assert [frame["timestamp"][0] for frame in phase["frames"]] == [
        at for at in inside if at >= phase["frames"][0]["timestamp"][0]
    ][: len(phase["frames"])]
    assert [it["timestamp"] for it in past["frames"]] == [it["timestamp"] for it in phase["frames"]]


def test_what_can_not_be_is_refused_in_words(rig: Rig) -> None:
    rig.head()
    rig.run("profile", rig.address, "--name", "one")

    taken = rig.run("profile", rig.address, "--name", "one", code=2)
    unknown = rig.run("stop", rig.address, "--name", "two", code=2)
    crooked = rig.run("profile", rig.address, "--name", "../one", code=2)
    future = rig.run("profile", rig.address, "--from", "2999-01-01T00:00:00Z", code=2)
    empty = rig.run("stop", rig.address, "--name", "one")

    assert "'one' is there already. Choose another name" in taken
    assert "There is no session 'two'; there: one" in unknown
    assert "expected 1 to 64 letters" in crooked
    assert "lies in the future" in future
    assert "It holds no reading" in empty
    assert "no head of the profiler answers" in rig.run(
        "status", "127.0.0.1:1", code=3
    ).lower().replace("\n", " ")
    assert "expected HOST:PORT" in rig.run("status", "a b", code=2)


def test_a_stop_fetches_the_files_where_they_are_wanted(rig: Rig) -> None:
    rig.head()
    rig.node("alpha")
    healthy(rig, 1)
    rig.run("profile", rig.address, "--name", "one")
    time.sleep(1)

    rig.run("stop", rig.address, "--out", "here")

    fetched = json.loads((rig.folder / "here" / "one.json").read_bytes())
    assert fetched == json.loads((rig.data / "output" / "one.json").read_bytes())
    assert pq.read_table(rig.folder / "here" / "one.parquet").num_rows > 0
