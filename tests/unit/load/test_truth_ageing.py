"""A truth server that leaks and slows down does so as fast as it was told to."""

from __future__ import annotations

import time
import tracemalloc

import pytest

from escalade.load.truth_ageing import Ageing


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give a clock whose only item is the time that it shows."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_latency_grows_from_the_first_request_on(clock: list[float]) -> None:
    ageing = Ageing(drift_seconds_per_hour=0.5)

    assert ageing.delay() == 0.0
    clock[0] += 360.0  # a tenth of an hour
    assert ageing.delay() == pytest.approx(0.05)


def test_a_service_that_does_not_age_is_never_late(clock: list[float]) -> None:
    ageing = Ageing()

    ageing.delay()
    clock[0] += 1e6

    assert ageing.delay() == 0.0


def test_what_leaks_is_kept() -> None:
    ageing = Ageing(leak_bytes=1 << 20)
    tracemalloc.start()
    try:
        for _ in range(8):
            ageing.leak()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert 8 << 20 <= kept < 9 << 20
