"""A step that is decided ends before its time, against a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from escalade.files import read_table
from escalade.load.hopeless import Bound
from escalade.load.records import SCHEMA
from escalade.load.step import run_step

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.load.generator import LoadGenerator
    from escalade.load.plan import LoadStep
    from integration.load.conftest import Ran, Truth

SECONDS = 30.0
PLANNED = 900
SLOW = ("--slots", "1", "--service-seconds", "0.05")
"""A server for 20 requests/s, which gets 30."""
LATE = Bound("fast", "latency_seconds", 0.5, 90, PLANNED)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hopeless_step_is_given_up_and_keeps_what_it_saw(
    start_truth: Callable[..., Truth],
    plan_step: Callable[..., LoadStep],
    forker: LoadGenerator,
    workers: int,
) -> None:
    truth = start_truth(*SLOW)
    patient = {"drain_timeout_seconds": 60, "request_timeout_seconds": 60}
    step = plan_step(truth.url, 30, SECONDS, bounds=(LATE,), workers=workers, **patient)

    outcome = run_step(step, forker, truth.watch, step.scratch / "progress.json")
    log = pd.concat(read_table(w.requests_file, "log", SCHEMA.names) for w in step.each())

    window = outcome["window_end"] - outcome["window_start"]
    told = outcome["abandoned"]
    assert outcome["outcome"] == "abandoned"
    assert 3 < window < 0.7 * SECONDS  # 91 requests come in 3 s; the queue has to grow first
    assert told["count"] > LATE.most
    assert told["planned_end"] - outcome["window_start"] == pytest.approx(SECONDS)
    assert "decide it" in outcome["cause"]
    assert len(log) == PLANNED
    inside = log[log["planned_at"] < outcome["window_end"] - 1e-4]
    rest = log[log["planned_at"] > outcome["window_end"] + 1.5]  # the workers stop by themselves
    assert inside["error"].isna().all()  # what was sent is awaited, and is no error
    assert set(rest["error"]) == {"not_sent"}
    assert (inside["ended_at"] - inside["planned_at"] > LATE.limit).sum() >= told["count"]
    assert outcome["drained"] is True


def test_a_step_that_keeps_its_bounds_runs_to_its_end(
    start_truth: Callable[..., Truth],
    plan_step: Callable[..., LoadStep],
    run: Callable[..., Ran],
) -> None:
    truth = start_truth("--slots", "0", "--service-seconds", "0.005")
    bounds = (Bound("fast", "latency_seconds", 5.0, 3, 60), Bound("up", "error_ratio", 0.1, 6, 60))

    ran = run(plan_step(truth.url, 20, 3.0, bounds=bounds))

    assert ran.outcome["outcome"] == "measured"
    assert "abandoned" not in ran.outcome
    assert ran.requests["error"].isna().all()


def test_failures_alone_can_decide_a_step(
    start_truth: Callable[..., Truth],
    plan_step: Callable[..., LoadStep],
    run: Callable[..., Ran],
) -> None:
    truth = start_truth("--error-ratio", "1", "--service-seconds", "0.001")

    ran = run(plan_step(truth.url, 20, 20.0, bounds=(Bound("up", "error_ratio", 0.05, 40, 400),)))

    assert ran.outcome["outcome"] == "abandoned"
    assert "failed" in ran.outcome["cause"]
    assert 40 < (ran.requests["error"] == "http_5xx").sum() < 300


def test_what_a_server_keeps_waiting_counts_before_it_ends(
    start_truth: Callable[..., Truth],
    plan_step: Callable[..., LoadStep],
    run: Callable[..., Ran],
) -> None:
    """A server that answers nothing any more has no slow answer, and is hopeless all the same."""
    truth = start_truth("--freeze-at-seconds", "0.5", "--freeze-seconds", "12")

    ran = run(
        plan_step(truth.url, 20, 40.0, bounds=(Bound("fast", "latency_seconds", 1.0, 60, 800),))
    )

    assert ran.outcome["outcome"] == "abandoned"
    assert ran.outcome["window_end"] - ran.outcome["window_start"] < 11
