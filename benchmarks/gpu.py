"""Cost of the GPU exporter beside nvitop-exporter's: `python benchmarks/gpu.py [SECONDS] [RUNS]`.

Eight GPUs of the fake NVML library (tests/data/fakenvml), with a process on each. Both exporters
run side by side, so that they have the same neighbours: SECONDS / 3 without a scrape, then SECONDS
(30) with one each second. Prints markdown: CPU time by the kernel's count, resident memory, and how
long a scrape took; medians of RUNS (3). Exit code 1 when an aim is missed.
"""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from escalade.provenance import host_facts  # noqa: E402
from escalade.runtime.endpoints import free_port, wait_http  # noqa: E402
from gpus import Machine, build_library  # noqa: E402 - lies beside the tests

GPUS = 8
SHARE_AIM, MEMORY_AIM, P95_AIM = 0.25, 35 * 2**20, 0.015
OURS, COMPATIBLE, PEER = "escalade", "escalade, `--compat dcgm,swarm`", "nvitop-exporter -i 1"


@dataclass
class Measured:
    """One exporter in one run; times in seconds, memory in bytes."""

    idle_cpu: float
    scraped_cpu: float
    seconds: float
    memory: int
    series: int
    latencies: list[float] = field(default_factory=list)


@dataclass
class Exporter:
    """A running exporter."""

    process: subprocess.Popen[bytes]
    port: int

    def cpu(self) -> float:
        """Give the CPU time that it used, in seconds."""
        used = psutil.Process(self.process.pid).cpu_times()
        return float(used.user + used.system)

    def scrape(self) -> tuple[float, int]:
        """Scrape once; give the seconds, and how many samples the page has."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        began = time.perf_counter()
        connection.request("GET", "/metrics")
        page = connection.getresponse().read()
        taken = time.perf_counter() - began
        connection.close()
        return taken, sum(not line.startswith(b"#") for line in page.splitlines())


def _started() -> dict[str, Exporter]:
    ours = [sys.executable, "-m", "escalade.gpu.exporter"]
    commands = {
        OURS: ours,
        COMPATIBLE: [*ours, "--compat", "dcgm", "swarm"],
        PEER: [sys.executable, "-m", "nvitop_exporter", "--interval", "1"],
    }
    found = {}
    for name, command in commands.items():
        port = free_port()
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        found[name] = Exporter(process, port)
    for exporter in found.values():
        wait_http(f"http://127.0.0.1:{exporter.port}/metrics", 60, lambda: None)
    return found


def measure(seconds: int) -> dict[str, Measured]:
    """Run all exporters side by side once."""
    exporters = _started()
    try:
        for exporter in exporters.values():
            exporter.scrape()
        before = {name: one.cpu() for name, one in exporters.items()}
        time.sleep(seconds / 3)
        between = {name: one.cpu() for name, one in exporters.items()}
        scrapes: dict[str, list[tuple[float, int]]] = {name: [] for name in exporters}
        began = time.monotonic()
        for number in range(seconds):
            for name, one in exporters.items():
                scrapes[name].append(one.scrape())
            time.sleep(max(0.0, began + number + 1 - time.monotonic()))
        taken = time.monotonic() - began
        return {
            name: Measured(
                (between[name] - before[name]) / (seconds / 3),
                (one.cpu() - between[name]) / taken,
                taken,
                psutil.Process(one.process.pid).memory_info().rss,
                scrapes[name][-1][1],
                [latency for latency, _ in scrapes[name]],
            )
            for name, one in exporters.items()
        }
    finally:
        for one in exporters.values():
            one.process.terminate()
            one.process.wait(10)


def _median(found: list[Measured], of: str) -> float:
    return statistics.median(float(getattr(one, of)) for one in found)


def _quantile(found: list[Measured], share: float) -> float:
    """Give the median over the runs of a quantile of each run's scrapes."""
    return statistics.median(
        sorted(one.latencies)[min(len(one.latencies) - 1, int(share * len(one.latencies)))]
        for one in found
    )


def main(seconds: int = 30, runs: int = 3) -> int:
    """Measure, print; exit code 1 when an aim is missed."""
    host = host_facts()
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        machine = Machine(build_library(Path(place)), Path(place), patch)
        machine.state.pcie_block_us = 20_000  # as the real call blocks; ours does not make it
        for _ in range(GPUS):
            machine.model("h100").runs((os.getpid(), 8 << 30))
        rounds = [measure(seconds) for _ in range(runs)]
    found = {name: [one[name] for one in rounds] for name in rounds[0]}
    print(
        f"Command: `python benchmarks/gpu.py {seconds} {runs}` on {time.strftime('%Y-%m-%d')}: "
        f"{host['cpu_model']}, {host['cpus_usable']} CPUs, load average {os.getloadavg()[0]:.1f}\n"
    )
    print("| exporter | samples | CPU unscraped | CPU at 1 s scrapes | p50 / p95, ms | RSS, MiB |")
    print("|---|---|---|---|---|---|")
    for name, runs_of in found.items():
        print(
            f"| {name} | {_median(runs_of, 'series'):.0f} "
            f"| {1e3 * _median(runs_of, 'idle_cpu'):.1f} ms/s "
            f"| {1e3 * _median(runs_of, 'scraped_cpu'):.1f} ms/s "
            f"| {1e3 * _quantile(runs_of, 0.5):.1f} / {1e3 * _quantile(runs_of, 0.95):.1f} "
            f"| {_median(runs_of, 'memory') / 2**20:.1f} |"
        )
    return _judged(found)


def _judged(found: dict[str, list[Measured]]) -> int:
    ours = found[OURS]
    share = statistics.median(
        mine.scraped_cpu / theirs.scraped_cpu
        for mine, theirs in zip(ours, found[PEER], strict=True)
    )
    idle, memory, p95 = _median(ours, "idle_cpu"), _median(ours, "memory"), _quantile(ours, 0.95)
    print(
        f"\nShare of nvitop-exporter's CPU time: {share:.3f} (aim {SHARE_AIM}); unscraped "
        f"{1e3 * idle:.1f} ms/s (aim 0); {memory / 2**20:.1f} MiB (aim 35); p95 {1e3 * p95:.1f} ms "
        f"(aim {1e3 * P95_AIM:.0f})."
    )
    missed = share > SHARE_AIM or idle > 0 or memory > MEMORY_AIM or p95 > P95_AIM
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
