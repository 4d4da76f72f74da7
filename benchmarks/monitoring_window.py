"""What collecting a window of many raw samples takes: `python benchmarks/monitoring_window.py [SECONDS]`.

Prints markdown. A page of 2,000 series is scraped by nobody: promtool writes SECONDS (650) seconds of
it into blocks, 1.3 million samples, which a Prometheus serves. `escalade monitor collect` then runs
as a process of its own; its wall time, and the most memory that it held at once by the kernel's count.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from escalade.monitoring import archive
from escalade.monitoring.reopened import reopened
from escalade.monitoring.windows.window import iso
from escalade.provenance import host_facts
from escalade.runtime import tools

BASE = 1_790_000_000
COUNTERS, GAUGES, HISTOGRAMS = 1024, 175, 50
BUCKETS = (
    "0.005",
    "0.01",
    "0.025",
    "0.05",
    "0.1",
    "0.25",
    "0.5",
    "1",
    "2.5",
    "5",
    "10",
    "20",
    "40",
    "60",
    "90",
    "+Inf",
)
SECONDS_AIM, BYTES_AIM = 5.0, 500e6


def write_page(path: Path, seconds: int) -> int:
    """Write what a node with 128 CPUs, its services and `up` would have told; give the number of samples."""
    series = [
        *(
            f'node_cpu_seconds_total{{job="node",instance="n:9100",cpu="{n // 8}",mode="{n % 8}"}}'
            for n in range(COUNTERS)
        ),
        *(f'queue_length{{job="service",instance="s:8000",queue="{n}"}}' for n in range(GAUGES)),
        *(
            f'http_server_request_duration_seconds_bucket{{job="service",instance="s:8000",route="/{n}",le="{le}"}}'
            for n in range(HISTOGRAMS)
            for le in BUCKETS
        ),
        'up{job="node",instance="n:9100"}',
    ]
    metric = ""
    with path.open("w") as page:
        for number, name in enumerate(series):
            if metric != (metric := name.partition("{")[0]):
                page.write(f"# TYPE {metric} unknown\n")
            value = "1" if metric == "up" else None
            for at in range(seconds):
                page.write(f"{name} {value or (number % 97 + 1) * at * 0.25} {BASE + at}\n")
        page.write("# EOF\n")
    return len(series) * seconds


def main(seconds: int = 650) -> int:
    """Make the blocks, serve them, collect three times, print; exit code 1 when an aim is missed."""
    host = host_facts()
    print(
        f"Command: `python benchmarks/monitoring_window.py {seconds}` on {time.strftime('%Y-%m-%d')}: "
        f"{host['cpu_model']}, {host['cpus_usable']} CPUs, load average {os.getloadavg()[0]:.1f}\n"
    )
    missed = False
    with tempfile.TemporaryDirectory(prefix="escalade-window-") as place:
        root = Path(place)
        samples = write_page(root / "page", seconds)
        (root / "prometheus.yml").write_text("global:\n  scrape_interval: 1s\n")
        make = ["tsdb", "create-blocks-from", "openmetrics", root / "page", root / "data"]
        subprocess.run([tools.find("promtool").path, *make], check=True, capture_output=True)
        sources = {archive.DATA: root / "data", archive.CONFIGURATION: root / "prometheus.yml"}
        archive.pack(sources, root / "tsdb.tar.zst")
        with reopened(root / "tsdb.tar.zst") as here:
            print(
                "| raw samples | figures | wall, s | CPU of the collector, s | most memory, MB | raw.parquet, MB |"
            )
            print("|---|---|---|---|---|---|")
            for run in range(3):
                missed |= _collect(here.url, root / f"out{run}", seconds, samples)
    print(f"\nAims: {SECONDS_AIM:.0f} s and {BYTES_AIM / 1e6:.0f} MB.")
    return 1 if missed else 0


def _collect(url: str, out: Path, seconds: int, samples: int) -> bool:
    window = ["--from-iso", iso(BASE), "--to-iso", iso(BASE + seconds)]
    command = [sys.executable, "-m", "escalade", "monitor", "collect", "--prometheus", url, *window]
    began = time.monotonic()
    with subprocess.Popen([*command, "--out", out, "--json"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        content = json.loads(process.stdout.read())
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall, memory = time.monotonic() - began, used.ru_maxrss * 1024
    figures = sum(row["value"] is not None for row in content["rows"])
    size = (out / "raw.parquet").stat().st_size / 1e6
    print(
        f"| {content['raw']['samples']:,} | {figures} | {wall:.2f} | {used.ru_utime + used.ru_stime:.2f} "
        f"| {memory / 1e6:.0f} | {size:.1f} |",
        flush=True,
    )
    return content["raw"]["samples"] != samples or wall > SECONDS_AIM or memory > BYTES_AIM


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
