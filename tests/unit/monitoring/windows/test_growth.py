"""Counters are compared at the window's ends, restarts put right, in whatever pieces they come."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.analysis.measured import series
from escalade.analysis.measured.windows import Window
from escalade.monitoring.answers import Samples
from escalade.monitoring.windows.growth import Growth, Tally

BASE = 1_790_000_000.0
WINDOW = Window(BASE + 10, BASE + 20)


def piece(*tracks: tuple[dict[str, str], dict[float, float]]) -> Samples:
    samples = Samples()
    samples.add(
        {
            "resultType": "matrix",
            "result": [
                {
                    "metric": {"__name__": "c_total"} | labels,
                    "values": [[BASE + at, repr(value)] for at, value in sorted(points.items())],
                }
                for labels, points in tracks
            ],
        }
    )
    return samples


def tally_of(*pieces: Samples, only: str | None = None) -> Tally:
    growth = Growth(WINDOW, 1.0, "job")
    for each in pieces:
        growth.take(each)
    return growth.tally(only)


def test_a_counter_is_read_at_both_ends_of_the_window() -> None:
    # 5 more each second; last sample at or before 10 s is 50, last one before 20 s is 95
    tally = tally_of(piece(({}, {at: 5.0 * at for at in range(8, 21)})))

    assert tally.grown == 50.0  # the piece holds 20 s too, which a client would not have given
    counted = tally_of(piece(({}, {at: 5.0 * at for at in range(8, 20)})))
    assert (counted.grown, counted.seconds) == (45.0, 9.0)
    assert counted.paces[:9] == pytest.approx(np.full(9, 5.0))
    assert np.isnan(counted.paces[9])  # no counter covers the last second to its end


def test_a_restart_is_growth_from_zero() -> None:
    # 100 → 110, restart, 3 → 7: 10 + 3 + 4
    tally = tally_of(piece(({}, {10: 100.0, 11: 110.0, 12: 3.0, 13: 7.0})))

    assert (tally.grown, tally.resets) == (17.0, 1)


def test_a_restart_between_two_pieces_is_seen() -> None:
    tally = tally_of(piece(({}, {10: 100.0, 11: 110.0})), piece(({}, {12: 3.0, 13: 7.0})))

    assert (tally.grown, tally.resets) == (17.0, 1)


def test_one_sample_is_nothing_to_compare() -> None:
    assert tally_of(piece(({}, {12: 7.0}))).counters == []
    assert tally_of(piece()).counters == []


def test_a_series_that_begins_inside_is_told() -> None:
    tally = tally_of(
        piece(({"code": "200"}, {10: 1.0, 15: 2.0}), ({"code": "500"}, {14: 3.0, 15: 5.0}))
    )

    assert (tally.grown, tally.late) == (3.0, 1)


def test_a_first_sample_within_a_scrape_of_the_start_is_not_late() -> None:
    assert tally_of(piece(({}, {10.9: 1.0, 12: 2.0}))).late == 0


def test_growth_before_the_window_is_no_pace_of_it() -> None:
    # read at 9.5: what grew until the window's start belongs to no second of it
    tally = tally_of(piece(({}, {9.5: 0.0, 10.5: 10.0, 11.5: 20.0})))

    assert tally.paces[0] == pytest.approx(10.0)
    assert tally.grown == 20.0


def test_slices_add_up_to_the_whole() -> None:
    samples = piece(
        ({"job": "a"}, {10: 0.0, 19: 9.0}),
        ({"job": "b"}, {10: 0.0, 19: 18.0}),
        ({}, {10: 0.0, 19: 27.0}),
    )
    growth = Growth(WINDOW, 1.0, "job")
    growth.take(samples)

    assert growth.slices() == ["", "a", "b"]
    assert [growth.tally(name).grown for name in (None, "", "a", "b")] == [54, 27, 9, 18]
    assert growth.tally("b").paces[:9] == pytest.approx(np.full(9, 2.0))


STEPS = st.lists(st.tuples(st.floats(0.2, 3.0), st.integers(-5, 20)), min_size=2, max_size=40)


@given(steps=STEPS, cuts=st.lists(st.integers(1, 39), max_size=6))
def test_pieces_joined_are_the_window_and_agree_with_the_analysis(
    steps: list[tuple[float, int]], cuts: list[int]
) -> None:
    """A negative step is a restart: the counter goes on from a small value."""
    at, value, points = 8.0, 0.0, {}
    for pause, step in steps:
        at = round(at + pause, 3)
        value = value + step if step >= 0 else float(-step)
        if at < 20:
            points[at] = value
    whole = tally_of(piece(({"job": "a"}, points)))
    items = list(points.items())
    edges = [0, *sorted(set(cuts)), len(items)]
    parts = [
        piece(({"job": "a"}, dict(items[begin:end])))
        for begin, end in itertools.pairwise(edges)
        if items[begin:end]
    ]

    joined = tally_of(*parts)

    frame = pd.DataFrame(
        {
            "step": 1,
            "metric": "c_total",
            "labels": '{"job":"a"}',
            "timestamp": [BASE + at for at in points],
            "value": list(points.values()),
        }
    )
    analysed = series.Samples(frame, 1.0)
    kept = frame["timestamp"] >= WINDOW.start - analysed.max_age
    in_reach = tally_of(piece(({"job": "a"}, {at: v for at, v in points.items() if at >= 7.0})))
    expected = series.Samples(frame[kept], 1.0).growth(
        series.Samples(frame[kept], 1.0).tracks("c_total"), WINDOW
    )
    assert joined.grown == pytest.approx(whole.grown)
    assert joined.resets == whole.resets
    assert np.allclose(joined.paces, whole.paces, equal_nan=True)
    assert in_reach.grown == pytest.approx(0.0 if expected is None else expected.amount)
