"""docs/metrics.md and the code say the same."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from escalade.analysis.gates.calibration import not_calibrated
from escalade.analysis.gates.table import cell_gates
from escalade.analysis.kpis.catalogue import METRICS, Metric
from escalade.analysis.kpis.clock_points import CLOCK_POINTS, clock_points
from escalade.analysis.kpis.table import SUMMARY, cell_kpis
from escalade.analysis.stats.sample_floors import sample_floor
from unit.analysis.builders import cell, closed_step, ladder, series_frame

PAGE = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text(encoding="utf-8")


def row_of(metric: Metric) -> str:
    cells = (
        f"`{metric.name}`",
        ", ".join(metric.stats),
        metric.unit,
        metric.direction,
        metric.formula,
        metric.source,
        metric.interval,
    )
    return f"| {' | '.join(cells)} |"


def section_of(title: str, level: str = "##") -> str:
    return re.split(rf"\n{level} {re.escape(title)}\n", PAGE)[1].split(f"\n{level} ")[0]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_documented_as_it_is(metric: Metric) -> None:
    expected = row_of(metric)

    assert expected in section_of(metric.section, "###").splitlines(), (
        f"docs/metrics.md lacks the row\n{expected}"
    )


def test_nothing_is_documented_that_does_not_exist() -> None:
    documented = re.findall(r"^\| `(\w+)` ", section_of("KPIs"), flags=re.MULTILINE)

    assert documented == [metric.name for metric in METRICS]


def test_the_clock_points_of_every_metric_are_documented_as_they_are() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section_of("Clock points"), flags=re.MULTILINE)

    assert rows == [(metric.name, clock_points(metric)) for metric in METRICS]
    assert set(CLOCK_POINTS) <= {metric.name for metric in METRICS}


def test_every_gate_is_documented_with_whether_it_invalidates() -> None:
    plain = ladder([4.0], seconds=12.0)
    opened = replace(
        plain,
        calibration=not_calibrated("not tried"),
        environment={**plain.environment, "gpus": [{"uuid": "GPU-0"}]},
    )
    counters = series_frame(
        [
            (1, "up", '{"instance": "127.0.0.1:9000", "job": "load"}', 0.0, 1.0),
            (1, "escalade_gpu_up", '{"uuid": "GPU-0"}', 0.0, 1.0),
        ]
    )
    opened = replace(opened, series=pd.concat([opened.series, counters], ignore_index=True))
    gates = {
        row["gate"]: row["invalidates"]
        for data in (cell(closed_step(2, [(0.0, 1.0)])), opened)
        for row in cell_gates(data, cell_kpis(data))
    }

    rows = re.findall(r"^\| `(\w+)` \|.*\| (\w+) \|$", section_of("Gates"), flags=re.MULTILINE)

    assert dict(rows) == {name: "invalidates" if hard else "flags" for name, hard in gates.items()}


def test_every_interval_method_in_the_table_of_kpis_is_documented() -> None:
    methods = {
        method for method in cell_kpis(ladder([4.0, 14.0], seconds=30.0))["ci_method"] if method
    }

    for method in methods:
        assert re.split(r"[,:]| over | × ", method)[0] in PAGE, method


def test_the_sample_floors_are_those_of_the_code() -> None:
    stated = section_of("Intervals").replace(",", "")

    for name, share in {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}.items():
        assert re.search(rf"\b{sample_floor(share)} \({re.escape(name)}\)", stated), name


def test_the_columns_of_the_summary_are_documented() -> None:
    for column in SUMMARY:
        assert f"`{column}`" in section_of("metrics_summary.csv")
