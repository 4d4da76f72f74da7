"""A service that stays as it is, and one that leaks and slows down as fast as it was told to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from escalade.files import read_json
from workplace import deployment, ladder

if TYPE_CHECKING:
    from workplace import Workplace

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(400)]

RATE, SECONDS = 25, 40
LEAK, DRIFT = 100_000, 1.0  # bytes a request, seconds an hour


def test_a_leak_and_a_drift_are_found_with_their_slopes(workplace: Workplace) -> None:
    ageing = deployment("ageing", leak_bytes=LEAK, drift_seconds_per_hour=DRIFT)
    workplace.write(
        deployments=[deployment("even"), ageing],
        load=ladder((RATE, SECONDS)),
        stability={"least_seconds": 30, "memory_per_hour": 20.0, "latency_per_hour": 5.0},
        slos=[],
    )

    code, output = workplace.run()

    assert code == 0, output
    rows = read_json(workplace.results / "verdicts.json", "verdicts")["stability"]
    found = {(row["deployment"], row["quantity"]): row for row in rows}
    assert {key: row["status"] for key, row in found.items()} == {
        ("even", "service_memory_bytes"): "steady",
        ("even", "latency_seconds"): "steady",
        ("ageing", "service_memory_bytes"): "grows",
        ("ageing", "latency_seconds"): "grows",
    }
    _near(found["ageing", "service_memory_bytes"], RATE * LEAK * 3600)
    _near(found["ageing", "latency_seconds"], DRIFT)
    page = (workplace.results / "report.html").read_text(encoding="utf-8")
    assert "Stability" in page


def _near(row: dict[str, Any], truth: float) -> None:
    assert row["slope_per_hour"] == pytest.approx(truth, rel=0.1), row["words"]
