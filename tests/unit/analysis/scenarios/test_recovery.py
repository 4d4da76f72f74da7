"""What a kill costs, by the request log: times and losses that a hand can count."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.analysis.scenarios.recovery import recovery_rows
from unit.analysis.builders import EPOCH, GOOD_CLIENT, Request, Step, cell

START = EPOCH + 5.0
"""Of the first step's window."""


def killed(
    requests: list[Request],
    at: float | None = 10.0,
    restarted: float | None = 12.0,
    repetition: int = 1,
    **facts: Any,
) -> Any:
    """Give a cell whose service was killed so many seconds after its window's start."""
    told = {
        "killed_at": None if at is None else START + at,
        "restarted_at": None if restarted is None else START + restarted,
        **facts,
    }
    step = Step(requests, seconds=30.0, client=GOOD_CLIENT, load={"failure": told})
    return cell(step, repetition=repetition)


def outage(begin: float = 10.0, end: float = 13.0, answer: float = 0.2) -> list[Request]:
    """Give a request a second; those planned between begin and end are refused after 10 ms."""
    return [
        Request(float(at), latency=0.01, error="connection")
        if begin <= at < end
        else Request(float(at), latency=answer)
        for at in range(30)
    ]


def one(*arguments: Any, **settings: Any) -> dict[str, Any]:
    (row,) = recovery_rows([killed(*arguments, **settings)], [])
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    return row


def test_times_and_losses_are_those_of_the_log() -> None:
    row = one(outage())

    # killed at 10; 10, 11, 12 are refused after 0.01 s; 13 is answered at 13.2
    assert row["killed_seconds"] == pytest.approx(10.0)
    assert row["restarted_seconds"] == pytest.approx(2.0)
    assert row["detect_seconds"] == pytest.approx(0.01, abs=1e-5)
    assert row["first_answer_seconds"] == pytest.approx(3.2)
    assert row["recover_seconds"] == pytest.approx(3.2)
    assert (row["lost"], row["sent_after"], row["status"]) == (3, 20, "recovered")
    assert row["gap_seconds"] == pytest.approx(1.0)
    assert "this run only" in row["words"]


def test_a_request_in_flight_at_the_kill_is_lost_and_one_that_failed_before_is_not() -> None:
    requests = outage()
    requests[9] = Request(9.0, latency=1.5, error="connection")  # broken off at 10.5
    requests[3] = Request(3.0, latency=0.5, error="http_5xx")

    assert one(requests)["lost"] == 4


def test_a_request_that_never_ended_is_lost_and_tells_no_time() -> None:
    requests = outage(begin=10.0, end=11.0)
    requests[10] = Request(10.0, latency=None, error="aborted")

    row = one(requests)

    assert (row["lost"], row["detect_seconds"]) == (1, None)
    assert row["recover_seconds"] == pytest.approx(1.2)


def test_another_replica_answers_at_once_and_all_is_well_only_after_the_last_loss() -> None:
    requests = [
        Request(float(at), 0.01, error="connection")
        if at in (10, 12, 14)
        else Request(float(at), 0.2)
        for at in range(30)
    ]

    row = one(requests)

    assert row["first_answer_seconds"] == pytest.approx(1.2)  # 11 is answered at 11.2
    assert row["recover_seconds"] == pytest.approx(5.2)  # 15 is the first after 14


def test_a_service_that_stays_dead_never_recovers() -> None:
    row = one(outage(end=99.0), restarted=None)

    assert (row["status"], row["lost"]) == ("stays dead", 20)
    assert row["recover_seconds"] is None
    assert row["first_answer_seconds"] is None


def test_nothing_lost_is_said_and_no_time_made_up() -> None:
    row = one(outage(begin=50, end=50))

    assert (row["status"], row["lost"], row["recover_seconds"]) == ("nothing lost", 0, None)


def test_a_kill_that_never_came_is_undecided() -> None:
    row = one(outage(), at=None, restarted=None)

    assert row["status"] == "undecided"
    assert "ended before the service was to be killed" in row["words"]


def test_a_client_that_could_not_keep_up_decides_nothing() -> None:
    data = killed(outage())
    gate = {"cell": data.name, "step": 1, "gate": "gap_cv", "outcome": "fail", "detail": "uneven"}

    (row,) = recovery_rows([data], [gate])

    assert row["status"] == "undecided"
    assert "client_limited, gate gap_cv: uneven" in row["words"]


def test_a_service_that_was_away_fails_no_gate_of_the_client() -> None:
    data = killed(outage())
    gate = {"cell": data.name, "step": 1, "gate": "scrape_gap", "outcome": "fail", "detail": "away"}

    (row,) = recovery_rows([data], [gate])

    assert row["status"] == "recovered"


def test_three_repetitions_have_an_interval_between_runs() -> None:
    cells = [killed(outage(end=10.0 + number), repetition=number - 1) for number in (2, 3, 4)]

    *each, row = recovery_rows(cells, [])

    # recovered after 2.2, 3.2 and 4.2 s; the geometric mean is (2.2 · 3.2 · 4.2)^(1/3) = 3.09
    assert [one["recover_seconds"] for one in each] == pytest.approx([2.2, 3.2, 4.2])
    assert row["cell"] is None
    assert row["recover_seconds"] == pytest.approx(3.092, abs=1e-3)
    assert row["recover_seconds_ci_low"] < 3.09 < row["recover_seconds_ci_high"]
    assert row["words"].startswith("3 of 3 repetitions recovered")


def test_cells_without_a_kill_have_no_row() -> None:
    assert recovery_rows([cell(Step(outage()))], []) == []


@settings(max_examples=20)  # a cell each
@given(begin=st.integers(10, 20), length=st.integers(1, 9))
def test_recovery_never_comes_before_the_first_loss_is_seen(begin: int, length: int) -> None:
    row = one(outage(begin=float(begin), end=float(begin + length)))

    assert row["lost"] == length
    assert 0 <= row["detect_seconds"] <= row["recover_seconds"]
    assert row["first_answer_seconds"] <= row["recover_seconds"]
