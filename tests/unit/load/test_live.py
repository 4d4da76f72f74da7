"""The live counters of a worker and the page that is made of them, with values by hand."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from math import isclose
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from escalade.load import exporter, live
from escalade.load.arrival import Arrival
from escalade.load.live import LiveCounters, NoCounters, open_counters, read_all, read_counters
from escalade.load.outcomes import OUTCOMES
from escalade.load.records import ERRORS, Records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from escalade.load.plan import LoadStep
    from escalade.load.rows import PlannedRows

    Make = Callable[..., PlannedRows]


def counted(folder: Path, rows: PlannedRows, worker: int = 0, step: int = 1) -> LiveCounters:
    """Four arrivals planned at 100 s: two answered, one failed, one still in flight."""
    counters = LiveCounters(folder / f"{step}-{worker}.counters", worker, step, 25.0)
    records = Records(rows)
    for row in range(4):
        counters.scheduled()
        counters.taken()
        arrival = Arrival(records, row, 100.0, 0, 1, 1, live=counters)
        arrival.left(100.0002 + row / 10)  # lags of 0.2, 100.2, 200.2, 300.2 ms
        arrival.left(200.0)  # a second request of the task is no second send
    records.chunk(0, 100.03)
    records.end(0, 100.05, 200, None)
    records.end(1, 100.6, 0, None)
    records.end(2, 101.0, 503, "http_5xx")
    for row in range(3):
        counters.left(records, row, 100.0)
    counters.scheduled()  # nobody takes the fifth
    counters.records = records  # type: ignore[attr-defined]
    return counters


@pytest.fixture
def page(tmp_path: Path) -> Callable[[], dict[tuple[str, tuple[tuple[str, str], ...]], float]]:
    """Give what the page says: name and labels to value."""
    registry = CollectorRegistry()
    registry.register(exporter.LoadCollector(tmp_path))

    def read() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        text = generate_latest(registry).decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    return read


def test_what_is_counted_is_read(tmp_path: Path, rows_at: Make) -> None:
    counted(tmp_path, rows_at([0.0] * 5))

    (found,) = read_all(tmp_path)
    assert (found.worker, found.step, found.target_qps, found.running) == (0, 1, 25.0, True)
    assert (found.scheduled, found.sent, found.in_flight, found.backlog) == (5, 4, 1, 1)
    told = {name: count for name, count in found.outcomes.items() if count}
    assert told == {"2xx": 1, "ok": 1, "http_5xx": 1}
    # 50 ms belongs to the bucket up to 0.05, 600 ms to the one up to 1 s; the failed one to none
    latency = dict(zip(found.latency.bounds, found.latency.counts, strict=False))
    assert {bound: count for bound, count in latency.items() if count} == {0.05: 1, 1.0: 1}
    assert isclose(found.latency.total, 0.65, abs_tol=1e-9)
    assert found.first_chunk.counts[found.first_chunk.bounds.index(0.05)] == 1
    assert isclose(found.first_chunk.total, 0.03, abs_tol=1e-9)
    lag = dict(zip(found.lag.bounds, found.lag.counts, strict=False))
    assert {bound: count for bound, count in lag.items() if count} == {0.00025: 1, 1.0: 3}


def test_values_lie_in_the_bucket_of_the_bound_that_they_reach(
    tmp_path: Path, rows_at: Make
) -> None:
    counters = LiveCounters(tmp_path / "1-0.counters", 0, 1, 1.0)
    for lag in (-0.001, 0.0001, 0.00010001, 1.0, 2.0):
        counters.sent(lag)

    found = read_counters(tmp_path / "1-0.counters")
    assert found is not None
    assert found.lag.counts[:2] == (2, 1)
    assert found.lag.counts[-2:] == (1, 1)  # up to 1 s, and beyond
    assert sum(found.lag.counts) == 5


def test_the_end_of_a_step_counts_what_never_ended(tmp_path: Path, rows_at: Make) -> None:
    counters = counted(tmp_path, rows_at([0.0] * 5))
    records: Records = counters.records  # type: ignore[attr-defined]
    records.close("unfinished")
    counters.close(records)
    counters.sent(0.0)  # comes after the log was written

    (found,) = read_all(tmp_path)
    assert not found.running
    assert found.sent == 4
    assert sum(found.outcomes.values()) == 5 == len(records.rows)
    assert found.outcomes["unfinished"] == found.outcomes["not_sent"] == 1


def test_the_page_is_what_prometheus_reads(
    tmp_path: Path, rows_at: Make, page: Callable[[], dict]
) -> None:
    counted(tmp_path, rows_at([0.0] * 5), worker=3, step=2)
    own = (("step", "2"), ("worker", "3"))

    found = page()
    assert found[exporter.SENT, own] == 4
    assert found[exporter.SCHEDULED, own] == 5
    assert found[exporter.IN_FLIGHT, own] == found[exporter.BACKLOG, own] == 1
    assert found[exporter.TARGET, own] == 25
    assert found[exporter.RUNNING, own] == 1
    assert found[exporter.REQUESTS, (("outcome", "http_5xx"), *own)] == 1
    assert found[exporter.REQUESTS, (("outcome", "timeout"), *own)] == 0
    assert found[f"{exporter.LATENCY}_count", own] == 2
    assert isclose(found[f"{exporter.LATENCY}_sum", own], 0.65, abs_tol=1e-9)
    buckets = {
        dict(labels)["le"]: value
        for (name, labels), value in found.items()
        if name == f"{exporter.LATENCY}_bucket"
    }
    assert buckets["0.025"] == 0
    assert buckets["0.05"] == buckets["0.5"] == 1
    assert buckets["1.0"] == buckets["+Inf"] == 2
    outcomes = {dict(labels)["outcome"] for name, labels in found if name == exporter.REQUESTS}
    assert outcomes == set(OUTCOMES) > set(ERRORS)


def test_the_page_has_the_latest_step_and_what_has_just_ended(
    tmp_path: Path, rows_at: Make, page: Callable[[], dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        counters = counted(tmp_path, rows_at([0.0] * 5), step=step)
        counters.close(counters.records)  # type: ignore[attr-defined]
    counted(tmp_path, rows_at([0.0] * 5), step=3)

    def steps() -> set[str]:
        return {dict(labels)["step"] for name, labels in page() if name == exporter.SENT}

    assert steps() == {"1", "2", "3"}
    monkeypatch.setattr(exporter, "KEPT_SECONDS", 0.0)
    assert steps() == {"3"}
    assert (exporter.IN_FLIGHT, (("step", "2"), ("worker", "0"))) not in page()


def test_a_worker_that_was_killed_leaves_its_counters_and_no_gauge(
    tmp_path: Path, page: Callable[[], dict]
) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from escalade.load.live import LiveCounters\n"
        "counters = LiveCounters(Path(sys.argv[1]), 0, 1, 10.0)\n"
        "counters.scheduled(), counters.taken(), counters.sent(0.0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "1-0.counters")], check=False)
    assert done.returncode == -9

    found = page()
    own = (("step", "1"), ("worker", "0"))
    assert found[exporter.SENT, own] == 1
    assert found[exporter.RUNNING, own] == 0
    assert (exporter.IN_FLIGHT, own) not in found


def test_files_that_are_no_counters_are_left_alone(tmp_path: Path, rows_at: Make) -> None:
    counted(tmp_path, rows_at([0.0] * 5))
    whole = (tmp_path / "1-0.counters").read_bytes()
    (tmp_path / "1-1.counters").write_bytes(whole[:-8])
    (tmp_path / "1-2.counters").write_bytes(bytes(len(whole)))  # made, and not begun yet
    (tmp_path / "1-3.counters").symlink_to(tmp_path / "nowhere")

    assert [found.worker for found in read_all(tmp_path)] == [0]
    assert read_all(tmp_path / "nowhere") == []


def test_without_a_place_nothing_is_counted(load_step: LoadStep, tmp_path: Path) -> None:
    assert type(open_counters(load_step, 1.0)) is NoCounters
    assert type(open_counters(replace(load_step, live=tmp_path / "gone"), 1.0)) is NoCounters
    assert isinstance(open_counters(replace(load_step, live=tmp_path), 1.0), LiveCounters)


def test_the_worker_is_known_by_more_than_its_number(tmp_path: Path) -> None:
    LiveCounters(tmp_path / "1-0.counters", 0, 1, 1.0)._cells[live._AT["start_time"]] -= 1

    found = read_counters(tmp_path / "1-0.counters")
    assert found is not None
    assert not found.running  # another process had this pid
