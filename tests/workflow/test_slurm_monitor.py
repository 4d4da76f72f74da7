"""The quick start of a monitoring session on a throw-away Slurm."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from escalade import manifest
from slurm.campaigns import jobs
from workplace import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slurm.cluster import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
OWN = ("--session", "bench01")


class Sessions:
    """Commands of `escalade monitor`, given on the login host."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        site = {"site": "throwaway", "setup": [f"export PYTHONPATH={ROOT / 'src'}"]}
        (folder / "site.yaml").write_text(json.dumps(site))

    def run(self, *words: str, code: int = 0) -> str:
        own = {
            "PYTHONPATH": str(ROOT / "src"),
            "ESCALADE_SITE": str(self.folder / "site.yaml"),
            "ESCALADE_TOOLS": os.environ["ESCALADE_TOOLS"],
        }
        done = self.cluster.run(
            "login",
            ["env", *(f"{key}={value}" for key, value in own.items()), sys.executable, "-m",
             "escalade", "monitor", *words, "--state", str(self.folder / "monitor")],
            check=False,
            capture_output=True,
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert done.returncode == code, output
        return str(output)

    def status(self, code: int = 0) -> dict[str, Any]:
        return dict(json.loads(self.run("status", *OWN, "--json", code=code)))


@pytest.fixture
def sessions(cluster: Cluster) -> Iterator[Sessions]:
    with tempfile.TemporaryDirectory(prefix="monitor-") as name:
        yield Sessions(cluster, Path(name))
        cluster.run("login", ["scancel", "--user", "root"], check=False)


def test_the_quick_start_runs_as_a_job(sessions: Sessions) -> None:
    run = sessions.run
    run("session-create", "--run-id", "bench01", "--prom-host", "localhost", "--port", "9090",
        "--scrape-interval", "0.5")  # fmt: skip
    run("client-connect", *OWN, "--client-id", "c1", "--node", "nodeA")

    said = run("start", *OWN, "--partition", "cpu", "--time", "10")
    found = sessions.status()

    assert "in job" in said
    assert (found["state"], found["job"]["state"], found["ready"]) == ("running", "RUNNING", True)
    assert "127.0.0.1" not in found["url"]
    page = f"{found['url']}/metrics"
    run("service-register", *OWN, "--client-id", "c1", "--name", "triton", "--endpoint", page)
    job = f"job:{found['job']['id']}:9090"
    refused = run("service-register", *OWN, "--client-id", "c1", "--name", "same", "--endpoint", job,
                  code=2)  # fmt: skip
    assert "would count twice" in refused  # the job is the address of the same page
    deployed = json.loads(run("exporter-deploy", *OWN, "--kind", "node", "--json"))
    assert deployed["targets"][0]["health"] == "up", deployed
    assert {it["health"] for it in sessions.status()["targets"]} == {"up"}

    number = sessions.cluster.run(
        "login",
        ["sbatch", "--parsable", "--wait", "--partition=cpu", "--output=/dev/null", "--wrap=sleep 4"],
        capture_output=True,
    ).stdout.strip()  # fmt: skip
    out = sessions.folder / "metrics"
    run("collect", *OWN, "--last", "3s", "--out", str(out / "last"))
    run("collect", *OWN, "--job", number, "--out", str(out / "job"))
    window = json.loads((out / "job" / "collection.json").read_text())["window"]
    assert 3.0 <= window["end"] - window["start"] <= 15.0
    for name in ("last", "job"):
        assert manifest.verify(out / name) == []
        assert (out / name / "slices" / "node.csv").exists()

    run("stop", *OWN)
    assert sessions.status()["state"] == "stopped"
    assert jobs(sessions.cluster) == []
    log = (sessions.folder / "monitor/bench01/logs/prometheus.log").read_text()
    assert "See you next time!" in log  # it was stopped in order
    run("delete", *OWN)
    assert list((sessions.folder / "monitor").iterdir()) == []


def test_a_job_that_is_cancelled_is_told_and_goes_on_with_its_data(sessions: Sessions) -> None:
    run = sessions.run
    run("session-create", "--run-id", "bench01", "--scrape-interval", "0.5")
    run("start", *OWN, "--partition", "cpu", "--time", "10")
    job = sessions.status()["job"]["id"]
    sessions.cluster.run("login", ["scancel", job])
    deadline = time.monotonic() + 60
    while jobs(sessions.cluster):
        assert time.monotonic() < deadline
        time.sleep(0.5)

    found = sessions.status(code=3)
    assert found["state"] == "dead"
    assert found["job"]["state"] == "CANCELLED"
    assert f"job {job}" in found["problems"][0] or "Prometheus" in found["problems"][0]
    run("start", *OWN, "--partition", "cpu", "--time", "10")
    assert sessions.status()["state"] == "running"
    run("delete", *OWN, "--force")
    assert jobs(sessions.cluster) == []


def test_a_partition_that_is_none_is_refused_with_slurms_words(sessions: Sessions) -> None:
    sessions.run("session-create", "--run-id", "bench01")
    said = sessions.run("start", *OWN, "--partition", "nowhere", code=2)

    assert "Slurm refused the job" in said
    assert sessions.status()["state"] == "stopped"
