"""The quick start of the design, and what happens to sessions, with a real Prometheus."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from escalade import manifest
from escalade.errors import EscaladeError, InputError
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.sessions.service import MonitoringService
from escalade.monitoring.windows.window import iso
from escalade.runtime.endpoints import free_port
from integration.monitoring.sessions import left, run, scraped, told, until_dead

if TYPE_CHECKING:
    from pathlib import Path


def test_the_quick_start_runs_as_it_is_written(root: Path) -> None:
    port = free_port()
    own = ("--session", "bench01")
    run(root, "session-create", "--run-id", "bench01", "--prom-host", "localhost",
        "--port", str(port), "--scrape-interval", "0.5")  # fmt: skip
    run(root, "client-connect", *own, "--client-id", "c1", "--node", "nodeA",
        "--node-exporter", "127.0.0.1:1", "--dcgm-exporter", "127.0.0.1:2")  # fmt: skip
    page = f"http://127.0.0.1:{port}/metrics"
    register = ("service-register", *own, "--client-id", "c1", "--name", "triton")
    run(root, *register, "--endpoint", page)

    run(root, "start", *own)
    deployed = json.loads(run(root, "exporter-deploy", *own, "--kind", "node", "--json"))
    found = scraped(root)

    assert deployed["targets"][0]["health"] == "up"
    by_kind = {(it["kind"], it["name"]): it for it in found["targets"]}
    assert found["state"] == "running"
    assert found["ready"]
    assert found["url"] == f"http://127.0.0.1:{port}"
    assert by_kind["service", "triton"]["health"] == "up"
    assert by_kind["service", "triton"]["age_seconds"] < 10
    assert by_kind["node", "session"]["exporter"] == "runs"
    assert "refused" in by_kind["dcgm", "nodeA"]["last_error"]
    with PrometheusClient(found["url"]) as client:
        assert client.value('up{job="triton",client_id="c1",service="triton"}') == 1

    out = root.parent / "metrics"
    window = ("--from-iso", iso(time.time() - 2), "--to-iso", iso(time.time()))
    run(root, "collect", *own, *window, "--out", str(out), "--run-id", "run01")
    assert manifest.verify(out) == []
    assert (out / "metrics_summary.csv").read_text().startswith("run_id,metric,statistic")
    assert (out / "slices" / "node.csv").exists()  # of cpu_utilization
    assert "Neither is given" in run(root, "collect", "--out", str(out), code=2)

    assert "runs at" in run(root, "start", *own)  # again: harmless
    assert "already" in run(root, *register, "--endpoint", page)
    assert "is running" in run(root, "delete", *own, code=2)
    run(root, "stop", *own)
    stopped = told(root)
    assert (stopped["state"], stopped["url"], stopped["ready"]) == ("stopped", None, False)
    assert left(root) == []
    refused = run(root, "collect", *own, "--last", "1m", "--out", str(out / "again"), code=2)
    assert "Session bench01 is stopped" in refused
    run(root, "delete", *own)
    assert list(root.iterdir()) == []


def test_what_is_killed_is_told_and_starts_again_on_its_data(root: Path) -> None:
    service = MonitoringService(root)
    service.create("bench01", scrape_interval_seconds=0.5)
    service.start("bench01")
    url = str(service.status("bench01").url)
    service.register_service("bench01", "self", f"{url}/metrics")
    live = json.loads((root / "bench01" / "live.json").read_text())
    time.sleep(2)
    before = time.time() - 0.5

    os.kill(live["prometheus"]["pid"], signal.SIGKILL)
    dead = until_dead(root)
    assert dead["state"] == "dead"
    assert "Prometheus was killed by SIGKILL" in dead["problems"][0]
    assert "start --session bench01" in dead["problems"][0]
    assert dead["log_tail"]

    service.start("bench01")
    status = service.status("bench01")
    with PrometheusClient(str(status.url)) as client:
        kept = client.raw_samples('up{job="self"}', before - 1.5, before)
    assert len(kept) >= 2

    live = json.loads((root / "bench01" / "live.json").read_text())
    os.kill(live["pid"], signal.SIGKILL)  # the keeper: all goes with it
    assert "Its keeper was killed" in until_dead(root)["problems"][0]
    service.start("bench01")
    assert service.status("bench01").state == "running"


def test_a_damaged_record_is_told_and_force_leaves_nothing_running(root: Path) -> None:
    service = MonitoringService(root)
    service.create("bench01")
    service.start("bench01")
    (root / "bench01" / "session.json").write_text("{")

    assert "is damaged" in run(root, "status", "--session", "bench01", code=2)
    assert "damaged" in run(root, "status")
    with pytest.raises(InputError, match="is damaged"):
        service.delete("bench01")
    service.delete("bench01", force=True)

    assert left(root) == []
    assert service.sessions() == []


def test_rules_are_checked_before_they_are_kept_and_evaluated_then(
    root: Path, tmp_path: Path
) -> None:
    service = MonitoringService(root)
    rules = tmp_path / "rules.yml"
    rules.write_text("groups: [{name: g, rules: [{alert: Down, expr: 'up =='}]}]")
    with pytest.raises(InputError, match=r"(?s)promtool says:.*parse error"):
        service.create("bench01", rules=[rules])
    assert service.sessions() == []

    rules.write_text("groups: [{name: g, rules: [{record: mine, expr: 'vector(7)'}]}]")
    service.create("bench01", rules=[rules], scrape_interval_seconds=0.5)
    service.start("bench01")
    with PrometheusClient(str(service.status("bench01").url)) as client:
        deadline = time.monotonic() + 20
        while client.value("mine") != 7:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_registering_while_it_scrapes_loses_no_sample_of_others(root: Path) -> None:
    service = MonitoringService(root)
    service.create("bench01", scrape_interval_seconds=0.5)
    service.start("bench01")
    url = str(service.status("bench01").url)
    service.register_service("bench01", "self", f"{url}/metrics")
    began = time.time()
    for number in range(10):
        dead = f"http://127.0.0.1:{number + 1}/metrics"
        done = service.register_service("bench01", f"s{number}", dead, wait=0)
        assert done.live
        assert "refused" in done.problems[0] or "not" in done.problems[0]
    time.sleep(1.5)
    ended = time.time() - 0.5
    with PrometheusClient(url) as client:
        samples = client.raw_samples('up{job="self"}', began, ended)

    gaps = samples["timestamp"].diff().dropna()
    assert len(samples) >= int((ended - began) / 0.5) - 1
    assert gaps.max() < 0.75  # every half second, with no hole of a missed scrape


def test_a_port_that_is_taken_is_named(root: Path) -> None:
    service = MonitoringService(root)
    service.create("one")
    service.start("one")
    taken = int(str(service.status("one").url).rpartition(":")[2])
    service.create("two", port=taken)

    with pytest.raises(EscaladeError, match=f"Port {taken} of 127.0.0.1 is taken"):
        service.start("two")
    assert service.status("two").state == "dead"
    assert service.status("one").ready
