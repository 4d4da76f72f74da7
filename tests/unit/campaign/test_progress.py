"""How far a run is, from its plan, its events and its live file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from escalade.campaign import events
from escalade.campaign.progress import LIVE, Progress
from escalade.campaign.run import CampaignRun, open_run
from escalade.cli.progress import WORDS, duration, live_figures, stage_words
from unit.campaign.builders import cells

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTENT: dict[str, Any] = {
    "campaign": "small",
    "deployments": [{"name": "a", "recipe": "truth_server"}],
    "load": {
        "warmup_seconds": 2,
        "drain_timeout_seconds": 10,
        "ladder": [
            {"target_qps": 1, "window_seconds": 10},
            {"target_qps": 2, "window_seconds": 20},
        ],
    },
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CampaignRun]:
    """Open a campaign of one cell in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESCALADE_RUN_ID", "r1")
    return open_run(CONTENT, [])


def happened(run: CampaignRun, *stages: tuple[str, events.Kind]) -> Progress:
    """Give the progress after some events of the only cell."""
    for stage, kind in stages:
        events.append(run.events, run.unfinished[0].name, stage, kind)
    progress = Progress(run)
    progress.take()
    return progress


def test_opening_a_run_leaves_no_file(run: CampaignRun) -> None:
    assert list(Path().iterdir()) == []


def test_before_anything_the_whole_cell_is_left(run: CampaignRun) -> None:
    cell = run.unfinished[0]

    assert happened(run).remaining_seconds(0.0) == pytest.approx(cell.expected_seconds)


def test_in_the_last_step_only_its_rest_and_the_drain_are_left(run: CampaignRun) -> None:
    progress = happened(run, ("allocate", "started"), ("run_load_2", "started"))
    live = run.cell_state(run.unfinished[0].name) / LIVE
    live.parent.mkdir(parents=True)
    live.write_text(json.dumps({"step": 2, "window_end": 107.0}))

    # 7 s of the window, half of the drain timeout, 4 s of archiving
    assert progress.remaining_seconds(100.0) == pytest.approx(7 + 5 + 4)


def test_a_cell_that_is_over_takes_no_more_time(run: CampaignRun) -> None:
    progress = happened(run, ("archive_cell", "started"), ("archive_cell", "ended"))

    assert progress.remaining_seconds(0.0) == 0.0
    assert progress.active() == []


def test_a_failed_cell_takes_no_more_time(run: CampaignRun) -> None:
    assert happened(run, ("load_models", "failed")).remaining_seconds(0.0) == 0.0


def test_a_live_file_that_is_half_written_is_no_live_file(run: CampaignRun) -> None:
    progress = happened(run, ("run_load_1", "started"))
    live = run.cell_state(run.unfinished[0].name) / LIVE
    live.parent.mkdir(parents=True)
    live.write_text('{"step": 1, "win')

    assert progress.live(run.unfinished[0].name) == {}


def test_what_is_not_known_yet_is_a_dash_and_not_a_zero() -> None:
    shown = live_figures({"sent": 0, "planned": 9, "rate_qps": None, "p95_seconds": None})

    assert "rate – /s" in shown
    assert "p95 – s" in shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0:00"), (83, "1:23"), (3600, "1:00:00"), (-5, "0:00")]
)
def test_durations_read_as_clocks(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_a_cell_without_monitoring_is_not_said_to_start_any() -> None:
    (on,) = cells(1)
    off = replace(on, deployment=on.deployment.model_copy(update={"monitoring": False}))

    assert stage_words("start_prometheus", off) == "starts no Prometheus: monitoring is off"
    assert stage_words("start_prometheus", on) == WORDS["start_prometheus"]
    assert stage_words("run_ladder", off) == stage_words("run_ladder", None) == "starts the load"
