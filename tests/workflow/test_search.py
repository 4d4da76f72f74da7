"""Searches by real campaigns against services whose capacity is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from escalade.files import read_json

if TYPE_CHECKING:
    from workplace import Workplace

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(400)]

CAPACITY = 80.0
"""Of four slots of 50 ms."""
ATTEMPTS = 2
"""A busy machine makes the client late, and trials INVALID."""


def search(place: Workplace, limit: float = 0.25, **changes: Any) -> dict[str, Any]:
    """Search for the rate up to which the p90 keeps a limit; give search.json."""
    settings = {
        "start_qps": 20,
        "window_seconds": 5,
        "confirmation_seconds": 8,
        "budget": {"seconds": 130, "trials": 16},
    }
    slots = {"slots": 4, "service_seconds": 0.05}
    place.write(
        deployments=[{"name": "truth", "recipe": "truth_server", "parameters": slots}],
        workload={"kind": "plain_http", "request_timeout_seconds": 20},
        load={
            "warmup_seconds": 1,
            "drain_timeout_seconds": 20,
            "calibration_seconds": 0,
            "search": settings | changes,
        },
        slos=[{"name": "fast", "metric": "latency_seconds", "stat": "p90", "limit": limit}],
    )
    for attempt in range(1, ATTEMPTS + 1):
        code, output = place.run("--retry-failed", timeout=350)
        assert code == 0, output
        cell = place.results / "cells" / place.cells()[0]
        found: dict[str, Any] = read_json(cell / "search.json", "search")
        if attempt == ATTEMPTS or not any(t["judged"] == "INVALID" for t in found["trials"]):
            break
        (cell / "cell.json").unlink()  # what an interruption would leave
    return found


def test_a_campaign_finds_the_capacity_of_a_queue(workplace: Workplace) -> None:
    found = search(workplace)
    verdicts = read_json(workplace.results / "verdicts.json", "verdicts")
    (row,) = verdicts["capacity"]
    steps = {step["step"]: step for step in workplace.steps()}
    kinds = [trial["kind"] for trial in found["trials"]]

    # the p90 reaches 0.25 s a few percent below the capacity; windows of 5 s see that late
    assert row["capacity_qps"] == pytest.approx(CAPACITY, rel=0.1)
    assert row["slo_capacity_qps"] == pytest.approx(CAPACITY, rel=0.15)
    assert found["result"]["end"] in ("found", "bracketed")
    assert kinds[:3] == ["climb", "climb", "climb"]
    assert "confirm" in kinds
    assert [trial["step"] for trial in found["trials"]] == sorted(steps)
    assert found["used"]["seconds"] <= 130
    for trial in found["trials"]:
        assert steps[trial["step"]]["target_qps"] == trial["target_qps"]
        assert steps[trial["step"]]["outcome"] == trial["outcome"]
    assert_is_whole(workplace)


def test_a_search_tells_a_service_that_never_holds_from_one_that_always_does(
    workplace: Workplace,
) -> None:
    never = search(workplace, limit=0.02, start_qps=40, lowest_qps=20, factor=2)
    workplace.campaign = "always"
    always = search(workplace, limit=5.0, start_qps=20, highest_qps=30)

    assert never["result"]["end"] == "none_holds"
    assert never["result"]["missed_qps"] == 20
    assert never["result"]["held_qps"] is None
    assert always["result"]["end"] == "at_least"
    assert always["result"]["held_qps"] == 30
    assert always["result"]["confirmed"] == "PASS"
    page = (workplace.results / "report.html").read_text(encoding="utf-8")
    assert (
        "30\N{NO-BREAK SPACE}requests/s held, and at no rate that was tried it was missed" in page
    )


def assert_is_whole(place: Workplace) -> None:
    """See that replay, verify and a second run agree with what was measured."""
    folder = str(place.results)
    assert place.here("verify", folder)[0] == 0
    code, output = place.here("replay", folder)
    assert code == 0, output
    assert "differs" not in output
    code, output = place.here("plan", str(place.config))
    assert "Nothing is left to measure" in output
