"""Recorded arrivals: read, fitted to a rate, and refused where they can't be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from escalade.errors import InputError
from escalade.load.schedule import StepPlan, draw_schedule
from escalade.load.trace import of_trace, read_trace

if TYPE_CHECKING:
    from pathlib import Path

OFFSETS = [10.0, 11.0, 11.0, 12.5, 14.0]
"""Four gaps in four seconds: one request a second."""


def written(folder: Path, text: str) -> Path:
    path = folder / "trace.csv"
    path.write_text(text)
    return path


def plan(path: Path, qps: float, warmup: float, window: float) -> StepPlan:
    parameters = of_trace(read_trace(path), qps, warmup, window)
    return StepPlan(1, qps, warmup, window, "trace", 32, 16, parameters)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Write a small trace that says all of its requests."""
    frame = pd.DataFrame({"offset_seconds": OFFSETS, "payload_id": [7, 7, 8, 9, 9]})
    frame["input_tokens"], frame["output_tokens"] = [5, 6, 7, 8, 9], [1, 2, 3, 4, 5]
    frame.to_csv(tmp_path / "trace.csv", index=False)
    frame.to_parquet(tmp_path / "trace.parquet")
    return tmp_path / "trace.csv"


def test_csv_and_parquet_say_the_same(recorded: Path) -> None:
    one, other = read_trace(recorded), read_trace(recorded.with_suffix(".parquet"))

    assert one.offset_seconds.tolist() == other.offset_seconds.tolist() == OFFSETS
    assert one.columns["payload_id"].tolist() == other.columns["payload_id"].tolist()
    assert one.rate == 1.0


def test_a_trace_is_run_at_the_rate_asked_for_from_its_first_arrival(recorded: Path) -> None:
    assert read_trace(recorded).at(2.0).tolist() == [0.0, 0.5, 0.5, 1.25, 2.0]


def test_a_step_takes_the_arrivals_that_lie_in_it_with_what_they_say(recorded: Path) -> None:
    step = plan(recorded, 1.0, warmup=1.0, window=2.0)
    frame = draw_schedule([step], seed=1)

    assert (step.count("warmup"), step.count("window")) == (1, 3)
    assert frame.offset_seconds.tolist() == [0.0, 1.0, 1.0, 2.5]
    assert frame.phase.tolist() == ["warmup", "window", "window", "window"]
    assert frame.payload_id.tolist() == [7, 7, 8, 9]
    assert frame.input_tokens.tolist() == [5, 6, 7, 8]
    assert frame.output_tokens.tolist() == [1, 2, 3, 4]


def test_what_a_trace_does_not_say_comes_from_the_workload(tmp_path: Path) -> None:
    path = written(tmp_path, "offset_seconds\n0\n1\n2\n3\n")
    frame = draw_schedule([plan(path, 1.0, warmup=0.0, window=3.0)], seed=1)

    assert frame.payload_id.tolist() == [0, 1, 2]
    assert set(frame.input_tokens) == {32}


def test_a_trace_that_is_over_too_soon_says_how_long_it_is(recorded: Path) -> None:
    with pytest.raises(InputError, match=r"lasts 2 s at 2 requests/s; the step needs 3 s") as told:
        of_trace(read_trace(recorded), 2.0, 1.0, 2.0)

    assert "recorded at 1 requests/s" in str(told.value)


def test_a_trace_that_changed_since_the_plan_is_refused(recorded: Path) -> None:
    step = plan(recorded, 1.0, 0.0, 2.0)
    recorded.write_text("offset_seconds\n0\n1\n2\n")

    with pytest.raises(InputError, match="has changed"):
        draw_schedule([step], seed=1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "can't be read as CSV"),
        ("at\n1\n2\n", "no column offset_seconds; it has at"),
        ("offset_seconds\n", "two arrivals or more"),
        ("offset_seconds\n3\n3\n", "two arrivals or more at different times"),
        ("offset_seconds\n-1\n2\n", r"row 1 has offset_seconds .*-1.*; expected a number, 0 or"),
        ("offset_seconds\n1\nsoon\n", r"row 2 has offset_seconds 'soon'"),
        ("offset_seconds\n1\n\n3\nnan\n", r"row 3 has offset_seconds .*nan"),
        ("offset_seconds\n1\n3\n2\n", r"row 3 has offset_seconds 2, which is before the row"),
        ("offset_seconds,input_tokens\n1,5\n2,1.5\n", "row 2 has input_tokens 1.5; expected a who"),
        ("offset_seconds,output_tokens\n1,5\n2,-4\n", "row 2 has output_tokens"),
    ],
)
def test_a_trace_that_can_not_be_is_refused_with_its_row(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        read_trace(written(tmp_path, text))


def test_a_file_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.csv does not exist"):
        read_trace(tmp_path / "nothing.csv")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(InputError, match="can't be read as Parquet"):
        read_trace(tmp_path / "bad.parquet")


def test_any_rate_keeps_the_shape_of_the_trace(recorded: Path) -> None:
    slow, fast = read_trace(recorded).at(0.3), read_trace(recorded).at(30.0)

    assert np.allclose(slow, 100 * fast)


def test_a_trace_says_whether_it_knows_which_payload_is_which(
    recorded: Path, tmp_path: Path
) -> None:
    told = plan(recorded, 1.0, 0.0, 2.0).parameters
    silent = plan(written(tmp_path, "offset_seconds\n0\n1\n2\n3\n"), 1.0, 0.0, 2.0).parameters

    assert (told["payloads"], silent["payloads"]) == (True, False)
