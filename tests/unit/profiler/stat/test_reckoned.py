"""JSON and Parquet of a session tell the same, and what the writer told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.profiler.stat import buckets, opened
from escalade.profiler.stat.buckets import Buckets
from escalade.profiler.stat.reckoned import reckoned
from escalade.profiler.stat.rows import Facts, Rows
from escalade.profiler.stat.statistics import Statistics
from recorded import MODEL, START, Recorded

if TYPE_CHECKING:
    from pathlib import Path

FACTS = Facts("x", "", 0.0, 4.0, 1.0, {"power": "W", "energy": "J", "dram_bandwidth": "GB/s"})


def rows(device: list[int], tick: list[int], **values: list[float]) -> Rows:
    places, ticks = np.array(device), np.array(tick)
    columns = {name: np.array(each, dtype=float) for name, each in values.items()}
    return Rows(places, ticks, ticks.astype(float), columns)


def in_batches_of(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "BATCH", count)


@pytest.mark.parametrize("batch", [7, 50_000])
def test_both_files_tell_the_same_and_what_the_writer_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    in_batches_of(batch, monkeypatch)
    files = Recorded(silent={1: (20, 30)}).write(tmp_path).files

    by_json, by_parquet = (reckoned(path, drawn=False).to_json() for path in files)

    told = json.loads(files[0].read_bytes())
    assert list(by_json["summary_by_device"]) == list(by_parquet["summary_by_device"])
    assert by_json["summary_by_device"].keys() == told["summary_by_device"].keys()
    assert by_json["frames"] == by_parquet["frames"] == len(told["frames"])
    for key in ("session_name", "start_time", "end_time", "units", "gaps"):
        assert by_json[key] == by_parquet[key] == told[key]
    assert len(told["gaps"]) == 1
    for device, written in told["summary_by_device"].items():
        for name in written.keys() & by_json["summary_by_device"][device].keys():
            # times are stored to the millisecond
            expected = pytest.approx(written[name], rel=2e-3)
            assert by_json["summary_by_device"][device][name] == expected
            assert by_parquet["summary_by_device"][device][name] == expected
        assert written.keys() - by_json["summary_by_device"][device].keys() == {"seconds"}
    for node, written in told["summary_by_node"].items():
        assert by_json["summary_by_node"][node] == pytest.approx(written, rel=1e-6)


def test_what_is_missing_is_told_and_not_zero(tmp_path: Path) -> None:
    path = Recorded(nodes=2, gpus=1, count=40, silent={1: (10, 30)}).write(tmp_path).files[0]

    told = reckoned(path, drawn=False)

    assert told.by_device[f"node0:0:{MODEL}"]["missing"] == 0
    assert told.by_device[f"node1:0:{MODEL}"]["missing"] == 20
    assert [(gap["node"], gap["missing"]) for gap in told.gaps] == [("node1", 20)]


def test_growth_goes_over_batches_and_gaps_and_not_over_a_driver_that_was_loaded_anew() -> None:
    nan = float("nan")
    statistics = Statistics(FACTS)
    statistics.add(rows([0, 1, 0], [0, 0, 1], energy=[10, 5, 30], dram_bandwidth=[nan, nan, 2]))
    statistics.add(rows([0, 0, 1], [3, 4, 4], energy=[70, 4, nan], dram_bandwidth=[1, nan, nan]))

    told = statistics.by_device(["a:0:x", "b:0:x"])

    assert told["a:0:x"]["energy_joules"] == 60  # 20, 40 over the gap, none at the reset
    assert told["a:0:x"]["pcie_gigabytes"] == 2 * 1 + 1 * 2
    assert "energy_joules" not in told["b:0:x"]
    assert told["a:0:x"]["samples"] == 4
    assert told["b:0:x"]["missing"] == 2
    assert statistics.by_node(["a:0:x", "b:0:x"])["b"]["energy_joules"] is None


@given(
    readings=st.lists(
        st.tuples(st.integers(0, 3000), st.integers(0, 2), st.floats(-1e6, 1e6)), min_size=1
    ),
    batch=st.integers(1, 20),
)
def test_spans_have_the_mean_and_the_ends_of_what_was_in_them(
    readings: list[tuple[int, int, float]], batch: int
) -> None:
    readings.sort()
    made = Buckets(["power"])
    for at in range(0, len(readings), batch):
        ticks, devices, values = zip(*readings[at : at + batch], strict=True)
        made.add(rows(list(devices), list(ticks), power=list(values)))

    mean, least, most = made.of("power", [0, 1, 2])

    last = readings[-1][0]
    assert last // made.ticks < buckets.SPANS
    assert made.ticks == 1 or last // (made.ticks // 2) >= buckets.SPANS
    first = readings[0][0] // made.ticks
    for span in range(first, last // made.ticks + 1):
        inside = [value for tick, _, value in readings if tick // made.ticks == span]
        place = span - first
        assert made.empty[place] == (not inside)
        if inside:
            assert mean[place] == pytest.approx(np.mean(inside), abs=1e-6)
            assert (least[place], most[place]) == (min(inside), max(inside))
        else:
            assert np.isnan([mean[place], least[place], most[place]]).all()


def test_spans_lie_where_their_readings_were(tmp_path: Path) -> None:
    found = reckoned(Recorded(silent={0: (5, 9), 1: (5, 9)}).write(tmp_path).files[1], drawn=True)

    assert found.buckets is not None
    times = found.buckets.times
    assert len(times) == 60
    assert np.abs(np.diff(times) - 0.5).max() < 0.05
    assert START < times[0] < START + 0.5
    assert found.buckets.empty.nonzero()[0].tolist() == [5, 6, 7, 8]


def test_memory_does_not_grow_with_the_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tracemalloc  # noqa: PLC0415

    in_batches_of(400, monkeypatch)
    peaks: dict[tuple[int, str], int] = {}
    for count in (300, 3000):
        written = Recorded(nodes=1, gpus=2, count=count).write(tmp_path, f"of-{count}")
        for path in written.files:
            with monkeypatch.context() as patched:
                patched.setattr("escalade.profiler.stat.document._CHUNK", 1 << 14)
                reckoned(path, drawn=True)
                tracemalloc.start()
                reckoned(path, drawn=True)
                peaks[count, path.suffix] = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()

    for suffix in (".json", ".parquet"):
        assert peaks[3000, suffix] < 1.3 * peaks[300, suffix]


def test_any_layout_of_the_json_is_read(tmp_path: Path) -> None:
    path = Recorded().write(tmp_path).files[0]
    before: Any = reckoned(path, drawn=False).to_json()

    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=4), "utf-8")

    assert reckoned(path, drawn=False).to_json() == before


def test_nodes_stand_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    found = reckoned(Recorded(nodes=11, gpus=1, count=2).write(tmp_path).files[1], drawn=False)

    assert list(found.by_node) == [f"node{number}" for number in range(11)]
    assert list(found.by_device) == [f"node{number}:0:{MODEL}" for number in range(11)]
