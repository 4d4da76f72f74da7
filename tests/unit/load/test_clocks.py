"""Clocks of other nodes: the offset by hand, its bound for any way there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.load.clocks import Epoch, Exchange, Reading, compared, epochs

SECONDS = st.floats(0, 0.5)


def test_the_offset_is_the_mean_of_both_ways() -> None:
    # asked at 100 s, 1 ms there, 3 ms of work, 2 ms back; the other clock is 50 s ahead
    exchange = Exchange(100.0, 150.001, 150.004, 100.006, unix_offset=7.0)

    assert exchange.round_trip == pytest.approx(0.003)
    assert exchange.offset == pytest.approx(50 - 0.0005)  # half of what the ways differ by
    reading = Reading.of([exchange])
    assert reading.error == pytest.approx(0.0015)
    assert reading.unix_offset == 7.0


def test_the_quickest_answer_counts() -> None:
    slow = Exchange(0.0, 10.4, 10.4, 0.5, 0.0)
    quick = Exchange(1.0, 11.001, 11.001, 1.002, 1.0)
    late = Exchange(2.0, 12.001, 12.001, 2.1, 2.0)

    assert Reading.of([slow, quick, late]) == Reading(
        pytest.approx(10.0), pytest.approx(0.001), 1.0
    )


@given(st.floats(-1e6, 1e6), st.lists(st.tuples(SECONDS, SECONDS, SECONDS), min_size=1))
def test_no_way_there_and_back_leads_beyond_the_bound(
    ahead: float, trips: list[tuple[float, float, float]]
) -> None:
    exchanges = [
        Exchange(10.0, 10 + there + ahead, 10 + there + work + ahead, 10 + there + work + back, 0.0)
        for there, work, back in trips
    ]
    reading = Reading.of(exchanges)

    assert abs(reading.offset - ahead) <= reading.error + 1e-8  # of floating point
    assert reading.error == pytest.approx(
        min(there + back for there, _, back in trips) / 2, abs=1e-8
    )


def test_every_node_gets_the_same_instant_and_the_first_one_s_clock() -> None:
    first, second = Reading(5.0, 0.1, 1000.0), Reading(-20.0, 0.1, 1024.9)

    own, other = epochs([first, second], at=100.0)

    assert own == Epoch(105.0, 1000.0)
    assert other.at == 80.0
    assert other.at + other.unix_offset == own.at + own.unix_offset  # whatever its wall clock says


def test_offset_drift_and_error_are_those_to_the_first_node() -> None:
    before = [Reading(5.0, 0.001, 100.0), Reading(8.0, 0.002, 97.5)]
    after: list[Reading | None] = [Reading(5.0, 0.001, 100.0), Reading(8.01, 0.004, 97.5)]

    first, second = compared(before, after)

    assert set(first.values()) == {0.0}
    assert second["clock_offset_seconds"] == pytest.approx(3.0)
    assert second["wall_offset_seconds"] == pytest.approx(0.5)  # 3 s ahead, of which 2.5 s known
    assert second["clock_drift_seconds"] == pytest.approx(0.01)
    assert second["clock_error_seconds"] == pytest.approx(0.01 + 0.004 + 0.001)


def test_without_drift_the_error_is_the_larger_bound() -> None:
    before = [Reading(0.0, 0.001, 0.0), Reading(3.0, 0.005, 0.0)]
    after: list[Reading | None] = [Reading(0.0, 0.001, 0.0), Reading(3.0, 0.002, 0.0)]

    assert compared(before, after)[1]["clock_error_seconds"] == pytest.approx(0.006)


@pytest.mark.parametrize("silent", [0, 1])
def test_without_a_reading_at_the_end_the_error_is_not_known(silent: int) -> None:
    both = [Reading(0.0, 0.001, 0.0), Reading(3.0, 0.005, 0.0)]
    after: list[Reading | None] = [*both]
    after[silent] = None

    second = compared(both, after)[1]

    assert second["clock_offset_seconds"] == 3.0
    assert second["clock_drift_seconds"] is None
    assert second["clock_error_seconds"] is None
