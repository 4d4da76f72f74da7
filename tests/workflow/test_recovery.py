"""Real campaigns whose service is killed at a known time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest

from escalade.files import read_json
from workplace import ladder

if TYPE_CHECKING:
    from workplace import Workplace

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(400)]


def test_a_killed_service_comes_back_and_the_times_are_those_of_the_kill(
    workplace: Workplace,
) -> None:
    failure = {"step": 1, "at_seconds": 3, "restart_after_seconds": 1.5}
    workplace.write(load=ladder((20, 12), (20.5, 3)), failure=failure)

    code, output = workplace.run()

    assert code == 0, output
    first, second = workplace.steps()
    told = first["failure"]
    (row,) = read_json(workplace.results / "verdicts.json", "verdicts")["recovery"]
    # it was killed when it was to be, and started again when that was due
    assert told["killed_at"] - first["window_start"] == pytest.approx(3.0, abs=0.7)
    assert told["restarted_at"] - told["killed_at"] >= 1.5
    assert row["killed_seconds"] == pytest.approx(told["killed_at"] - first["window_start"])
    # nobody can answer before it was started again; a request every 50 ms finds out
    assert row["restarted_seconds"] < row["first_answer_seconds"] <= row["recover_seconds"]
    assert row["recover_seconds"] < 9.0
    assert 0 <= row["detect_seconds"] < 1.0
    requests = pd.read_parquet(
        next(workplace.results.glob("cells/*/requests.parquet")), columns=["step", "error"]
    )
    assert row["lost"] == requests[requests["step"] == 1]["error"].notna().sum()
    # 20 requests a second were lost from the kill until the first good answer
    assert row["lost"] == pytest.approx(20 * row["recover_seconds"], abs=12)
    assert (second["outcome"], second["cause"]) == ("measured", None)
    workplace.await_silence(30)


def test_a_service_that_is_not_started_again_stays_dead_and_the_cell_is_whole(
    workplace: Workplace,
) -> None:
    workplace.write(load=ladder((20, 5)), failure={"step": 1, "at_seconds": 2})

    code, output = workplace.run()

    assert code == 0, output
    (row,) = read_json(workplace.results / "verdicts.json", "verdicts")["recovery"]
    assert (row["status"], row["recover_seconds"]) == ("stays dead", None)
    assert row["lost"] == pytest.approx(60, abs=15)
    page = (workplace.results / "report.html").read_text(encoding="utf-8")
    assert "After the service was killed" in page
    code, output = workplace.here("replay", str(workplace.results))
    assert code == 0, output
