"""The live counters of real workers, scraped from a real exporter."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from escalade.runtime.endpoints import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import psutil

    Page = dict[tuple[str, str], float]


@pytest.fixture
def scrape(tmp_path: Path) -> Iterator[Callable[[], Page]]:
    """Run an exporter; give what its page says: values by name and worker, added up over the rest."""
    folder, port = tmp_path / "counters", free_port()
    folder.mkdir()
    command = [sys.executable, "-m", "escalade.load.exporter"]
    command += ["--folder", str(folder), "--port", str(port)]
    exporter = subprocess.Popen(command)

    def page() -> Page:
        found: Page = {}
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = (sample.name.removeprefix("escalade_load_"), sample.labels["worker"])
                found[key] = found.get(key, 0.0) + sample.value
        return found

    for _ in range(100):
        try:
            page()
            break
        except OSError:
            time.sleep(0.1)
    yield page
    exporter.terminate()
    assert exporter.wait(5) == 0


def test_counters_can_be_read_during_a_step_and_after_it(
    start_truth: Any, plan_step: Any, run: Any, scrape: Callable[[], Page], tmp_path: Path
) -> None:
    truth = start_truth("--service-seconds", "0.3", "--slots", "100")
    step = plan_step(truth.url, 40, 3.0, live=tmp_path / "counters")
    seen: list[Page] = []

    def watch() -> None:
        if step.started_file.exists():
            seen.append(scrape())

    done = run(step, watch)

    assert done.outcome["outcome"] == "measured"
    during = [page for page in seen if page["worker_running", "0"]]
    assert len(during) >= 2
    sent = [page["sent_total", "0"] for page in seen]
    assert sent == sorted(sent)
    assert during[-1]["sent_total", "0"] > 0
    assert any(page["in_flight", "0"] > 0 for page in during)  # 40/s × 0.3 s
    assert all(page["target_qps", "0"] == 40 for page in during)
    after = scrape()
    assert ("in_flight", "0") not in after
    assert after["worker_running", "0"] == 0
    assert after["sent_total", "0"] == done.requests.sent_at.notna().sum() == 120
    assert after["scheduled_total", "0"] == after["requests_total", "0"] == 120
    latency = (done.requests.ended_at - done.requests.planned_at).sum()
    assert after["request_latency_seconds_sum", "0"] == pytest.approx(latency, rel=1e-3)
    assert after["dispatch_lag_seconds_count", "0"] == 120


def test_a_killed_worker_s_counters_stay_and_its_gauges_go(
    start_truth: Any,
    plan_step: Any,
    run: Any,
    *,
    client_of: Any,
    scrape: Callable[[], Page],
    tmp_path: Path,
) -> None:
    truth = start_truth("--service-seconds", "0.2", "--slots", "100")
    step = plan_step(truth.url, 40, 30.0, live=tmp_path / "counters")
    killed: list[Page] = []

    def kill() -> None:
        client: psutil.Process | None = client_of(step)
        if client and step.started_file.exists() and not killed:
            time.sleep(0.5)
            killed.append(scrape())
            client.kill()

    done = run(step, kill)

    assert done.outcome["outcome"] == "client_failed"
    after = scrape()
    assert after["worker_running", "0"] == 0
    assert ("in_flight", "0") not in after
    assert after["sent_total", "0"] >= killed[0]["sent_total", "0"] > 0


def test_a_step_runs_without_a_place_for_its_counters(
    start_truth: Any, plan_step: Any, run: Any, tmp_path: Path
) -> None:
    step = plan_step(start_truth().url, 20, 0.5, live=tmp_path / "gone")

    done = run(step)

    assert done.outcome["outcome"] == "measured"
    assert "There are no live metrics of this worker" in step.log.read_text()


def test_a_port_that_is_taken_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "escalade.load.exporter", "--folder", "/nowhere"]
        command += ["--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode == 3
    assert "can't be had: Address already in use" in done.stderr
