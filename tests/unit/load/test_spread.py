"""Which copy of a service a request goes to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from escalade.load.plan import read_plan, write_plan
from escalade.load.records import Records
from escalade.load.spread import spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.load.plan import LoadStep
    from escalade.load.rows import PlannedRows

    Make = Callable[..., PlannedRows]

OFFSETS = [at / 8 for at in range(7)]


def test_requests_go_to_the_copies_in_turn(rows_at: Make) -> None:
    assert spread(rows_at(OFFSETS), 3).tolist() == [0, 1, 2, 0, 1, 2, 0]


def test_the_copy_does_not_depend_on_the_number_of_workers(rows_at: Make) -> None:
    rows = rows_at(OFFSETS)
    whole = dict(zip(rows.index.tolist(), spread(rows, 3).tolist(), strict=True))

    for workers in (2, 3):
        for worker in range(workers):
            mine = rows.part(worker, workers)
            found = dict(zip(mine.index.tolist(), spread(mine, 3).tolist(), strict=True))
            assert found.items() <= whole.items()


def test_turns_of_a_conversation_go_where_its_first_one_went(rows_at: Make) -> None:
    # rows 5 and 6 are later turns of the conversations that rows 1 and 2 begin
    begun = np.array([-1, 1, 2, -1, -1, 1, 2], dtype=np.int32)
    rows = replace(rows_at(OFFSETS), extra={"conversation": begun})

    assert spread(rows, 2).tolist() == [0, 1, 0, 1, 0, 1, 0]


def test_the_log_says_the_copy_from_1_and_where_a_request_turned_to(rows_at: Make) -> None:
    log = Records(rows_at([0.0, 0.25, 0.5]), 2)
    assert log.replica is not None
    log.replica[1] = 0  # its connection was refused

    assert log.table(1, 0, 0.0, 0.0)["replica"].to_pylist() == [1, 1, 1]


def test_a_service_without_copies_has_no_numbers(rows_at: Make) -> None:
    table = Records(rows_at([0.0, 0.25])).table(1, 0, 0.0, 0.0)

    assert table["replica"].null_count == 2


def test_a_log_that_is_cut_keeps_the_copies_of_what_stays(rows_at: Make) -> None:
    log = Records(rows_at(OFFSETS), 3)

    log.cut(4)

    assert log.table(1, 0, 0.0, 0.0)["replica"].to_pylist() == [1, 2, 3, 1]


def test_the_plan_of_a_step_keeps_its_copies(load_step: LoadStep) -> None:
    step = replace(load_step, hosts=("http://a:1", "http://b:2"), failover=True)

    write_plan(step.plan_file, step, None)

    assert read_plan(step.plan_file)[0] == step
