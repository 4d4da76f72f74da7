"""A collection is written whole or not at all, and says what it lacks."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from escalade import manifest
from escalade.analysis.measured.windows import Window
from escalade.errors import InfrastructureError, InputError, NoDataError
from escalade.monitoring import faults
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.windows.artifacts import slice_files
from escalade.monitoring.windows.extent import EVERYTHING
from escalade.monitoring.windows.gather import collect
from escalade.monitoring.windows.queries import Query, Questions
from escalade.monitoring.windows.window import Chosen

if TYPE_CHECKING:
    from pathlib import Path

    from unit.monitoring.conftest import Answer
    from unit.monitoring.windows.conftest import Recorded

BASE = 1_790_000_000
CHOSEN = Chosen(Window(BASE + 200, BASE + 300), "last 100s")
ASKED = Questions(
    defaults=False,
    queries=(
        Query(name="throughput", kind="counter", expr="requests_total", unit="1/s"),
        Query(name="gpu", expr="avg(gpu)", unit="ratio"),
        Query(name="nothing", expr="sum(none)", unit="1"),
    ),
)


@pytest.fixture
def filled(recorded: Recorded) -> Recorded:
    labels = {"__name__": "requests_total", "job": "service", "instance": "a:1"}
    points = {float(at): 5.0 * at for at in range(100, 1000)}
    recorded.scraped(range(100, 1000))
    recorded.add("requests_total", labels, points)
    recorded.add(EVERYTHING, labels, points)
    recorded.values["avg(gpu)"] = 0.5
    return recorded


def gather(recorded: Recorded, out: Path, questions: Questions = ASKED) -> None:
    with PrometheusClient(recorded.url, timeout=5, retries=0) as client:
        collect(client, CHOSEN, questions, out, "run01")


def table(path: Path) -> list[dict[str, str]]:
    with path.open() as opened:
        return list(csv.DictReader(opened))


def test_a_collection_has_figures_slices_coverage_samples_and_manifest(
    filled: Recorded, tmp_path: Path
) -> None:
    gather(filled, tmp_path / "out")

    rows = {
        (row["metric"], row["statistic"]): row
        for row in table(tmp_path / "out" / "metrics_summary.csv")
    }
    rate, gpu = rows["throughput", "rate"], rows["gpu", "mean"]
    assert (rate["run_id"], float(rate["value"]), rate["unit"]) == ("run01", 5.0, "1/s")
    assert (rate["coverage"], rate["quality"]) == ("1.0", "ok")
    assert (float(gpu["value"]), gpu["n"]) == (0.5, "100")
    assert rows["nothing", "mean"]["value"] == ""
    assert rows["nothing", "mean"]["quality"].startswith("no data: ")
    raw = pq.read_table(tmp_path / "out" / "raw.parquet")
    assert raw.column_names == ["metric", "labels", "timestamp", "value"]
    assert raw["value"].to_pylist() == [5.0 * at for at in range(200, 300)]
    assert len(table(tmp_path / "out" / "slices" / "service.csv")) == 3
    (target,) = table(tmp_path / "out" / "coverage.csv")
    assert (target["job"], target["expected"], target["received"]) == ("service", "100", "100")
    assert manifest.verify(tmp_path / "out") == []
    stored = json.loads((tmp_path / "out" / "collection.json").read_text())
    assert stored["raw"] == {"selectors": [EVERYTHING], "samples": 100}
    assert stored["window"]["start"] == BASE + 200
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_samples_need_not_be_kept(filled: Recorded, tmp_path: Path) -> None:
    gather(filled, tmp_path / "out", ASKED.model_copy(update={"raw": ()}))

    assert not (tmp_path / "out" / "raw.parquet").exists()
    assert manifest.verify(tmp_path / "out") == []


def test_a_window_without_any_sample_is_no_collection(recorded: Recorded, tmp_path: Path) -> None:
    with pytest.raises(NoDataError, match="There is no sample from"):
        gather(recorded, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_refused(filled: Recorded, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")

    with pytest.raises(InputError, match="is in use"):
        gather(filled, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_an_empty_folder_is_used(filled: Recorded, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    gather(filled, tmp_path / "out")

    assert manifest.verify(tmp_path / "out") == []


def test_a_refused_query_writes_nothing(filled: Recorded, tmp_path: Path) -> None:
    filled.refused = {"avg(gpu)": "parse error: no"}

    with pytest.raises(InputError, match=r"gpu: .*parse error: no"):
        gather(filled, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def dying_at(query: str, answer: Answer) -> object:
    """Answer one query otherwise."""
    return lambda _, form: answer if form.get("query", "").startswith(query) else None


def test_a_prometheus_that_dies_meanwhile_leaves_nothing(filled: Recorded, tmp_path: Path) -> None:
    inner = filled.stand_in.answer
    assert inner is not None

    def die(path: str, form: dict[str, str]) -> Answer | None:
        raw = form.get("query", "").startswith(EVERYTHING) and float(form["time"]) > BASE + 211
        return None if raw else inner(path, form)

    filled.stand_in.answer = die

    with pytest.raises(faults.UnreachableError, match="Nothing answers"):
        gather(filled, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "body",
    [
        b"<html>a proxy</html>",
        b'{"status":"success","data":{"resultType":"streams","result":[]}}',
        b'{"status":"success","data":{"resultType":"matrix","result":[{"values":[[1,"x"]]}]}}',
        b'{"status":"success","data":null}',
        b'{"status":"succ',
    ],
)
def test_answers_of_another_kind_are_told_and_leave_nothing(
    filled: Recorded, tmp_path: Path, body: bytes
) -> None:
    filled.before = lambda _, form: (
        (200, body) if form.get("query", "").startswith(EVERYTHING) else None
    )

    with pytest.raises(faults.MalformedAnswerError):
        gather(filled, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_leaves_nothing(filled: Recorded, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (900, hard))
    try:
        with pytest.raises(
            InfrastructureError, match=r"File too large.*Nothing was (left|changed)"
        ):
            gather(filled, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert list(tmp_path.iterdir()) == []


def test_kill_9_leaves_no_collection_and_the_next_one_tidies_up(
    filled: Recorded, tmp_path: Path
) -> None:
    stalled = []

    def stall(_: str, form: dict[str, str]) -> Answer | None:
        if form.get("query", "").startswith("avg(gpu)") and float(form["start"]) == BASE + 200:
            stalled.append(form)
            time.sleep(30)
        return None

    filled.before = stall
    code = (
        "import sys\n"
        "from unit.monitoring.windows.test_gather import ASKED, CHOSEN, collect\n"
        "from escalade.monitoring.client import PrometheusClient\n"
        "from pathlib import Path\n"
        "collect(PrometheusClient(sys.argv[1]), CHOSEN, ASKED, Path(sys.argv[2]), 'run01')\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen(
        [sys.executable, "-c", code, filled.url, tmp_path / "out"],
        env=os.environ | {"PYTHONPATH": path},
    )
    deadline = time.monotonic() + 30
    while not stalled and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()

    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.")
    assert (left / "raw.parquet").exists()
    filled.before = None
    gather(filled, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_no_slice_gets_a_name_that_is_a_path_or_another_ones() -> None:
    files = slice_files(["triton", "../../etc/passwd", "a/b", "a b", "", "Triton", "x" * 200])

    assert files["triton"] == "triton.csv"
    assert len({file.lower() for file in files.values()}) == 7
    for file in files.values():
        assert "/" not in file
        assert not file.startswith(".")
        assert len(file) < 100
