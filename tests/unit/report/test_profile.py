"""The figure of fine readings: peaks stay, gaps are open, many GPUs are a band."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from escalade.report.charts import profile
from escalade.report.data import ReportData
from unit.report import campaign

BEGAN = 100.0


def readings(values: dict[str, list[float]], interval: float = 0.1) -> pd.DataFrame:
    """Give the profile of GPUs, each with its utilisation in percent at each moment; NaN: not read."""
    rows = [
        {
            "frame_id": place,
            "timestamp": pd.Timestamp((BEGAN + place * interval) * 1000, unit="ms", tz="UTC"),
            "gpu_id": gpu,
            "gpu_util": value,
            "gpu_memory_used": 2.0**30,
            "power": 300.0,
        }
        for gpu, found in values.items()
        for place, value in enumerate(found)
        if not math.isnan(value)
    ]
    frame = pd.DataFrame(rows)
    return frame.assign(timestamp=frame["timestamp"].astype("datetime64[ms, UTC]"))


def data(frame: pd.DataFrame | None, profiling: dict[str, Any] | None = None) -> ReportData:
    times = {"started_at": BEGAN, "window_start": 105.0, "window_end": 115.0, "drained_at": 120.0}
    steps = [{"step": 1, "target_qps": 2.0, "outcome": "measured", **times}]
    cell = campaign.CellData(
        cell={"cell": "a", "deployment": "a", "repetition": 1, "outcome": "finished"},
        windows={
            "scrape_interval_seconds": 1.0,
            "steps": steps,
            "profiling": profiling or {"interval_ms": 100, "frames": 200, "late": 0},
        },
        requests=pd.DataFrame(),
        series=pd.DataFrame(),
        environment={},
        profile=frame,
    )
    return ReportData({}, pd.DataFrame(), {}, [cell], {})


def use(found: ReportData, most: int = 1200) -> list[Any]:
    """Give the lines of utilisation."""
    (cell,) = found.facts
    assert cell.profile is not None
    seconds = cell.profile["timestamp"].astype("int64").to_numpy() / 1000
    frame = cell.profile.assign(at=seconds, number=cell.profile["gpu_id"].astype(str))
    panel = profile._panel(cell, frame, profile._PANELS[0], 0.1, most)
    assert panel is not None
    return list(panel.traces)


def test_a_spike_of_one_reading_among_many_is_drawn() -> None:
    values = [10.0] * 20_000
    values[12_345] = 97.0
    (trace,) = use(data(readings({"n1:0:H100": values}, 0.001)), most=200)

    assert len(trace.points) <= 200
    assert max(value for _, value in trace.points) == pytest.approx(0.97)
    at = max(trace.points, key=lambda point: point[1])[0]
    assert at == pytest.approx(12.345)


def test_a_gap_is_open_and_short_ones_are_not() -> None:
    values = [50.0] * 100
    values[20] = math.nan
    values[50:60] = [math.nan] * 10
    (trace,) = use(data(readings({"n1:0:H100": values})))

    assert [(round(a, 3), round(b, 3)) for a, b in trace.gaps] == [(4.9, 6.0)]
    assert sum(math.isnan(value) for _, value in trace.points) == 1


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["n1:0:H100"], ["GPU utilisation"]),
        (["n1:0:H100", "n1:1:H100"], ["GPU 0", "GPU 1"]),
        (["n1:0:H100", "n2:0:H100"], ["GPU 0 of n1", "GPU 0 of n2"]),
        ([f"n1:{gpu}:H100" for gpu in range(8)], ["median", "lowest", "highest"]),
    ],
)
def test_few_gpus_have_lines_and_many_a_band(names: list[str], labels: list[str]) -> None:
    found = {name: [10.0 * (place + 1)] * 50 for place, name in enumerate(names)}
    traces = use(data(readings(found)))

    assert [trace.label for trace in traces] == labels
    if len(names) == 8:
        levels = [np.nanmean([value for _, value in trace.points]) for trace in traces]
        assert levels == pytest.approx([0.45, 0.1, 0.8])


def test_the_caption_says_how_often_and_what_came_too_late() -> None:
    found = data(
        readings({"n1:0:H100": [50.0] * 200}), {"interval_ms": 100, "frames": 200, "late": 3}
    )
    (chart,) = profile.profile_charts(found)

    words = chart.caption.replace("\u00a0", " ")
    assert "every 0.1 s" in words
    assert "200 moments, 200 readings in all; 3 readings came too late" in words
    assert chart.key == "profile-1"
    assert "NVLink" not in str(chart.svg), "what was not read is not drawn"


def test_without_a_profile_there_is_no_figure_and_a_reason_where_one_was_wanted() -> None:
    assert profile.profile_charts(data(None)) == []
    assert profile.profile_notes(data(None)) == []
    wanted = data(None, {"interval_ms": 100, "missing": "no driver"})
    assert profile.profile_notes(wanted) == ["In a no GPU was profiled: No driver."]


def test_a_page_of_many_cells_keeps_fewer_points_of_each() -> None:
    found = data(
        readings(
            {f"n1:{gpu}:H100": [float(k * 37 % 90) for k in range(5000)] for gpu in (0, 1)}, 0.004
        )
    )
    (cell,) = found.facts
    assert cell.profile is not None
    few = profile._chart(cell, cell.profile, 1)
    many = profile._chart(replace(cell), cell.profile, 20)

    assert len(str(many.svg)) < len(str(few.svg)) / 2
