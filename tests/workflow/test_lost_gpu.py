"""A GPU that is lost in the middle of a step: everything goes on, and that step is INVALID."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from escalade.files import read_json
from gpus import Machine, build_library
from workplace import Workplace, ladder

if TYPE_CHECKING:
    from pathlib import Path

LOST = 15


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_step_that_lost_a_gpu_is_invalid_and_the_exporter_goes_on(
    workplace: Workplace, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder: Path = tmp_path_factory.mktemp("nvml")
    machine = Machine(build_library(folder), folder, monkeypatch)
    machine.model("h100")
    lost = machine.model("h100")
    workplace.write(
        load=ladder((10, 6), (20, 14)),
        slos=[
            {"name": "fast", "metric": "latency_seconds", "stat": "p50", "limit": 0.5, "at_qps": 20}
        ],
    )

    child = workplace.drive()
    workplace.await_stage("run_load_2")
    time.sleep(4)
    lost.error = LOST
    output, _ = child.communicate(timeout=200)

    assert child.returncode == 4, output
    cell = workplace.results / "cells" / workplace.cells()[0]
    verdicts = read_json(workplace.results / "verdicts.json", "verdicts")
    assert {row["verdict"] for row in verdicts["slos"]} == {"INVALID"}
    gates = {row["step"]: row for row in verdicts["gates"] if row["gate"] == "gpu_samples"}
    assert (gates[1]["outcome"], gates[2]["outcome"]) == ("pass", "fail")
    assert gates[2]["detail"].startswith("GPU 1 could not be read for up to")
    series = pd.read_parquet(cell / "series.parquet")
    series = series[series.step == 2]
    up = series[series.metric == "up"]
    assert up[up.labels.str.contains('"job":"gpu"')].value.eq(1).all()  # the exporter went on
    of_gpu = series[series.metric == "escalade_gpu_up"]
    assert of_gpu[of_gpu.labels.str.contains('"gpu":"0"')].value.eq(1).all()
    assert of_gpu[of_gpu.labels.str.contains('"gpu":"1"')].value.iloc[-1] == 0
    errors = series[series.metric == "escalade_gpu_errors_total"]
    assert errors.value.max() >= 5
    kpis = pd.read_parquet(workplace.results / "kpis.parquet")
    power = kpis[(kpis.metric == "power_watts") & kpis.source.str.contains("gpu")].set_index("step")
    assert power.value[1] > 0
    assert power.quality[2].startswith("missing: power invalid")
    assert workplace.processes() == []
