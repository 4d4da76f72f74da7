"""Requests leave when they are planned, whatever the service does."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from escalade.analysis.kpis.table import cell_kpis
from escalade.analysis.measured.cell import CellData, Slo
from escalade.analysis.verdicts.judge import judge
from escalade.monitoring.collector import empty_series

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

pytestmark = pytest.mark.alone
HTTP_USER = """
from locust import HttpUser, task


class Requests(HttpUser):
    @task
    def send(self):
        self.client.get("/")
"""
"""Makes a thousand requests a second on one core, at most."""


def rate(times: pd.Series) -> float:
    """Give (N - 1) / (last - first), in 1/s."""
    return float((len(times) - 1) / (times.max() - times.min()))


def variation(times: pd.Series) -> float:
    """Give the coefficient of variation of the gaps."""
    gaps = np.diff(np.sort(times))
    return float(gaps.std() / gaps.mean())


@pytest.mark.parametrize("qps", [10, 100, 500])
def test_rate_and_gaps_are_those_of_the_schedule(
    qps: int, start_truth: Callable[..., Any], plan_step: Any, run: Any
) -> None:
    for _ in range(3):  # neighbours may take the cores: the claim is about the instrument
        truth = start_truth()
        done = run(plan_step(truth.url, qps, 3.0, warmup_seconds=1.0))
        check_every_request(done, truth, qps)
        sent, planned = done.requests.sent_at, done.requests.planned_at
        error = rate(sent) / rate(planned) - 1
        if abs(error) < 0.001 and abs(variation(sent) - variation(planned)) < 0.05:
            return
    if done.outcome["client"]["event_loop_lag_seconds"]["p99"] > 0.01:
        pytest.skip("the machine is too busy to tell: the event loop itself is 10 ms late")
    pytest.fail(f"three times off the schedule, at last by {error:+.2%}")


def check_every_request(done: Any, truth: Any, qps: int) -> None:
    """Check what holds on any machine: each request once, in order, in its phase."""
    assert done.outcome["outcome"] == "measured"
    assert done.outcome["drained"] is True
    assert done.outcome["planned"] == {"warmup": qps, "window": 3 * qps}
    assert len(done.requests) == len(truth.lines()) == 4 * qps
    assert done.requests.error.isna().all()
    assert (done.requests.sent_at >= done.requests.planned_at).all()
    start, end = done.outcome["window_start"], done.outcome["window_end"]
    in_window = done.requests.planned_at.between(start, end, inclusive="left")
    assert (in_window == (done.requests.phase == "window")).all()
    joined = done.joined(truth).sort_values("arrival_unix")
    assert sorted(joined.payload_id) == sorted(done.requests.payload_id)
    swapped = sum(one > other for one, other in pairwise(joined.payload_id))
    assert swapped < 0.2 * len(joined)  # two within a millisecond may overtake each other


@pytest.mark.parametrize(
    ("seconds", "p99"), [(5, 0.95), pytest.param(20, 0.80, marks=pytest.mark.slow)]
)
def test_a_frozen_second_shows_in_the_percentile(
    seconds: int, p99: float, start_truth: Any, plan_step: Any, run: Any
) -> None:
    truth = start_truth("--freeze-at-seconds", "2", "--freeze-seconds", "1")
    done = run(plan_step(truth.url, 100, seconds, arrivals="constant"))
    latency = done.requests.ended_at - done.requests.planned_at
    service = done.requests.ended_at - done.requests.sent_at

    # 1 % of n requests at 100/s were planned in the first n/100 ms of the frozen second.
    assert latency.quantile(0.99) == pytest.approx(p99, rel=0.15)
    assert (latency > 0.1).sum() == pytest.approx(90, abs=25)
    assert latency.sum() >= service.sum()
    assert done.requests.error.isna().all()


@pytest.mark.slow
def test_overload_ends_at_the_capacity_of_a_known_queue(
    start_truth: Any, plan_step: Any, run: Any
) -> None:
    truth = start_truth("--slots", "4", "--service-seconds", "0.05")  # 80/s at most
    done = run(plan_step(truth.url, 120, 8.0, warmup_seconds=1.0, drain_timeout_seconds=10.0))
    start, end = done.outcome["window_start"], done.outcome["window_end"]
    completed = done.requests.ended_at.between(start, end, inclusive="left").sum()

    assert completed / (end - start) == pytest.approx(80, rel=0.03)
    assert done.requests.error.isna().all()


def test_a_stopped_client_says_so_and_sends_late_what_it_missed(
    start_truth: Any, plan_step: Any, run: Any, client_of: Any
) -> None:
    truth = start_truth()
    step = plan_step(truth.url, 50, 6.0)
    since: list[float] = []

    def stop_for_three_seconds() -> None:
        client = client_of(step)
        if client and step.started_file.exists() and not since:
            since.append(time.monotonic())
            client.suspend()
        elif client and since and time.monotonic() - since[0] >= 3:
            client.resume()

    done = run(step, stop_for_three_seconds)

    assert done.outcome["outcome"] == "measured"
    assert done.outcome["client"]["suspended_seconds"] == pytest.approx(3, abs=1.5)
    late = (done.requests.sent_at - done.requests.planned_at) > 0.2
    assert 100 < late.sum() < 250  # 3 s at 50/s
    assert done.requests.error.isna().all()
    assert len(truth.lines()) == 300


def test_a_client_that_can_not_keep_up_is_client_limited_and_no_slow_service(
    start_truth: Any, plan_step: Any, run: Any, tmp_path: Path
) -> None:
    own = tmp_path / "requests_based.py"
    own.write_text(HTTP_USER)
    truth = start_truth()  # answers at once
    step = plan_step(truth.url, 3000, 2.0, workload=str(own), drain_timeout_seconds=20.0)

    done = run(step)
    slo = Slo("fast", "latency_seconds", "p90", 0.05)
    data = CellData(
        cell={"cell": "own_rep-1_0", "deployment": "own", "repetition": 1},
        windows={"scrape_interval_seconds": 1.0, "steps": [done.outcome]},
        requests=done.requests,
        series=empty_series(),
        environment={"metric_names": {}, "agreement": None, "gpus": [], "gpu_note": None},
    )
    verdicts = judge(cell_kpis(data, [slo]), [data], [slo])

    (verdict,) = [row for row in verdicts["slos"] if row["step"] == 1]
    assert verdict["verdict"] == "INVALID"
    assert verdict["reason"].startswith("client_limited, gate late_ratio")
    assert "raise load.workers" in verdict["reason"]
    (capacity,) = [row for row in verdicts["capacity"] if row["cell"]]
    assert capacity["capacity_qps"] is None  # such a step is no point of any fit
