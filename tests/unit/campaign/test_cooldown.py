"""A step begins one cool-down after the drain of the one before, whatever the client's clock shows."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from escalade.campaign import measure
from escalade.load.plan import LEAD_SECONDS

NOW = 1_000_000.0


@pytest.mark.parametrize(
    ("drained_at", "seconds"),
    [
        (NOW - 0.4, 9.6),
        (NOW - 3600, 9.0),  # the clock of the client's node is an hour behind
        (NOW + 3600, 10.0),
        (None, 10.0),  # the client was lost
    ],
)
def test_the_pause_is_hardly_shorter_than_asked_for(
    monkeypatch: pytest.MonkeyPatch, drained_at: float | None, seconds: float
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(time, "sleep", slept.append)
    cell: Any = SimpleNamespace(cell=SimpleNamespace(cooldown_seconds=10.0))

    measure._cool_down(cell, {"drained_at": drained_at})

    assert slept == [pytest.approx(seconds - LEAD_SECONDS)]
