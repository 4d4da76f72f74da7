"""Planned send times: how many, where, and how reproducible."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.files import read_table, write_table
from escalade.load.draw import PHASES
from escalade.load.rows import read_rows
from escalade.load.schedule import StepPlan, draw_schedule, plans_of, schedule_sha256

if TYPE_CHECKING:
    from pathlib import Path

POISSON = StepPlan(1, 50.0, 2.0, 10.0, "poisson", 32, 16)
CONSTANT = replace(POISSON, step=2, arrivals="constant")

plans = st.builds(
    StepPlan,
    step=st.integers(1, 20),
    target_qps=st.floats(0.5, 200),
    warmup_seconds=st.floats(0, 5),
    window_seconds=st.floats(2, 10),
    arrivals=st.sampled_from(["poisson", "constant"]),
    input_tokens=st.integers(0, 1000),
    output_tokens=st.integers(0, 1000),
)
ladders = st.lists(plans, min_size=1, max_size=3, unique_by=lambda plan: plan.step)


@settings(max_examples=20)
@given(ladders, st.integers(0, 2**32))
def test_every_phase_holds_rate_times_duration_arrivals_within_its_bounds(
    ladder: list[StepPlan], seed: int
) -> None:
    frame = draw_schedule(ladder, seed)

    for plan in ladder:
        for phase in PHASES:
            start, end = plan.bounds(phase)
            offsets = frame[(frame.step == plan.step) & (frame.phase == phase)].offset_seconds
            assert len(offsets) == round(plan.target_qps * (end - start))
            assert offsets.between(start, end, inclusive="left").all()


@settings(max_examples=20)
@given(ladders, st.integers(0, 2**32))
def test_rows_are_numbered_in_order_of_time_and_payloads_never_repeat(
    ladder: list[StepPlan], seed: int
) -> None:
    frame = draw_schedule(ladder, seed)

    for _, rows in frame.groupby("step"):
        assert rows["index"].tolist() == list(range(len(rows)))
        assert rows.offset_seconds.is_monotonic_increasing
    assert frame.payload_id.is_unique


@settings(max_examples=20)
@given(ladders, st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_frame(ladder: list[StepPlan], seed: int) -> None:
    first, second = draw_schedule(ladder, seed), draw_schedule(ladder, seed)

    pd.testing.assert_frame_equal(first, second)
    assert schedule_sha256(first) == schedule_sha256(second)


def test_another_seed_gives_other_times() -> None:
    first, second = draw_schedule([POISSON], 1), draw_schedule([POISSON], 2)

    assert not np.isin(first.offset_seconds, second.offset_seconds).any()
    assert schedule_sha256(first) != schedule_sha256(second)


def test_a_step_is_drawn_the_same_whatever_the_other_steps_are() -> None:
    alone = draw_schedule([POISSON], 3)
    beside = draw_schedule([CONSTANT, POISSON], 3)

    assert (beside[beside.step == 1].offset_seconds.to_numpy() == alone.offset_seconds).all()


def test_constant_arrivals_are_evenly_spaced_across_both_phases() -> None:
    offsets = draw_schedule([CONSTANT], 0).offset_seconds  # 50/s: every 20 ms from 0 on

    assert offsets.to_numpy() == pytest.approx(np.arange(600) * 0.02)


def test_poisson_gaps_scatter_as_widely_as_they_are_long() -> None:
    plan = replace(POISSON, target_qps=1000.0)
    gaps = draw_schedule([plan], 4).offset_seconds.diff().dropna()  # 12,000 gaps

    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.03)
    assert (gaps > gaps.mean()).mean() == pytest.approx(np.exp(-1), abs=0.02)


def test_warmup_and_window_are_drawn_apart() -> None:
    even = replace(POISSON, warmup_seconds=10.0)
    frame = draw_schedule([even], 5)
    warmup = frame[frame.phase == "warmup"].offset_seconds.to_numpy()
    window = frame[frame.phase == "window"].offset_seconds.to_numpy() - 10

    assert not np.allclose(warmup, window)


def test_columns_have_the_types_of_the_stored_schedule() -> None:
    kinds = {name: str(kind) for name, kind in draw_schedule([POISSON], 0).dtypes.items()}

    assert kinds == {
        "step": "int16",
        "index": "int32",
        "phase": "str",
        "offset_seconds": "float64",
        "payload_id": "int64",
        "input_tokens": "int32",
        "output_tokens": "int32",
    }


def test_a_stored_schedule_keeps_its_steps_rows_and_hash(tmp_path: Path) -> None:
    frame = draw_schedule([POISSON, CONSTANT], 6)
    write_table(tmp_path / "schedule.parquet", frame)

    stored = read_table(tmp_path / "schedule.parquet", "schedule", list(frame.columns))
    rows = read_rows(tmp_path / "schedule.parquet", 2)

    assert plans_of(stored) == [POISSON, CONSTANT]
    assert schedule_sha256(stored) == schedule_sha256(frame)
    assert rows.plan == CONSTANT
    assert len(rows) == 600
    assert rows.in_window.sum() == 500
    assert rows.payload_id.tolist() == frame[frame.step == 2].payload_id.tolist()


def test_two_writes_of_one_schedule_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_table(tmp_path / name, draw_schedule([POISSON, CONSTANT], 6))

    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"target_qps": -1.0}, "target_qps must be above 0"),
        ({"target_qps": float("nan")}, "target_qps must be above 0"),
        ({"window_seconds": 0.0}, "window_seconds must be above 0"),
        ({"warmup_seconds": -1.0}, "warmup_seconds must be 0 or more"),
        ({"arrivals": "bursty"}, "poisson, constant"),
        ({"step": 0}, "step must be 1 or more"),
        ({"output_tokens": -1}, "number of tokens"),
        ({"target_qps": 0.01}, "plans no request"),
    ],
)
def test_an_impossible_step_is_refused_with_its_reason(
    change: dict[str, object], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        replace(POISSON, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(("ladder", "seed"), [([], 0), ([POISSON, POISSON], 0), ([POISSON], -1)])
def test_an_impossible_ladder_is_refused(ladder: list[StepPlan], seed: int) -> None:
    with pytest.raises(InputError, match=r"ladder|seed"):
        draw_schedule(ladder, seed)


def test_reading_names_a_missing_file_step_or_plan(tmp_path: Path) -> None:
    path = tmp_path / "schedule.parquet"
    with pytest.raises(InputError, match="does not exist"):
        read_rows(path, 1)

    path.write_bytes(b"PAR1 but no more")
    with pytest.raises(InputError, match="can't be read"):
        read_rows(path, 1)

    frame = draw_schedule([POISSON], 0)
    write_table(path, frame)
    with pytest.raises(InputError, match=r"no step 7; it has \[1\]"):
        read_rows(path, 7)

    write_table(path, frame.drop(columns="payload_id"))
    with pytest.raises(InputError, match="payload_id"):
        read_rows(path, 1)

    frame.attrs = {}
    write_table(path, frame)
    with pytest.raises(InputError, match="how long its phases are"):
        read_rows(path, 1)


def test_a_ramp_is_warmed_up_at_the_rate_at_which_it_begins() -> None:
    ramp = replace(POISSON, arrivals="ramp", parameters={"points": [[0, 1], [1, 3]]})

    assert ramp.count("warmup") == 50  # half of the mean of 50/s, for 2 s
    assert ramp.count("window") == 500


def test_lengths_are_drawn_for_each_request_and_do_not_move_the_arrivals() -> None:
    varied = replace(POISSON, input_tokens={"uniform": [1, 100]}, output_tokens={"values": [1, 2]})
    plain, drawn = draw_schedule([POISSON], 3), draw_schedule([varied], 3)

    assert drawn.input_tokens.between(1, 100).all()
    assert drawn.input_tokens.nunique() > 90
    assert set(drawn.output_tokens) == {1, 2}
    assert drawn.offset_seconds.tolist() == plain.offset_seconds.tolist()


def test_parameters_of_a_step_come_back_from_the_file(tmp_path: Path) -> None:
    gamma = replace(POISSON, arrivals="gamma", parameters={"cv": 2.5}, input_tokens={"values": [4]})
    write_table(tmp_path / "schedule.parquet", draw_schedule([gamma], 0))

    assert read_rows(tmp_path / "schedule.parquet", 1).plan == gamma
