"""Counters, gauges and coverage from raw samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from escalade.analysis.measured.series import Samples, targets_of
from escalade.analysis.measured.windows import Window
from escalade.errors import NoDataError
from unit.analysis.builders import EPOCH, NODE_TARGET, SERVICE_TARGET, Step, cell, scraped, up

if TYPE_CHECKING:
    from collections.abc import Mapping

WINDOW = Window(EPOCH + 5, EPOCH + 15)
SECONDS = range(-3, 14)


def samples_of(*rows: Any, interval: float = 1.0) -> Samples:
    return Samples(cell(Step(samples=[row for part in rows for row in part])).series, interval)


def counter(values: Mapping[float, float], **labels: str) -> Any:
    return scraped("c_total", labels, values)


def test_a_counter_grows_from_the_sample_before_the_window_to_the_last_inside() -> None:
    samples = samples_of(counter({-0.5: 10, 0.5: 12, 9.5: 40, 10.5: 99}))

    growth = samples.growth(samples.tracks("c_total"), WINDOW)

    assert growth is not None
    assert growth.amount == pytest.approx(30)
    assert growth.seconds == pytest.approx(10)
    assert growth.rate == pytest.approx(3)


def test_without_a_sample_before_the_window_the_first_inside_counts() -> None:
    samples = samples_of(counter({1: 10, 9: 26}))

    growth = samples.growth(samples.tracks("c_total"), WINDOW)

    assert growth is not None
    assert growth.rate == pytest.approx(2)


def test_a_sample_that_is_too_old_does_not_stand_for_the_start() -> None:
    samples = samples_of(counter({-4: 0, 1: 10, 9: 26}))  # four scrape intervals before

    growth = samples.growth(samples.tracks("c_total"), WINDOW)

    assert growth is not None
    assert growth.rate == pytest.approx(2)


def test_a_reset_counts_the_new_value() -> None:
    samples = samples_of(counter({0: 100, 3: 110, 6: 4, 9: 10}))

    growth = samples.growth(samples.tracks("c_total"), WINDOW)

    assert growth is not None
    assert growth.amount == pytest.approx(10 + 4 + 6)


def test_counters_of_several_series_add_up() -> None:
    samples = samples_of(counter({0: 0, 9: 9}, kind="a"), counter({0: 5, 9: 23}, kind="b"))

    growth = samples.growth(samples.tracks("c_total"), WINDOW)

    assert growth is not None
    assert growth.rate == pytest.approx(3)


@pytest.mark.parametrize("values", [{}, {3: 7}, {-20: 1, -15: 2}, {11: 1, 12: 2}])
def test_fewer_than_two_samples_are_no_growth(values: Mapping[float, float]) -> None:
    samples = samples_of(counter(values))

    assert samples.growth(samples.tracks("c_total"), WINDOW) is None


def test_nan_is_no_sample() -> None:
    samples = samples_of(counter({0: 0, 5: np.nan, 9: 18}))

    growth = samples.growth(samples.tracks("c_total"), WINDOW)

    assert growth is not None
    assert growth.amount == pytest.approx(18)


def test_rates_are_those_between_neighbouring_scrapes() -> None:
    samples = samples_of(counter({0: 0, 1: 2, 2: 2, 4: 10}))

    assert samples.rates(samples.tracks("c_total"), WINDOW).tolist() == pytest.approx([2, 0, 4])


def test_a_gauge_is_weighted_by_how_long_it_held() -> None:
    # 4 held for 2 s, 1 for 8 s; the sample before the window reaches into it
    samples = samples_of(scraped("g", {}, {-1: 4, 2: 1, 5: 1, 8: 1}))

    found = samples.gauge(samples.tracks("g"), WINDOW)

    assert found is not None
    assert found[0] == pytest.approx((4 * 2 + 1 * 8) / 10)
    assert found[1] == 4


def test_a_hole_weighs_nothing_in_a_gauge() -> None:
    # 10 held for three scrape intervals, then nothing until 8 s, then 2 for 2 s
    samples = samples_of(scraped("g", {}, {0: 10, 8: 2}))

    found = samples.gauge(samples.tracks("g"), WINDOW)

    assert found is not None
    assert found[0] == pytest.approx((10 * 3 + 2 * 2) / 5)


def test_a_gauge_without_sample_in_reach_is_none() -> None:
    samples = samples_of(scraped("g", {}, {-9: 10, 12: 3}))

    assert samples.gauge(samples.tracks("g"), WINDOW) is None
    assert samples.gauge([], WINDOW) is None


def test_gauges_of_several_series_are_summed_before_the_maximum_is_taken() -> None:
    samples = samples_of(
        scraped("g", {"model": "a"}, {0: 1, 3: 5, 6: 1}),
        scraped("g", {"model": "b"}, {0: 4, 3: 1, 6: 4}),
    )

    found = samples.gauge(samples.tracks("g"), WINDOW)

    assert found is not None
    assert found[1] == 6  # not 5 + 4


def test_tracks_are_chosen_by_label() -> None:
    samples = samples_of(counter({0: 1}, role="service"), counter({0: 2}, role="load"))

    assert [track.levels.tolist() for track in samples.tracks("c_total", role="load")] == [[2.0]]


def test_full_coverage_is_one_without_gaps() -> None:
    samples = samples_of(up(NODE_TARGET, SECONDS))

    (found,) = samples.coverage(WINDOW, targets_of(samples))

    assert (found.expected, found.received, found.ratio, found.gaps) == (10, 10, 1.0, ())
    assert found.largest_gap == pytest.approx(1.0)


def test_a_hole_is_listed_and_lowers_the_coverage() -> None:
    samples = samples_of(up(NODE_TARGET, [at for at in SECONDS if not 3 <= at < 7]))

    (found,) = samples.coverage(WINDOW, targets_of(samples))

    assert found.ratio == pytest.approx(0.6)
    assert found.largest_gap == pytest.approx(5.0)
    assert [(a - WINDOW.start, b - WINDOW.start) for a, b in found.gaps] == [(2.0, 7.0)]


def test_a_failed_scrape_is_no_sample() -> None:
    samples = samples_of(up(NODE_TARGET, range(5)), up(NODE_TARGET, range(5, 10), value=0.0))

    (found,) = samples.coverage(WINDOW, targets_of(samples))

    assert found.ratio == pytest.approx(0.5)
    assert found.largest_gap == pytest.approx(6.0)  # from the sample at 4 s to the window's end


def test_a_hole_at_the_edge_counts_beyond_the_window() -> None:
    samples = samples_of(up(NODE_TARGET, [-2, *range(2, 10)]))

    (found,) = samples.coverage(WINDOW, targets_of(samples))

    assert found.largest_gap == pytest.approx(4.0)


def test_a_target_seen_elsewhere_in_the_cell_is_missed_here() -> None:
    samples = samples_of(up(NODE_TARGET, SECONDS))

    found = samples.coverage(WINDOW, [NODE_TARGET, SERVICE_TARGET])

    assert [coverage.received for coverage in found] == [10, 0]
    assert found[1].largest_gap == pytest.approx(10.0)


def test_the_allowed_hole_grows_with_the_scrape_interval() -> None:
    assert samples_of(interval=0.5).max_gap == 3.0
    assert samples_of(interval=1.0).max_gap == 3.0
    assert samples_of(interval=5.0).max_gap == 15.0


def test_samples_without_a_column_name_it() -> None:
    frame = cell(Step()).series.drop(columns=["labels"])

    with pytest.raises(NoDataError, match="labels"):
        Samples(frame, 1.0)
