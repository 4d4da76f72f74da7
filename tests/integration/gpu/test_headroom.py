"""`escalade gpu headroom` on a fake GPU: outcomes, exit codes, and the loader that gives back."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from model_loading import GB, Project, holding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakenvml import FakeGpu
    from gpus import Machine

PAGE = Path(__file__).parents[2] / "data" / "metrics" / "vllm-0.33.0.prom"


class _Engine(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(PAGE.read_bytes())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def gpu(machine: Machine) -> FakeGpu:
    return machine.add(memory_total=10 * GB, memory_used=7 * GB)


@pytest.fixture
def engine() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Engine) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/metrics"
        server.shutdown()
        thread.join()


def headroom(folder: Path, *arguments: str) -> tuple[int, dict[str, Any], str]:
    argv = [sys.executable, "-m", "escalade", "gpu", "headroom", "--json", *arguments]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


def test_a_gpu_with_three_tenths_free_passes_and_with_one_fails(
    gpu: FakeGpu, tmp_path: Path
) -> None:
    good, told, _ = headroom(tmp_path, "--once")
    gpu.memory_used = 9 * GB
    bad, failed, _ = headroom(tmp_path)

    assert (good, bad) == (0, 1)
    assert told["gpus"][0]["free_share"] == pytest.approx(0.3)
    assert failed["gpus"][0]["outcome"] == "FAIL"
    assert failed["unload_first"] is None  # no loader runs


def test_the_worst_of_all_looks_counts(gpu: FakeGpu, tmp_path: Path) -> None:
    def later() -> None:
        gpu.memory_used = 9 * GB

    timer = threading.Timer(2.5, later)
    timer.start()
    code, told, err = headroom(tmp_path, "--duration", "4", "--interval", "0.2")
    timer.join()

    assert code == 1
    assert told["looks"] > 5
    assert told["gpus"][0]["used_bytes"] == 9 * GB
    assert "GPU 0: FAIL: 10.0% of its memory is free (< 20%)" in err


def test_an_engine_is_judged_by_its_cache_and_a_dead_one_is_undecided(
    gpu: FakeGpu, tmp_path: Path, engine: str
) -> None:
    gpu.memory_used = 9 * GB

    code, told, _ = headroom(tmp_path, "--engine", f"{engine}@0")
    silent, unknown, _ = headroom(tmp_path, "--engine", "http://127.0.0.1:9/metrics")

    assert (code, silent) == (0, 4)
    assert told["gpus"][0]["basis"] == "KV cache"
    assert told["gpus"][0]["free_share"] == pytest.approx(1 - 0.3412)
    assert unknown["gpus"][0]["outcome"] == "UNKNOWN"


def test_the_loader_gives_back_what_is_used_least_until_it_suffices(
    gpu: FakeGpu, tmp_path: Path
) -> None:
    project = Project(tmp_path / "project", gpu)
    for name in ("first", "second", "third"):
        project.model(name, 500)  # 8.5 of 10 GB: one too many
    with holding(project, limit=2000):
        standing = project.status()
        assert standing is not None
        urls = {head["name"]: head["url"] for head in standing["models"]}
        for name, times in (("first", 1), ("second", 5), ("third", 2)):
            for _ in range(times):
                requests.get(f"{urls[name]}/ask", timeout=5)

        advised, told, _ = headroom(project.folder)
        code, after, err = headroom(project.folder, "--unload")

    assert advised == 1
    assert told["unload_first"] == "first"
    assert told["why_first"] == "used least: 1 since it was loaded"
    assert code == 0
    assert after["unloaded"] == ["first"]
    assert "first: given back." in err
    assert project.given_back == ["first", "third", "second"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--headroom", "20"], "expected a share from 0 to below 1"),
        (["--engine", "127.0.0.1:8000"], "expected the URL of its page"),
        (["--once", "--duration", "3"], "expected one of them"),
    ],
)
def test_bad_options_are_one_message(
    gpu: FakeGpu, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    code, _, err = headroom(tmp_path, *arguments)

    assert code == 2
    assert expected in err
    assert "Traceback" not in err


@pytest.mark.usefixtures("no_library")
def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    code, _, err = headroom(tmp_path)

    assert code == 3
    assert "no GPU" in err
    assert "srun --gpus=1" in err
