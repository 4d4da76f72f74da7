"""A campaign that profiles its GPUs: what falls between two scrapes is in the report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq
import pytest

from escalade.files import read_json
from fakenvml import Of, Shape
from gpus import Machine, build_library
from workplace import Workplace, ladder

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(300)
def test_a_spike_between_two_scrapes_is_seen(
    workplace: Workplace, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder: Path = tmp_path_factory.mktemp("nvml")
    machine = Machine(build_library(folder), folder, monkeypatch)
    gpu = machine.model("h100")
    machine.model("h100")
    gpu.utilization_percent = 50
    gpu.wave(Of.UTILIZATION, Shape.SINE, 45, 0.73)  # scrapes of 1 s see a few phases of it
    workplace.write(load=ladder((10, 5)), profiling={"interval_ms": 100})

    child = workplace.drive()
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 0, output
    cell = workplace.results / "cells" / workplace.cells()[0]
    windows = read_json(cell / "windows.json", "windows")
    profiling = windows["profiling"]
    assert profiling["interval_ms"] == 100
    assert profiling["gpus"] == 2
    profile = pd.read_parquet(cell / "profile.parquet")
    mine = profile[profile.gpu_id.astype(str).str.contains(":0:")]
    begun, ended = (windows["steps"][0][key] for key in ("window_start", "window_end"))
    times = mine.timestamp.astype("int64") / 1000
    inside = mine[(times >= begun) & (times < ended)]
    expected = (ended - begun) / 0.1
    assert 0.8 * expected <= len(inside) <= expected + 1
    assert inside.gpu_util.max() - inside.gpu_util.min() > 60
    facts = json.loads(pq.read_metadata(cell / "profile.parquet").metadata[b"escalade"])
    assert facts["units"]["power"] == "W"
    assert not (cell / "profile").exists()
    page = (workplace.results / "report.html").read_text()
    assert "GPUs, finely" in page
    assert "every 0.1" in page.replace("\u00a0", " ")
    manifest = read_json(workplace.results / "MANIFEST.json", "manifest")
    assert "profile.parquet" in json.dumps(manifest)
    assert workplace.processes() == []


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_without_a_gpu_the_campaign_says_that_nothing_was_profiled(workplace: Workplace) -> None:
    workplace.write(load=ladder((10, 5)), profiling={"interval_ms": 100})

    child = workplace.drive()
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 0, output
    cell = workplace.results / "cells" / workplace.cells()[0]
    windows = read_json(cell / "windows.json", "windows")
    assert windows["profiling"]["missing"]
    assert "no GPU was profiled" in (workplace.results / "report.html").read_text()
