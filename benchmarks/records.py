"""What the KPIs of many requests take: `python benchmarks/records.py [REQUESTS]`.

Prints markdown. A cell of 20 steps with REQUESTS (ten million) streamed answers of 16 chunks
is written to a temporary folder; each stage then runs in a process of its own, by the lines
that a campaign runs, and the most memory that it held at once is read from the kernel.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import Slo
from escalade.analysis.verdicts.judge import judge
from escalade.campaign.layout import CampaignFolder
from escalade.campaign.results import read_cell
from escalade.files import read_table, write_json, write_table
from escalade.load.records import SCHEMA, write_steps
from escalade.monitoring.collector import empty_series
from escalade.provenance import host_facts
from escalade.runtime.memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

STEPS, QPS, CHUNKS, WARMUP_SECONDS = 20, 1000.0, 16, 10.0
EPOCH = 1_790_000_000.0
CELL = "many_rep-1_0badcafe"
SLOS = [Slo("fast", "latency_seconds", "p95", 0.5)]
SECONDS_AIM, BYTES_AIM = 30.0, 2 * 1024**3


def table(step: int, requests: int, start: float) -> pa.Table:
    """Make the log of one step: random arrivals, lognormal first tokens, gamma gaps."""
    rng = np.random.default_rng(step)
    planned = np.sort(rng.uniform(0.0, requests / QPS, requests))
    sent = planned + rng.exponential(0.0002, requests)
    gaps = rng.gamma(4.0, 0.0025, (requests, CHUNKS))
    gaps[:, 0] = 0.0
    offsets = np.cumsum(gaps, axis=1)
    first = sent + rng.lognormal(-3.0, 0.4, requests)
    failed = rng.random(requests) < 0.001
    counts = np.where(failed, 0, CHUNKS)
    edges = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    last = first + offsets[:, -1]
    columns: dict[str, Any] = {
        "step": np.full(requests, step),
        "repetition": np.ones(requests),
        "worker": np.zeros(requests),
        "index": np.arange(requests),
        "phase": np.where(planned < WARMUP_SECONDS, "warmup", "window"),
        "payload_id": np.arange(requests) + step * requests,
        "planned_at": start + planned,
        "sent_at": start + sent,
        "first_chunk_at": start + np.where(failed, np.nan, first),
        "last_chunk_at": start + np.where(failed, np.nan, last),
        "ended_at": start + np.where(failed, first, last + 0.0003),
        "chunk_offsets": pa.ListArray.from_arrays(
            pa.array(edges), pa.array(offsets[~failed].ravel())
        ),
        "status": np.where(failed, 503, 200),
        "error": pa.array(np.where(failed, "http_5xx", ""), mask=~failed),
        "bytes_in": np.full(requests, 4000),
    }
    for name, count in (("input_tokens", 64), ("output_tokens", CHUNKS), ("cached_tokens", 0)):
        columns[name] = pa.array(np.full(requests, count), mask=failed)
    known = {field.name: field for field in SCHEMA if field.name in columns}
    arrays = [pa.array(columns[name]).cast(field.type) for name, field in known.items()]
    return pa.Table.from_arrays(arrays, schema=pa.schema(list(known.values())))


def write_cell(root: Path, requests: int) -> None:
    """Write the files of a finished cell."""
    folder = CampaignFolder(root).cell(CELL)
    each = requests // STEPS
    seconds = each / QPS
    starts = [EPOCH + step * (seconds + 10.0) for step in range(STEPS)]
    tables: Iterator[pa.Table] = (
        table(step, each, start) for step, start in enumerate(starts, start=1)
    )
    write_steps(folder.requests, tables, SCHEMA.names)
    outcomes = [
        {
            "schema": 1,
            "step": step,
            "target_qps": QPS,
            "arrivals": "poisson",
            "outcome": "measured",
            "cause": None,
            "log_tail": [],
            "started_at": start,
            "window_start": start + WARMUP_SECONDS,
            "window_end": start + seconds,
            "drained_at": start + seconds + 5.0,
            "drained": True,
            "client": None,
            "planned": {"warmup": 0, "window": each},
        }
        for step, start in enumerate(starts, start=1)
    ]
    write_json(folder.windows, {"schema": 1, "scrape_interval_seconds": 1.0, "steps": outcomes})
    write_json(folder.cell, {"schema": 1, "cell": CELL, "deployment": "many", "repetition": 1})
    write_json(folder.environment, {"metric_names": {}, "agreement": None, "gpus": []})
    write_table(folder.series, empty_series())


def kpis(root: Path) -> None:
    """Reduce the cell to its KPI table, as `results.write_kpis` does."""
    keep_freed_memory()
    cell = read_cell(CampaignFolder(root).cell(CELL))
    write_table(root / "kpis.parquet", cell_kpis(cell, SLOS))


def verdicts(root: Path) -> None:
    """Check the gates and judge, as `results.write_verdicts` does."""
    keep_freed_memory()
    cell = read_cell(CampaignFolder(root).cell(CELL))
    judge(read_table(root / "kpis.parquet", "KPIs"), [cell], SLOS)


STAGES = {"kpis": kpis, "verdicts": verdicts}


def main(requests: int = 10_000_000) -> int:
    """Write the cell, run the stages, print; exit code 1 when an aim is missed."""
    host = host_facts()
    print(
        f"Command: `python benchmarks/records.py {requests}` on {time.strftime('%Y-%m-%d')}: "
        f"{host['cpu_model']}, {host['cpus_usable']} CPUs, load average {os.getloadavg()[0]:.1f}\n"
    )
    with tempfile.TemporaryDirectory(prefix="escalade-records-") as place:
        root = Path(place)
        write_cell(root, requests)
        size = CampaignFolder(root).cell(CELL).requests.stat().st_size
        print(
            f"{requests:,} requests in {STEPS} steps, {CHUNKS} chunks each: {size / 1e9:.2f} GB\n"
        )
        print("| stage | wall, s | CPU, s | most memory, GiB |")
        print("|---|---|---|---|")
        missed = False
        for stage in STAGES:
            command = [sys.executable, __file__, "--stage", stage, str(root)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            wall, used, memory = map(float, done.stdout.split())
            print(f"| {stage} | {wall:.1f} | {used:.1f} | {memory / 1024**3:.2f} |", flush=True)
            missed |= stage == "kpis" and (wall > SECONDS_AIM or memory > BYTES_AIM)
    print(f"\nAims for the KPIs: {SECONDS_AIM:.0f} s and {BYTES_AIM / 1024**3:.0f} GiB.")
    return 1 if missed else 0


def run_stage(stage: str, root: Path) -> None:
    """Run one stage in this process; print wall time, CPU time and its most memory."""
    began = time.monotonic()
    STAGES[stage](root)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(time.monotonic() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--stage"]:
        run_stage(sys.argv[2], Path(sys.argv[3]))
    else:
        sys.exit(main(*map(int, sys.argv[1:])))
