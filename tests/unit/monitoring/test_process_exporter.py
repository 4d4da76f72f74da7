"""The exporter has samples of the steps that run, and of nothing else."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from escalade.files import write_json
from escalade.monitoring import process_exporter
from escalade.monitoring.process_exporter import ProcessCollector
from escalade.runtime.endpoints import free_port, wait_http
from escalade.runtime.processes import own_identity

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest
    from prometheus_client.metrics_core import Metric
    from prometheus_client.samples import Sample

VALUES = {
    process_exporter.CPU_SECONDS,
    process_exporter.MEMORY_BYTES,
    process_exporter.THREADS,
    process_exporter.PROCESSES,
}


def note(steps: Path, name: str, kind: str = "started", run: str = "1", **content: object) -> None:
    own = own_identity()
    known = {"role": "service", "pid": own.pid, "start_time": own.start_time, "token": run}
    write_json(steps / f"{name}.{kind}.json", known | content)


def samples(collector: ProcessCollector) -> list[Sample]:
    return [sample for family in collector.collect() for sample in family.samples]


def steps_of(found: list[Sample]) -> set[str]:
    return {sample.labels["step"] for sample in found if "step" in sample.labels}


def test_a_running_step_has_every_sample_with_role_and_name(tmp_path: Path) -> None:
    note(tmp_path, "llm-1")

    found = [it for it in samples(ProcessCollector(tmp_path)) if it.name in VALUES]

    assert {it.name for it in found} == VALUES
    assert all(it.labels["role"] == "service" and it.labels["step"] == "llm-1" for it in found)
    assert all(it.value > 0 for it in found)


def test_what_does_not_run_is_absent(tmp_path: Path) -> None:
    own = own_identity()
    note(tmp_path, "runs")
    note(tmp_path, "ended")
    note(tmp_path, "ended", kind="ended")
    note(tmp_path, "gone", start_time=own.start_time - 1)
    note(tmp_path, "again", run="2")
    note(tmp_path, "again", kind="ended", run="1")

    assert steps_of(samples(ProcessCollector(tmp_path))) == {"runs", "again"}
    assert steps_of(samples(ProcessCollector(tmp_path / "none"))) == set()


def test_children_of_a_process_that_has_the_pid_by_now_are_not_the_steps(tmp_path: Path) -> None:
    note(tmp_path, "gone", start_time=own_identity().start_time - 1)
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert steps_of(samples(ProcessCollector(tmp_path))) == set()
    finally:
        child.kill()
        child.wait()


def test_notes_that_name_no_process_are_counted_and_do_no_harm(tmp_path: Path) -> None:
    note(tmp_path, "good")
    note(tmp_path, "bad", pid=None)
    (tmp_path / "torn.started.json").write_text('{"token": "1", "pi')

    found = samples(ProcessCollector(tmp_path))

    assert steps_of(found) == {"good"}
    assert [it.value for it in found if it.name == process_exporter.ERRORS] == [1]


def test_scrapers_at_the_same_time_see_a_counter_that_never_falls(tmp_path: Path) -> None:
    note(tmp_path, "step")
    collector = ProcessCollector(tmp_path)
    seen: list[list[float]] = [[] for _ in range(4)]

    def scrape(into: list[float]) -> None:
        for _ in range(15):
            into += [
                it.value for it in samples(collector) if it.name == process_exporter.CPU_SECONDS
            ]

    threads = [threading.Thread(target=scrape, args=(into,)) for into in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(len(values) == 15 and values == sorted(values) for values in seen)


def test_registering_reads_no_process(tmp_path: Path) -> None:
    note(tmp_path, "bad", pid=None)
    collector = ProcessCollector(tmp_path)

    CollectorRegistry().register(collector)

    assert collector._errors == 0


def test_it_serves_its_page_and_ends_well_on_sigterm(tmp_path: Path) -> None:
    note(tmp_path, "tests")
    port = free_port()
    argv = ["--steps", str(tmp_path), "--port", str(port)]
    with subprocess.Popen(
        [sys.executable, "-m", "escalade.monitoring.process_exporter", *argv],
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            wait_http(f"http://127.0.0.1:{port}/metrics", 10)
            page = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=5).text
        finally:
            process.terminate()
        _, errors = process.communicate(timeout=5)

    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert families["escalade_process_cpu_seconds"].type == "counter"
    assert process.returncode == 0
    assert errors == ""


def test_a_port_in_use_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code = process_exporter.main(["--steps", str(tmp_path), "--port", str(port)])

    assert code == 3
    assert f"127.0.0.1:{port} can't be had: Address already in use" in capfd.readouterr().err


def test_the_stored_page_has_the_names_and_labels_of_today(tmp_path: Path) -> None:
    note(tmp_path, "service")
    stored = Path(__file__).parents[2] / "data" / "metrics" / "process_exporter.prom"

    def shape(families: Iterable[Metric]) -> set[tuple[str, str, tuple[str, ...]]]:
        return {
            (family.type, sample.name, tuple(sorted(sample.labels)))
            for family in families
            for sample in family.samples
        }

    page = text_string_to_metric_families(stored.read_text(encoding="utf-8"))
    assert shape(page) == shape(ProcessCollector(tmp_path).collect())
