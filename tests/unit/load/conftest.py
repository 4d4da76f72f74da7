"""Plans and rows that the tests of the load room share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from escalade.load.plan import LoadStep
from escalade.load.rows import PlannedRows
from escalade.load.schedule import StepPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@pytest.fixture
def rows_at() -> Callable[..., PlannedRows]:
    """Make planned rows at given offsets; the window lasts until `window_end`."""

    def make(
        offsets: Sequence[float], window_start: float = 0.0, window_end: float = 1.0
    ) -> PlannedRows:
        seconds = window_end - window_start
        plan = StepPlan(3, len(offsets) / seconds, window_start, seconds, "constant", 8, 4)
        at = np.asarray(offsets, dtype=float)
        return PlannedRows(
            plan=plan,
            offset_seconds=at,
            in_window=at >= window_start,
            payload_id=np.arange(len(at)) + 100,
            input_tokens=np.full(len(at), 8, dtype=np.int32),
            output_tokens=np.full(len(at), 4, dtype=np.int32),
            index=np.arange(len(at), dtype=np.int32),
        )

    return make


@pytest.fixture
def load_step(tmp_path: Path) -> LoadStep:
    """Give a step that writes into the test's folder."""
    return LoadStep(
        schedule=tmp_path / "schedule.parquet",
        step=3,
        repetition=2,
        seed=1,
        workload="plain_http",
        host="http://127.0.0.1:1",
        parameters={"path": "/x"},
        folder=tmp_path / "folder",
        scratch=tmp_path / "scratch",
        drain_timeout_seconds=0.2,
        request_timeout_seconds=0.2,
        log=tmp_path / "load.log",
    )
