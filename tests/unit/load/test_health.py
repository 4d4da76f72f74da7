"""What the load generator says of itself."""

from __future__ import annotations

import gevent
import pytest

from escalade.load.health import TICK_SECONDS, Heartbeat, Usage, steal_ticks

STAT = """\
cpu  30 0 0 300 0 0 0 30 0 0
cpu0 10 0 5 100 1 0 0 4 0 0
cpu1 20 0 0 170 0 0 0 10 9 9
intr 12345
"""


def test_stolen_ticks_are_those_of_the_cpus_in_use() -> None:
    assert steal_ticks(STAT, [0]) == (4, 120)
    assert steal_ticks(STAT, [0, 1]) == (14, 320)  # guest time is counted in user already


def test_cpus_that_are_not_listed_are_an_error_not_a_zero() -> None:
    with pytest.raises(ValueError, match="cpu7"):
        steal_ticks(STAT, [7])


def test_usage_is_the_difference_of_two_readings() -> None:
    used = Usage(110.0, 8.5, (14, 320)).since(Usage(100.0, 5.5, (4, 120)))

    assert used["cpu_seconds"] == pytest.approx(3.0)
    assert used["wall_seconds"] == pytest.approx(10.0)
    assert used["steal_ratio"] == pytest.approx(0.05)
    assert used["cores"] >= 1


def test_an_unknown_steal_is_none() -> None:
    assert Usage(110.0, 8.5, None).since(Usage(100.0, 5.5, (4, 120)))["steal_ratio"] is None
    assert Usage(110.0, 8.5, (4, 120)).since(Usage(100.0, 5.5, (4, 120)))["steal_ratio"] is None


def test_usage_can_be_read_on_this_machine() -> None:
    before = Usage.read()

    assert Usage.read().since(before)["cpu_seconds"] >= 0


def test_a_gap_of_over_two_seconds_is_a_suspension_not_a_lag() -> None:
    heartbeat = Heartbeat()
    for gap, lag in [(0.05, 0.0), (0.06, 0.01), (5.05, 5.0), (0.05, 0.002)]:
        heartbeat.note(gap, lag)

    assert heartbeat.suspended_seconds == pytest.approx(5.05 - TICK_SECONDS)
    assert heartbeat.lag() == pytest.approx({"p50": 0.002, "p99": 0.00984, "max": 0.01})


def test_no_tick_is_no_lag() -> None:
    assert Heartbeat().lag() is None


def test_the_heartbeat_ticks_until_it_is_killed() -> None:
    heartbeat = Heartbeat()
    beating = gevent.spawn(heartbeat.run)
    gevent.sleep(0.3)
    beating.kill()

    assert 1 <= len(heartbeat.lags) <= 6
    assert heartbeat.suspended_seconds == 0
