"""What a real Prometheus scraped comes out as it was scraped."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import requests

from escalade.errors import InfrastructureError
from escalade.monitoring import client as client_module
from escalade.monitoring import collector, faults, manager
from escalade.monitoring.client import PrometheusClient
from escalade.monitoring.registry import Registry
from escalade.monitoring.windows.gather import collect
from escalade.monitoring.windows.queries import Questions
from escalade.monitoring.windows.window import Wanted, choose
from escalade.runtime import tools

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Cell

NODE_UP = 'up{job="node"}'


def window_of(cell: Cell, length: int) -> tuple[float, float]:
    """Give the timestamps of two scrapes that are `length` scrapes apart."""
    with cell.client() as client:
        now = time.time()
        stamps = client.raw_samples(NODE_UP, now - 60, now)["timestamp"].tolist()
    assert len(stamps) > length
    return stamps[-1 - length], stamps[-1]


def test_raw_samples_begin_at_the_start_and_stop_before_the_end(cell: Cell) -> None:
    start, end = window_of(cell, 4)
    with cell.client() as client:
        found = client.raw_samples(NODE_UP, start, end)["timestamp"].tolist()

    assert found[0] == start
    assert len(found) == 4
    assert found[-1] < end
    assert np.allclose(np.diff([*found, end]), 1.0, atol=0.1)


def test_all_samples_of_one_scrape_have_one_timestamp(cell: Cell) -> None:
    start, end = window_of(cell, 3)
    with cell.client() as client:
        found = client.raw_samples('{job="node"}', start, end)

    assert found["timestamp"].nunique() == 3
    assert found.groupby(["metric", "labels"]).size().eq(3).all()


def test_pieces_join_without_a_gap_or_a_double(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    start, end = window_of(cell, 4)
    with cell.client() as client:
        whole = client.raw_samples('{job="node"}', start, end)
        monkeypatch.setattr(client_module, "_SAMPLES_PER_ANSWER", 500)
        monkeypatch.setattr(client_module, "_FIRST_PIECE_SECONDS", 0.3)
        assert client.raw_samples('{job="node"}', start, end).equals(whole)


def test_every_metric_that_is_kept_of_the_node_is_there(cell: Cell) -> None:
    start, end = window_of(cell, 3)
    outcome = {"step": 1, "started_at": start, "window_end": end, "drained_at": end}
    with cell.client() as client:
        series = collector.window_series(client, outcome, collector.selectors(), 0.0)

    kept = {*collector.NODE_METRICS, *collector.SCRAPE_METRICS}
    own = {name for name in series["metric"] if name.startswith("escalade_")}
    assert set(series["metric"]) == kept | own
    assert "escalade_process_cpu_seconds_total" in own
    ups = series[series["metric"] == "up"]
    jobs = ups["labels"].map(lambda labels: json.loads(labels)["job"])
    assert ups.groupby(jobs)["value"].max().to_dict() == {
        "dead": 0,
        "late": 0,
        "node": 1,
        "process": 1,
    }


def test_no_data_is_no_row_and_no_value(cell: Cell) -> None:
    with cell.client() as client:
        assert client.value("nothing_of_that_name") is None
        assert client.instant("nothing_of_that_name").empty
        assert client.raw_samples(NODE_UP, 1000, 2000).empty
        assert client.value(f"sum_over_time({NODE_UP}[1s])", at=1000) is None


def test_a_range_is_sampled_on_its_grid(cell: Cell) -> None:
    start, end = window_of(cell, 3)
    with cell.client() as client:
        found = client.range(NODE_UP, start, end, 0.5)

    assert np.allclose(found["timestamp"], np.arange(len(found)) * 0.5 + start, atol=1e-3)
    assert len(found) == int((end - start) / 0.5 + 1e-6) + 1


def test_prometheus_explains_what_is_wrong_with_a_query(
    cell: Cell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "_STEPS_PER_ANSWER", 20_000)
    with cell.client() as client:
        with pytest.raises(faults.BadQueryError, match=r"1:5: parse error: "):
            client.value("sum(")
        with pytest.raises(faults.BadQueryError, match=r"same labelset"):
            client.value('count_over_time({__name__=~"up|scrape_duration_seconds"}[5s])')
        with pytest.raises(faults.TooManyPointsError, match=r"11,000 points per timeseries"):
            client.range("up", 0, 11_001, 1)


def test_an_answer_that_takes_too_long_is_a_timeout(cell: Cell) -> None:
    with (
        PrometheusClient(cell.state.url, timeout=0.001) as client,
        pytest.raises(faults.QueryTimeoutError),
    ):
        client.instant('count_over_time({job="node"}[1m:1ms])')


def test_prometheus_tells_about_itself(cell: Cell) -> None:
    with cell.client() as client:
        assert client.ready()
        assert client.build_info()["version"] == cell.state.version
        assert client.flags()["query.lookback-delta"] == "5s"


def test_strange_label_values_arrive_as_they_are(cell: Cell) -> None:
    with cell.client() as client:
        [node] = [target for target in client.targets() if target.job == "node"]

    [wanted] = [target for target in cell.registry.targets if target.job == "node"]
    assert {name: node.labels[name] for name in wanted.labels} == dict(wanted.labels)
    check = [tools.find("promtool").path, "check", "config", cell.state.config]
    subprocess.run(check, check=True, capture_output=True, timeout=30)


def test_promtool_finds_nothing_to_say_about_the_process_exporter(cell: Cell) -> None:
    [process] = [target for target in cell.registry.targets if target.job == "process"]
    page = requests.get(f"http://{process.address}/metrics", timeout=5).content
    check = [tools.find("promtool").path, "check", "metrics"]
    done = subprocess.run(check, input=page, capture_output=True, check=False, timeout=30)

    assert b'escalade_process_cpu_seconds_total{role="exporter",step="node"}' in page
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_dead_target_is_named_with_the_error_of_its_last_scrape(cell: Cell) -> None:
    [dead] = [target for target in cell.registry.targets if target.job == "dead"]

    with pytest.raises(InfrastructureError) as caught:
        manager.await_up(cell.state, Registry([*cell.up.targets, dead]), 0.1)

    assert "1 of 3 targets are not up" in str(caught.value)
    assert f"dead (http://{dead.address}/metrics): " in str(caught.value)
    assert "connection refused" in str(caught.value)


@pytest.mark.usefixtures("late_server")
def test_a_target_that_starts_late_is_awaited(cell: Cell) -> None:
    waited = manager.await_up(cell.state, Registry([cell.late]), 20)

    assert 0 < waited < 20
    with cell.client() as client:
        assert client.value("late") == 1


def test_a_window_of_it_is_covered_and_its_samples_are_those_of_the_scrapes(
    cell: Cell, tmp_path: Path
) -> None:
    with cell.client() as client:
        chosen = choose(client, Wanted(last="4s"), lambda _: None)
        found = collect(client, chosen, Questions(), tmp_path / "out", "live")
        window = chosen.window
        expected = client.raw_samples('{job="node"}', window.start, window.end - 1)

    covered = {target["job"]: target["coverage"] for target in found.content["targets"]}
    assert covered["node"] >= 0.75  # a scrape may be under way
    assert covered["dead"] == 0
    busy = next(row for row in found.rows if row.metric == "cpu_utilization")
    assert busy.value is not None
    assert 0 <= busy.value <= 1
    raw = pd.read_parquet(tmp_path / "out" / "raw.parquet")
    kept = raw[raw["labels"].str.contains('"job":"node"') & (raw["timestamp"] < window.end - 1)]
    assert len(kept) == len(expected) > 0


def test_it_tells_what_it_knows_of_targets_and_metrics(cell: Cell) -> None:
    with cell.client() as client:
        targets = {target.job: target for target in client.targets()}
        facts = client.metadata("node_load1")
        jobs = client.label_values("job", "up")
        skew = abs(client.now() - time.time())

    last = targets["node"].last_scrape
    assert last is not None
    assert abs(time.time() - last) < 5
    assert targets["node"].last_scrape_seconds is not None
    assert facts["node_load1"].kind == "gauge"
    assert jobs == ["dead", "late", "node", "process"]
    assert skew < 1
    assert client.rules() == []
    assert client.alerts() == []
