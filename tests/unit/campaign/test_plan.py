"""What a plan says of its cells: requests, time, and what defines them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from escalade.campaign.run import open_run
from escalade.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.campaign.plan import Cell, Plan


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def plan(load: dict[str, Any] | None = None, **changes: Any) -> Plan:
    """Plan a campaign of two steps, with some keys of its load and of itself changed."""
    ladder = [{"target_qps": qps, "window_seconds": 10} for qps in (1, 2)]
    content: dict[str, Any] = {
        "campaign": "small",
        "deployments": [{"name": "a", "recipe": "truth_server"}],
        "load": {"ladder": ladder, "warmup_seconds": 2, **(load or {})},
    }
    return open_run({**content, **changes}, []).plan


def cell(load: dict[str, Any] | None = None, **changes: Any) -> Cell:
    return plan(load, **changes).cells[0]


def test_by_default_a_scrape_of_the_idle_service_fits_between_two_steps() -> None:
    assert cell().cooldown_seconds == pytest.approx(1.05)
    slow = cell(monitoring={"scrape_interval_seconds": 15})
    assert slow.cooldown_seconds == pytest.approx(15.05)


def test_a_cool_down_counts_in_the_time_that_a_cell_takes() -> None:
    short, long = cell({"cooldown_seconds": 0}), cell({"cooldown_seconds": 600})

    assert 1190 < long.expected_seconds - short.expected_seconds < 1200.1
    assert 1190 < long.longest_seconds - short.longest_seconds < 1200.1
    assert short.pause_seconds > 0  # the change itself takes time as well


def test_requests_are_those_of_the_schedule() -> None:
    ramp = cell({"arrivals": "ramp", "ramp": {"points": [[0, 1], [1, 3]]}})

    assert cell().requests == 2 + 10 + 4 + 20
    assert ramp.requests == 1 + 10 + 2 + 20  # warmed up at half of the mean rate


def trace(path: Path, *more: str) -> dict[str, Any]:
    lines = ["offset_seconds", *(str(number) for number in range(40)), *more]
    path.write_text("\n".join(lines))
    return {"arrivals": "trace", "trace": {"file": str(path)}}


def test_a_trace_has_its_own_number_of_requests(tmp_path: Path) -> None:
    load = trace(tmp_path / "burst.csv", "39", "39", "50")

    # 42 gaps in 50 s; run at 1/s the first 12 s are 14.3 s of it, at 2/s 28.6 s
    assert cell(load).requests == 15 + 29


def test_the_content_of_a_trace_defines_a_cell_and_its_place_does_not(tmp_path: Path) -> None:
    one, moved = trace(tmp_path / "a.csv"), trace(tmp_path / "b.csv")
    assert cell(one).name == cell(moved).name

    assert cell(trace(tmp_path / "b.csv", "40")).name != cell(one).name


def test_the_content_of_prompts_defines_a_cell_and_its_place_does_not(tmp_path: Path) -> None:
    def of(name: str, text: str) -> str:
        (tmp_path / name).write_text(f'{{"prompt": "{text}"}}\n')
        return cell(workload={"prompts": str(tmp_path / name)}).name

    assert of("a.jsonl", "Why?") == of("b.jsonl", "Why?")
    assert of("b.jsonl", "Who?") != of("a.jsonl", "Why?")


def test_the_content_of_an_own_locustfile_defines_a_cell_and_its_place_does_not(
    tmp_path: Path,
) -> None:
    def of(name: str, text: str) -> str:
        (tmp_path / name).write_text(text)
        return cell(workload={"kind": str(tmp_path / name)}).name

    assert of("a.py", "import locust\n") == of("b.py", "import locust\n")
    assert of("b.py", "import gevent\n") != of("a.py", "import locust\n")


def test_a_cell_whose_files_were_edited_in_a_run_is_told() -> None:
    with pytest.raises(InputError, match="is not planned any more"):
        plan().cell("a_rep-1_00000000")
