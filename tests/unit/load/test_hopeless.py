"""What counts against a step, and when it is decided."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from escalade.files import write_json, write_text
from escalade.load.arrival import Arrival
from escalade.load.hopeless import Beyond, Bound, decided, told
from escalade.load.plan import read_plan, write_plan
from escalade.load.records import Records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from escalade.load.plan import LoadStep
    from escalade.load.rows import PlannedRows

EPOCH = 50.0
FAST = Bound("fast", "latency_seconds", 0.5, 2, 10)
FIRST = Bound("first", "ttft_seconds", 0.5, 2, 10)
UP = Bound("up", "error_ratio", 0.1, 2, 10)


@pytest.fixture
def records(rows_at: Callable[..., PlannedRows]) -> Records:
    """Give the log of six requests, a second apart; the first is of the warm-up."""
    return Records(rows_at([0, 1, 2, 3, 4, 5], window_start=1.0, window_end=6.0))


def arrival(records: Records, row: int) -> Arrival:
    return Arrival(records, row, EPOCH + row, 100 + row, 8, 4)


def test_slow_failed_and_waiting_requests_count_each_where_it_has_to(records: Records) -> None:
    beyond = Beyond((FAST, FIRST, UP), records)
    records.end(0, EPOCH + 9, 200, None)  # slow, in the warm-up: counts nowhere
    records.chunk(1, EPOCH + 1.1)
    records.end(1, EPOCH + 1.9, 200, None)  # slow in the end, with a quick first chunk
    records.chunk(2, EPOCH + 2.1)
    records.end(2, EPOCH + 2.4, 200, None)  # quick
    records.end(3, EPOCH + 3.1, 500, "http_5xx")  # failed quickly
    for row in range(4):
        beyond.ended(arrival(records, row))
    records.chunk(4, EPOCH + 4.2)  # begun in time, and still on its way
    flying = [arrival(records, 4), arrival(records, 5)]

    assert beyond.counts(flying, EPOCH + 5.4) == [3, 1, 1]  # row 4 has taken 1.4 s by now
    assert beyond.counts(flying, EPOCH + 5.6) == [4, 2, 1]  # row 5 has no first chunk after 0.6 s
    assert beyond.counts([], EPOCH + 9) == [2, 1, 1]


def test_without_bounds_nothing_is_counted(records: Records) -> None:
    beyond = Beyond((), records)
    beyond.ended(arrival(records, 1))

    assert beyond.counts([arrival(records, 2)], EPOCH + 60) == []


def test_the_workers_counts_are_added_up() -> None:
    assert decided((FAST, UP), [[1, 0], [1, 0]]) is None
    assert decided((FAST, UP), [[2, 0], [1, 0]]) == (FAST, 3)
    assert decided((FAST, UP), [[0, 3]]) == (UP, 3)
    assert decided((FAST, UP), []) is None


def test_live_files_of_another_step_or_half_written_ones_say_nothing(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("now.json", "before.json", "broken.json", "none.json")]
    write_json(files[0], {"step": 3, "beyond": [1, 2]})
    write_json(files[1], {"step": 2, "beyond": [9, 9]})
    write_text(files[2], '{"step": 3, "bey')

    assert told(files, 3, (FAST, UP)) == [[1, 2]]


def test_bounds_reach_the_worker(load_step: LoadStep) -> None:
    step = replace(load_step, bounds=(FAST, UP))
    write_plan(step.plan_file, step, None)

    assert read_plan(step.plan_file)[0].bounds == (FAST, UP)
