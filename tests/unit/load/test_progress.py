"""The live figures of a running step."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Any

import gevent
import pytest

from escalade.files import read_json
from escalade.load.progress import Progress
from escalade.load.schedule import StepPlan

if TYPE_CHECKING:
    from pathlib import Path

PLAN = StepPlan(2, 10.0, 0.0, 60.0, "poisson", 8, 4)


def live(at: float, sent: int) -> dict[str, Any]:
    return {"now": at, "sent": sent, "in_flight": 1, "window_end": 60.0}


def test_the_rate_is_that_of_the_last_five_seconds() -> None:
    progress = Progress(None, PLAN, 600)
    rates = [
        progress.figures(live(float(k), 10 * k + 20 * max(0, k - 5)))["rate_qps"] for k in range(11)
    ]

    assert rates[0] is None  # one reading is no rate
    assert rates[1] == pytest.approx(10)
    assert rates[10] == pytest.approx(30)  # the first five seconds are forgotten


def test_the_percentile_is_that_of_the_last_200_and_skips_what_was_not_sent() -> None:
    progress = Progress(None, PLAN, 600)
    assert progress.figures(live(0, 0))["p95_seconds"] is None

    for latency in [9.0] * 50 + [1.0] * 200 + [nan]:
        progress.finished(latency, failed=latency != 1.0)

    figures = progress.figures(live(1, 251))
    assert figures["p95_seconds"] == pytest.approx(1.0)
    assert figures["errors"] == 51


def test_the_file_holds_what_the_command_line_shows(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    writing = gevent.spawn(Progress(path, PLAN, 600).run, lambda: live(1.0, 5))
    gevent.sleep(0.2)
    writing.kill()

    assert read_json(path, "progress") == {
        "step": 2,
        "target_qps": 10.0,
        "planned": 600,
        "sent": 5,
        "in_flight": 1,
        "errors": 0,
        "rate_qps": None,
        "p95_seconds": None,
        "window_end": 60.0,
        "now": 1.0,
    }


def test_a_disk_that_refuses_the_preview_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    writing = gevent.spawn(
        Progress(tmp_path / "file" / "x.json", PLAN, 600).run, lambda: live(1, 5)
    )
    gevent.sleep(0.2)

    assert not writing.dead
    writing.kill()
