"""Which clients leave is drawn with the schedule."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.files import write_table
from escalade.load.abandonment import AbandonedError, draw_abandonment
from escalade.load.arrival import Arrival
from escalade.load.faults import error_class
from escalade.load.records import Records
from escalade.load.rows import read_rows
from escalade.load.schedule import StepPlan, draw_schedule, schedule_sha256

if TYPE_CHECKING:
    from pathlib import Path

PLAN = StepPlan(1, 10.0, 2.0, 8.0, "poisson", 8, 16)
LEAVES = {"share": 0.25, "after_tokens": 5}


@given(share=st.floats(0.01, 1), counts=st.lists(st.integers(0, 200), min_size=1, max_size=3))
def test_exactly_the_share_of_each_stretch_leaves(share: float, counts: list[int]) -> None:
    drawn = draw_abandonment(
        {"share": share, "after_seconds": 0.5}, counts, np.random.default_rng(1)
    )

    stretches = np.split(drawn["abandon_seconds"], np.cumsum(counts)[:-1])
    for stretch, count in zip(stretches, counts, strict=True):
        assert (stretch == 0.5).sum() == round(share * count)
        assert np.isinf(stretch).sum() == count - round(share * count)


def test_who_leaves_is_stored_and_hashed_with_the_schedule(tmp_path: Path) -> None:
    plain, leaving = (
        draw_schedule([PLAN], seed=3),
        draw_schedule([replace(PLAN, abandon=LEAVES)], seed=3),
    )
    write_table(tmp_path / "s.parquet", leaving)
    rows = read_rows(tmp_path / "s.parquet", 1)

    assert rows.leaves_after.tolist() == leaving.abandon_tokens.tolist()
    assert set(rows.leaves_after) == {0, 5}
    assert rows.leaving is not None
    assert rows.leaving[rows.in_window].sum() == 20  # a quarter of 80
    assert rows.leaving[~rows.in_window].sum() == 5
    assert schedule_sha256(leaving) != schedule_sha256(plain)
    # All else is as it was without.
    assert leaving[list(plain)].equals(plain)
    assert rows.plan.abandon == LEAVES


def test_the_same_requests_are_left_by_any_number_of_workers(tmp_path: Path) -> None:
    write_table(tmp_path / "s.parquet", draw_schedule([replace(PLAN, abandon=LEAVES)], seed=3))
    rows = read_rows(tmp_path / "s.parquet", 1)

    parts = [rows.part(worker, 3) for worker in range(3)]
    left = [index for part in parts for index in part.index[part.leaves_after > 0]]
    assert sorted(left) == rows.index[rows.leaves_after > 0].tolist()


def test_steps_with_and_without_share_a_schedule() -> None:
    other = replace(PLAN, step=2, abandon={"share": 1.0, "after_seconds": 2.0})
    frame = draw_schedule([replace(PLAN, abandon=LEAVES), other], seed=3)

    assert set(frame.abandon_tokens[frame.step == 2]) == {0}
    assert np.isinf(frame.abandon_seconds[frame.step == 1]).all()
    assert set(frame.abandon_seconds[frame.step == 2]) == {2.0}


@pytest.mark.parametrize(
    "abandon",
    [
        {"share": 0.0, "after_tokens": 5},
        {"share": 1.5, "after_tokens": 5},
        {"share": 0.5},
        {"share": 0.5, "after_tokens": 0},
        {"share": 0.5, "after_tokens": 5, "after_seconds": 1.0},
    ],
)
def test_an_impossible_abandonment_is_refused(abandon: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="abandon"):
        replace(PLAN, abandon=abandon)


def test_a_client_leaves_after_its_last_chunk(rows_at: Any) -> None:
    records = Records(rows_at([0.0]))
    arrival = Arrival(records, 0, 50.0, 100, 8, 16, leaves_after=2)
    arrival.chunk()
    arrival.stay()
    arrival.chunk()
    with pytest.raises(AbandonedError) as left:
        arrival.stay()

    arrival.answered(50.2, 200, left.value)
    assert records.errors == ["abandoned"]
    assert arrival.was_abandoned
    assert error_class(left.value, 500) == "http_5xx"  # what failed before is an error
