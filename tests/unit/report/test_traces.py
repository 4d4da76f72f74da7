"""Timelines: gaps, rates and counts from raw samples."""

from __future__ import annotations

import itertools
import json
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.report.charts import panels, traces
from escalade.report.charts.timelines import timeline_charts
from escalade.report.data import ReportData
from unit.report import campaign

if TYPE_CHECKING:
    from escalade.report.charts.traces import Panel
    from escalade.report.facts import CellFacts


def facts(cell: campaign.CellData) -> CellFacts:
    return ReportData({}, pd.DataFrame(), {}, [cell], {}).facts[0]


def cell_with(series: pd.DataFrame, requests: pd.DataFrame | None = None) -> CellFacts:
    """Give a cell whose only step lasts from 100 s to 120 s, its window from 105 s to 115 s."""
    times = {"started_at": 100.0, "window_start": 105.0, "window_end": 115.0, "drained_at": 120.0}
    steps = [{"step": 1, "target_qps": 2.0, "outcome": "measured", **times}]
    names = {"queue_length": "queue"}
    return facts(
        campaign.CellData(
            cell={"cell": "a", "deployment": "a", "repetition": 1, "outcome": "finished"},
            windows={"scrape_interval_seconds": 1.0, "steps": steps},
            requests=pd.DataFrame() if requests is None else requests,
            series=series,
            environment={"metric_names": names},
        )
    )


def samples(metric: str, points: dict[float, float], **labels: str) -> pd.DataFrame:
    text = json.dumps(labels, sort_keys=True, separators=(",", ":"))
    rows = {"metric": metric, "labels": text, "timestamp": points.keys(), "value": points.values()}
    return pd.DataFrame({name: list(v) if name[0] in "tv" else v for name, v in rows.items()})


def panel(cell: CellFacts, title: str) -> Panel:
    return next(panel for panel in panels.panels(cell) if panel.title == title)


def known(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(time, value) for time, value in points if not math.isnan(value)]


def test_a_line_is_broken_where_samples_are_missing_and_never_falls_to_zero() -> None:
    values = {100.0: 5.0, 101.0: 5.0, 106.0: 7.0, 107.0: 7.0}
    found = panel(cell_with(samples("queue", values)), "Queue length").traces[0]

    assert found.gaps == ((1.0, 6.0),)
    assert known(found.points) == [(0.0, 5.0), (1.0, 5.0), (6.0, 7.0), (7.0, 7.0)]
    assert sum(math.isnan(value) for _, value in found.points) == 1


def test_the_pause_between_two_steps_breaks_the_line_and_is_no_gap() -> None:
    points, gaps = traces.broken(pd.Series([1.0, 2.0], index=[0.0, 3.0]), 3.0)
    assert (len(points), gaps) == (2, [])

    points, gaps = traces.broken(pd.Series([1.0, 2.0], index=[0.0, 3.5]), 3.0)
    assert (len(points), gaps) == (3, [(0.0, 3.5)])


@given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=30))
def test_every_gap_and_nothing_else_breaks_a_line(steps: list[float]) -> None:
    times = np.cumsum([0.0, *steps])
    points, gaps = traces.broken(pd.Series(np.ones(len(times)), index=times), 3.0)

    assert len(gaps) == sum(later - earlier > 3.0 for earlier, later in itertools.pairwise(times))
    assert len(known(points)) == len(times)


def test_cpu_is_the_growth_of_the_counter_and_a_restart_gives_no_rate() -> None:
    values = {100.0: 10.0, 101.0: 10.5, 102.0: 11.5, 103.0: 0.2, 104.0: 0.7}
    series = pd.concat(
        [
            samples("escalade_process_cpu_seconds_total", values, role="service"),
            samples("escalade_process_cpu_seconds_total", {100.0: 0.0, 101.0: 9.0}, role="load"),
        ]
    )

    found = panel(cell_with(series), "Service CPU").traces[0]

    assert known(found.points) == [
        (1.0, pytest.approx(0.5)),
        (2.0, pytest.approx(1.0)),
        (4.0, pytest.approx(0.5)),
    ]


def test_node_cpu_leaves_out_what_is_idle_waiting_or_stolen() -> None:
    modes = {"user": 0.25, "idle": 0.5, "iowait": 0.125, "steal": 0.125}
    series = pd.concat(
        [
            samples("node_cpu_seconds_total", {100.0: 7.0, 101.0: 7.0 + share}, cpu="0", mode=mode)
            for mode, share in modes.items()
        ]
    )

    found = panel(cell_with(series), "Node CPU").traces[0]

    assert known(found.points) == [(1.0, pytest.approx(0.25))]


def requests(*rows: dict[str, Any]) -> pd.DataFrame:
    empty = {"step": 1, "sent_at": math.nan, "ended_at": math.nan}
    return pd.DataFrame([{**empty, **row} for row in rows])


def test_a_request_that_never_ended_stays_in_flight_until_the_drain() -> None:
    log = requests({"sent_at": 106.0, "ended_at": 108.0}, {"sent_at": 107.0}, {})
    found = panel(cell_with(pd.DataFrame(), log), "Requests in flight").traces[0]

    assert found.points == [(6.0, 1.0), (7.0, 2.0), (8.0, 1.0), (20.0, 0.0)]


def test_rates_count_every_request_once() -> None:
    times = [100.0, 100.5, 103.9, 111.0, 119.9]
    cell = cell_with(pd.DataFrame(), requests(*({"sent_at": t, "ended_at": t} for t in times)))
    width = panels.bin_seconds(cell)
    sent = next(
        trace for trace in panel(cell, "Arrivals and completions").traces if trace.label == "sent"
    )
    steps = known(sent.points)

    counted = sum(rate * (end - start) for (start, rate), (end, _) in itertools.pairwise(steps))

    assert width == 2.0  # a quarter of the window of 10 s, rounded down
    assert counted == pytest.approx(len(times))


def test_thinning_keeps_the_peak() -> None:
    cell = campaign.simulated_cell(rates=(30.0,))
    found = panel(facts(cell), "Requests in flight").traces[0]
    log = cell.requests
    edges = sorted([(t, 1) for t in log["sent_at"]] + [(t, -1) for t in log["ended_at"]])

    assert len(found.points) <= 1000 < len(edges)
    assert max(value for _, value in found.points) == max(np.cumsum([step for _, step in edges]))


def test_what_was_not_sampled_says_so_instead_of_showing_zero() -> None:
    found = panels.panels(
        cell_with(pd.DataFrame(columns=["metric", "labels", "timestamp", "value"]))
    )

    assert all(panel.missing and not panel.traces for panel in found)
    silent = replace(cell_with(pd.DataFrame()), environment={})
    assert panel(silent, "Queue length").missing == "the service publishes no queue length"


def test_a_mean_over_a_window_without_samples_is_unknown() -> None:
    trace = traces.Trace("x", [(0.0, 1.0), (1.0, math.nan), (2.0, 3.0)])

    assert trace.mean(0.0, 2.0) == 1.0  # half-open: the sample at 2.0 is outside
    assert math.isnan(trace.mean(5.0, 9.0))


def test_a_sample_that_is_stored_with_two_steps_counts_once() -> None:
    once = samples("queue", {100.0: 1.0, 101.0: 2.0, 102.0: 3.0})
    twice = pd.concat([once.assign(step=1), once.iloc[1:].assign(step=2)])

    (trace,) = panel(cell_with(twice), "Queue length").traces

    assert [value for _, value in trace.points] == [1.0, 2.0, 3.0]


def test_the_plan_of_a_ramp_is_drawn_as_its_schedule_has_it() -> None:
    early = [{"planned_at": 100.5 + k / 10, "sent_at": 101.0, "ended_at": 102.0} for k in range(8)]
    late = [{"planned_at": 114.0, "sent_at": 114.0, "ended_at": 115.0}]
    cell = cell_with(pd.DataFrame(), requests(*early, *late))
    ramp = replace(cell, steps=(replace(cell.steps[0], arrivals="ramp"),))

    def planned(of: CellFacts) -> list[float]:
        line = next(t for t in panel(of, "Arrivals and completions").traces if t.label == "planned")
        return [value for _, value in line.points if not math.isnan(value)]

    assert set(planned(cell)) == {2.0}  # the rate of the step
    rates = planned(ramp)
    assert rates[0] == max(rates) > 2.0
    assert min(rates) == 0.0


def test_each_gpu_has_its_line_and_many_are_their_mean_lowest_and_highest() -> None:
    two = facts(campaign.with_gpus(campaign.simulated_cell(rates=(1.0,)), 2))
    many = facts(campaign.with_gpus(campaign.simulated_cell(rates=(1.0,)), 9))

    shown = panel(two, "GPU memory")
    assert [trace.label for trace in shown.traces] == ["GPU 0", "GPU 1"]
    assert [known(trace.points)[0][1] for trace in shown.traces] == [8 * 2.0**30, 9 * 2.0**30]
    lines = {
        trace.label: known(trace.points)[0][1] for trace in panel(many, "GPU utilisation").traces
    }
    # 0.4, 0.5 ... 1.2
    assert lines == {
        "mean": pytest.approx(0.8),
        "lowest": pytest.approx(0.4),
        "highest": pytest.approx(1.2),
    }


def test_the_network_is_that_of_the_busiest_link_and_not_a_sum() -> None:
    cell = facts(campaign.with_gpus(campaign.simulated_cell(rates=(1.0,)), 1, nodes=2))
    shown = panel(cell, "Network, ib0")

    received, sent = (known(trace.points)[-1][1] for trace in shown.traces)
    assert (received, sent) == (pytest.approx(5e6), pytest.approx(15e6))
    assert panel(facts(campaign.simulated_cell(rates=(1.0,))), "GPU power").missing == "no GPU"


def test_a_hole_in_the_samples_is_named_and_what_was_not_measured_said_in_one_sentence() -> None:
    cell = campaign.simulated_cell(rates=(1.0, 2.0), away=2)
    data = ReportData({}, pd.DataFrame(), {}, [cell], {})
    (chart,) = timeline_charts(data)

    # the hole begins 15 s after the second step and lasts 8 s
    start = cell.windows["steps"][1]["started_at"] - cell.windows["steps"][0]["started_at"] + 15.0
    found = re.search(r"missing where .*: queue length.* from ([\d.]+) to ([\d.]+)", chart.caption)
    assert found is not None
    assert float(found[1]) == pytest.approx(start, abs=1.1)
    assert float(found[2]) == pytest.approx(start + 8.0, abs=1.1)
    assert chart.caption.count("Not available:") == 1
    assert "GPU utilisation, GPU memory and GPU power (no GPU)" in chart.caption
    assert "GPU" not in str(chart.svg)


def test_a_long_line_of_samples_is_thinned_and_keeps_peaks_and_breaks() -> None:
    times = [100.0 + 0.004 * place for place in range(2000)]
    times += [118.0 + 0.001 * place for place in range(100)]
    values = dict.fromkeys(times, 1.0)
    values[times[777]] = 50.0
    found = panel(cell_with(samples("queue", values)), "Queue length").traces[0]

    assert len(found.points) < 1300
    assert max(value for _, value in known(found.points)) == 50.0
    assert found.gaps == ((pytest.approx(7.996), pytest.approx(18.0)),)
    assert sum(math.isnan(value) for _, value in found.points) == 1


def test_power_of_the_cpus_is_the_growth_of_their_counters_of_energy() -> None:
    energy = {100.0: 500.0, 101.0: 530.0, 102.0: 570.0}
    found = panel(cell_with(samples("node_rapl_package_joules_total", energy)), "CPU power")

    (only,) = found.traces
    assert only.label == "packages"
    assert [value for _, value in known(only.points)] == [30.0, 40.0]
