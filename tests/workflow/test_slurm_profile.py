"""The profiler on a throw-away Slurm: all nodes of a job by one step."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gpus import Machine, build_library
from workplace import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slurm.cluster import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
PORT = 8090


class Login:
    """Commands of `escalade profile`, given on the login host."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster, self.folder = cluster, folder
        own = ("LD_LIBRARY_PATH", "FAKE_NVML_STATE", "ESCALADE_TOOLS")
        self.own = {name: os.environ[name] for name in own}
        self.own["PYTHONPATH"] = str(ROOT / "src")

    def command(self, *words: str) -> list[str]:
        given = [f"{key}={value}" for key, value in self.own.items()]
        return ["env", *given, sys.executable, "-m", "escalade", "profile", *words]

    def run(self, *words: str, code: int = 0) -> str:
        done = self.cluster.run("login", self.command(*words), check=False, capture_output=True)
        assert done.returncode == code, done.stdout + done.stderr
        return str(done.stdout)

    def beside(self, *words: str) -> list[str]:
        """Run a command in a thread; gives the lines that it says, as they come."""
        lines: list[str] = []

        def work() -> None:
            done = self.cluster.run("login", self.command(*words), check=False, capture_output=True)
            lines.extend((done.stdout + done.stderr).splitlines())

        threading.Thread(target=work, daemon=True).start()
        return lines


@pytest.fixture
def login(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Login]:
    library = tmp_path_factory.mktemp("fakenvml")
    machine = Machine(build_library(library), library, monkeypatch)
    for _ in range(4):
        machine.model("h100")
    with tempfile.TemporaryDirectory(prefix="profile-") as name:
        yield Login(cluster, Path(name))
        cluster.run("login", ["scancel", "--user", "root"], check=False)
        subprocess.run(["pkill", "-f", f"profile start --data {name}"], check=False)


def healthy(login: Login, *options: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        told: dict[str, Any] = json.loads(
            login.run("status", f"127.0.0.1:{PORT}", *options, "--json")
        )
        if told["healthy"] == 2 or time.monotonic() > deadline:
            return told
        time.sleep(0.5)


def test_all_nodes_of_a_job_are_attached_by_one_step(login: Login) -> None:
    data = login.folder / "head"
    login.beside(
        "start", "--data", str(data), "--port", str(PORT), "--http-port", "0", "--freq", "250"
    )
    while not (data / "head.json").exists():
        time.sleep(0.2)
    token = ("--token-file", str(data / "token"))
    submit = ["sbatch", "--parsable", "--nodes=2", "--gres=gpu:2", "--partition=gpu",
              "--output=/dev/null", "--wrap=sleep 120"]  # fmt: skip
    job = login.cluster.run("login", submit, capture_output=True).stdout.strip()
    state = ""
    while state != "R":
        asked = ["squeue", "--noheader", "--format=%t", "--jobs", job]
        state = login.cluster.run("login", asked, capture_output=True).stdout.strip()
        time.sleep(0.2)
    address = json.loads((data / "head.json").read_text())["host"]
    said = login.beside(
        "attach", f"{address}:{PORT}", "--job", job, "--queue", str(login.folder / "queues"), *token
    )

    found = healthy(login, *token)
    login.run("profile", f"127.0.0.1:{PORT}", "--name", "job", *token)
    time.sleep(3)
    login.run(
        "stop", f"127.0.0.1:{PORT}", "--name", "job", "--out", str(login.folder / "out"), *token
    )
    login.cluster.run("login", ["scancel", job])

    assert found["healthy"] == 2, (found, said)
    told = json.loads((login.folder / "out" / "job.json").read_text())
    nodes = {device.split(":")[0] for device in told["summary_by_device"]}
    assert nodes == {it["node"] for it in found["clients"]}
    assert len(nodes) == 2
    assert len(told["frames"]) >= 8
    absent = login.run("attach", f"{address}:{PORT}", "--job", "999999", *token, code=2)
    assert absent == ""
