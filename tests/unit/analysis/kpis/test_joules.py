"""Counters of joules against power that is known at every moment."""

from __future__ import annotations

import math

import numpy as np
import pytest

from escalade.analysis.kpis.joules import bridged, mean_watts
from escalade.analysis.measured.series import Track
from escalade.analysis.measured.windows import Window

GPU = {"gpu": "0", "uuid": "GPU-1"}


def power(at: float) -> float:
    return 250.0 + 150.0 * math.sin(2 * math.pi * at / 7.0)


def energy(at: float) -> float:
    """Give the integral of `power` from 0 on."""
    return 250.0 * at + 150.0 * 7.0 / (2 * math.pi) * (1 - math.cos(2 * math.pi * at / 7.0))


def track(times: list[float], levels: list[float], **labels: str) -> Track:
    return Track(labels or GPU, np.array(times), np.array(levels))


SCRAPES = [0.4 + at for at in range(-4, 40)]
"""Each second, with an offset to the window's ends."""
WINDOW = Window(0.0, 31.3)


def exact(window: Window) -> float:
    return (energy(window.end) - energy(window.start)) / window.seconds


def test_energy_of_a_window_is_read_at_its_ends_and_not_at_the_scrapes_before_them() -> None:
    counter = track(SCRAPES, [10_000 + energy(at) for at in SCRAPES])

    found = mean_watts([counter], WINDOW, max_age=3.0)

    assert found == pytest.approx(exact(WINDOW), rel=0.005)
    first, last = -0.6, 30.4  # the last samples before the ends would be 1.3 % off
    assert abs((energy(last) - energy(first)) / 31.0 / exact(WINDOW) - 1) > 0.005


def test_a_lost_scrape_costs_nothing() -> None:
    kept = [at for at in SCRAPES if not 11.0 < at < 12.9]
    counter = track(kept, [energy(at) for at in kept])

    assert mean_watts([counter], WINDOW, max_age=3.0) == pytest.approx(exact(WINDOW), rel=0.005)


@pytest.mark.parametrize("reset", [10.45, 11.39])  # just after a scrape, just before one
def test_power_stands_for_what_a_reset_hides(reset: float) -> None:
    levels = [energy(at) if at < reset else energy(at) - energy(reset) for at in SCRAPES]
    counter = track(SCRAPES, levels)
    watts = track(SCRAPES, [power(at) for at in SCRAPES])

    found = mean_watts([bridged(counter, [watts])], WINDOW, max_age=3.0)

    assert found == pytest.approx(exact(WINDOW), rel=0.005)


def test_the_power_of_another_gpu_stands_for_nothing() -> None:
    counter = track([0.0, 1.0, 2.0], [100.0, 5.0, 105.0])
    other = track([0.0, 1.0, 2.0], [100.0, 100.0, 100.0], gpu="1", uuid="GPU-2")

    assert bridged(counter, [other]).levels.tolist() == [0, 5, 105]
    assert bridged(counter, [track([0.0, 1.0, 2.0], [100.0] * 3)]).levels.tolist() == [0, 100, 200]


def test_a_counter_that_begins_late_is_read_where_it_begins() -> None:
    counter = track([2.0, 3.0, 4.0], [0.0, 50.0, 100.0])

    assert mean_watts([counter], Window(0.0, 10.0), max_age=3.0) == pytest.approx(50.0)
    assert mean_watts([track([2.0], [5.0])], Window(0.0, 10.0), max_age=3.0) is None
    assert mean_watts([], Window(0.0, 10.0), max_age=3.0) is None
