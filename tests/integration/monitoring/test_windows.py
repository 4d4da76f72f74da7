"""Windows of a real Prometheus: figures that are known beforehand come out, live and from an archive."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from escalade import manifest
from escalade.cli.monitor import app
from escalade.errors import InfrastructureError, InputError
from escalade.monitoring import archive
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.faults import UnreachableError
from escalade.monitoring.reopened import reopened
from escalade.monitoring.windows.extent import data_extent
from escalade.monitoring.windows.window import iso
from escalade.runtime import tools
from escalade.runtime.endpoints import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = 1_790_000_000
SECONDS = 120


def page() -> str:
    """Write what two services told every second for two minutes.

    triton: 10 requests a second, restarted at 60 s; 80 % within 0.1 s, 20 % within 0.5 s. milvus: 2 a
    second, none slower than 0.1 s. The GPU is at 60 and 40 % in turn. From 30 to 89 s step is 3.
    """

    def count(job: str, at: int) -> int:
        return 10 * (at % 60) if job == "triton" else 2 * at

    def within(job: str, le: str) -> float:
        return 0.8 if (job, le) == ("triton", "0.1") else 1.0

    seconds = range(SECONDS)
    targets = {job: f'job="{job}",instance="{job}:8000"' for job in ("triton", "milvus")}
    tracks: dict[str, dict[str, list[float]]] = {
        "up": {own: [1.0 for _ in seconds] for own in targets.values()},
        "http_requests_total": {
            own: [count(job, at) for at in seconds] for job, own in targets.items()
        },
        "http_server_request_duration_seconds_bucket": {
            f'{own},le="{le}"': [count(job, at) * within(job, le) for at in seconds]
            for job, own in targets.items()
            for le in ("0.1", "0.5", "+Inf")
        },
        "DCGM_FI_DEV_GPU_UTIL": {targets["triton"]: [40 if at % 2 else 60 for at in seconds]},
    }
    lines = []
    for metric, series in tracks.items():
        lines.append(f"# TYPE {metric} unknown")
        for labels, values in series.items():
            lines += [f"{metric}{{{labels}}} {v:g} {BASE + at}" for at, v in enumerate(values)]
    lines.append("# TYPE step_info unknown")
    for at in seconds:
        lines.append(f'step_info{{step="{3 if 30 <= at < 90 else 1}"}} 1 {BASE + at}')
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the archive of a campaign's only cell."""
    folder = tmp_path_factory.mktemp("golden")
    (folder / "page").write_text(page())
    (folder / "prometheus.yml").write_text("global:\n  scrape_interval: 1s\n")
    make = ["tsdb", "create-blocks-from", "openmetrics", folder / "page", folder / "data"]
    tools.ensure("prometheus")
    subprocess.run([tools.ensure("promtool").path, *make], check=True, capture_output=True)
    cell = folder / "campaign" / "cells" / "golden_rep-1_0badcafe"
    cell.mkdir(parents=True)
    sources = {archive.DATA: folder / "data", archive.CONFIGURATION: folder / "prometheus.yml"}
    archive.pack(sources, cell / "tsdb.tar.zst")
    return folder / "campaign"


def collect(*words: object) -> str:
    """Run the command here: a process of its own takes a second to begin."""
    return CliRunner().invoke(app, ["collect", *map(str, words)], catch_exceptions=False).stdout


@pytest.fixture(scope="module")
def opened(packed: Path) -> Iterator[dict[str, Any]]:
    """Open the campaign's data by the command, and end it by Ctrl-C."""
    command = [sys.executable, "-m", "escalade", "monitor", "open", packed, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline()) | {"pid": process.pid}
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def rows_of(out: Path, name: str = "metrics_summary.csv") -> dict[tuple[str, str], dict[str, str]]:
    with (out / name).open() as read:
        return {(row["metric"], row["statistic"]): row for row in csv.DictReader(read)}


def test_an_archive_is_served_again_with_all_that_it_holds(opened: dict[str, Any]) -> None:
    assert opened["from_iso"] == iso(BASE)
    assert opened["to_iso"] == iso(BASE + SECONDS - 1 + 0.001)
    with PrometheusClient(opened["url"]) as client:
        assert client.value("sum(up)", BASE + 50) == 2
        assert client.targets() == []
        assert data_extent(client, time.time()) == (BASE, BASE + SECONDS - 1)
        assert client.label_values("job") == ["milvus", "triton"]
        assert client.rules() == []
        assert client.alerts() == []


def test_known_figures_come_out_of_a_window_of_iso_times(
    opened: dict[str, Any], tmp_path: Path
) -> None:
    window = ("--from-iso", iso(BASE + 10), "--to-iso", iso(BASE + 110))
    out = tmp_path / "out"

    collect("--prometheus", opened["url"], *window, "--out", out, "--run-id", "run01")

    rows, slices = rows_of(out), rows_of(out, "slices/triton.csv")
    # triton from 100 to 590, then 0 to 490 (the restart is growth from zero); milvus 99 s of 2
    assert float(rows["throughput", "growth"]["value"]) == 490 + 490 + 198
    assert float(rows["throughput", "rate"]["value"]) == pytest.approx(1178 / 99)
    assert float(slices["throughput", "growth"]["value"]) == 980
    assert "1 restarts of counters" in rows["throughput", "rate"]["quality"]
    assert float(rows["gpu_utilization", "mean"]["value"]) == pytest.approx(0.5)
    # of 1178 observations 982 are in (0, 0.1] and the rest in (0.1, 0.5]; triton's p50 is in the first
    assert [rows["latency", "p50"][end] for end in ("low", "high")] == ["0.0", "0.1"]
    assert [rows["latency", "p95"][end] for end in ("low", "high")] == ["0.1", "0.5"]
    assert rows["latency", "p95"]["method"] == "bounds of its bucket"
    assert rows["cpu_utilization", "mean"]["value"] == ""
    assert rows["cpu_utilization", "mean"]["quality"].startswith("no data")
    assert {row["coverage"] for row in rows.values() if row["value"]} == {"1.0"}
    raw = pq.read_table(out / "raw.parquet")
    assert raw.num_rows == 100 * (2 + 2 + 6 + 1 + 1)  # up, requests, buckets, GPU, step
    assert manifest.verify(out) == []


def test_a_label_in_the_data_gives_its_window(opened: dict[str, Any], tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    said = collect("--prometheus", opened["url"], "--label", "step=3", *out, "--json")

    content = json.loads(said)
    assert content["window"]["start"] == BASE + 30
    assert content["window"]["end"] == pytest.approx(BASE + 89.001)
    assert content["run_id"] == "out"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--last", "10m"), "longer than the data"),
        (("--from-iso", iso(BASE), "--to-iso", "2026-09-21T14:14:00"), "has no time zone"),
        (("--label", "step=7"), "step is one of 1, 3"),
        ((), "Which window of time"),
        (("--last", "1m", "--run-id", "../x"), "is no name of a run"),
    ],
)
def test_windows_that_can_not_be_are_refused_in_a_sentence(
    opened: dict[str, Any], tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        collect("--prometheus", opened["url"], *words, "--out", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_expressions_are_checked_by_prometheus_in_its_words(
    opened: dict[str, Any], tmp_path: Path
) -> None:
    queries = tmp_path / "queries.yaml"
    queries.write_text(
        "queries:\n"
        "- {name: torn, expr: 'sum(', unit: '1'}\n"
        "- {name: no_selector, kind: counter, expr: 'rate(up[5s])', unit: 1/s}\n"
        "- {name: matrix, expr: 'up[5s]', unit: '1'}\n"
    )
    window = ("--from-iso", iso(BASE + 10), "--to-iso", iso(BASE + 110))
    files = ("--queries", queries, "--out", tmp_path / "out")

    with pytest.raises(InputError) as caught:
        collect("--prometheus", opened["url"], *window, *files)

    assert "torn: " in str(caught.value)
    assert "unclosed left parenthesis" in str(caught.value)
    assert "no_selector: " in str(caught.value)
    assert "matrix: " in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_prometheus_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="Connection refused"):
        collect(
            "--prometheus", f"http://127.0.0.1:{free_port()}", "--last", "1m", "--out", tmp_path
        )


def test_the_copy_goes_with_its_prometheus_also_after_kill_9(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "escalade", "monitor", "open", packed, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        process.kill()
        process.wait()
    client = PrometheusClient(url, retries=0)
    deadline = time.monotonic() + 10
    while client.ready() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not client.ready()
    (left,) = tmp_path.iterdir()  # nobody is there to remove it: the next one does

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (cell,) = (packed / "cells").iterdir()
    with reopened(cell / "tsdb.tar.zst") as here:
        assert list(tmp_path.iterdir()) == [here.folder]
        assert here.folder != left
    assert list(tmp_path.iterdir()) == []


def test_what_can_not_be_opened_is_told(packed: Path, tmp_path: Path) -> None:
    (cell,) = (packed / "cells").iterdir()
    whole = (cell / "tsdb.tar.zst").read_bytes()
    (tmp_path / "cut.tar.zst").write_bytes(whole[: len(whole) // 2])

    with pytest.raises(InputError, match="ends too early"), reopened(tmp_path / "cut.tar.zst"):
        pass
    taken = free_port()
    with reopened(cell / "tsdb.tar.zst", taken) as first:
        with (
            pytest.raises(InfrastructureError, match=r"(?s)ended with code \d.*in use"),
            reopened(cell / "tsdb.tar.zst", taken),
        ):
            pass
        assert PrometheusClient(first.url).ready()
