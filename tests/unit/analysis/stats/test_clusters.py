"""Token gaps come in requests: requests are resampled, not gaps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from escalade.analysis.stats.clusters import Clustered

if TYPE_CHECKING:
    from escalade.analysis.measured.windows import FloatArray, IntArray

SHARES = (0.5, 0.9, 0.95, 0.99)


def gaps_of(requests: int, gaps: int, spread: float, seed: int = 1) -> tuple[FloatArray, IntArray]:
    """Give gaps whose level differs from request to request by `spread`."""
    rng = np.random.default_rng(seed)
    level = rng.lognormal(0, spread, requests)
    values = np.repeat(level, gaps) * rng.lognormal(0, 0.05, requests * gaps)
    return values, np.repeat(np.arange(requests), gaps)


def test_the_point_is_that_of_all_gaps() -> None:
    values, owner = gaps_of(150, 20, 0.1)

    found = Clustered(values, owner, (1,)).estimates(SHARES)

    assert [each.value for each in found[:3]] == pytest.approx(
        np.quantile(values, SHARES[:3]).tolist()
    )
    assert found[4].value == pytest.approx(values.mean())


def test_alike_gaps_of_a_request_are_worth_little_more_than_one() -> None:
    values, owner = gaps_of(60, 30, 0.5)

    median = Clustered(values, owner, (1,)).estimates((0.5,))[0]

    assert median.n == 1800
    assert 30 < median.n_eff < 150


def test_unlike_gaps_of_a_request_are_worth_what_they_are() -> None:
    values, owner = gaps_of(60, 30, 0.0)

    median = Clustered(values, owner, (1,)).estimates((0.5,))[0]

    assert median.n_eff > 900


def test_the_interval_agrees_with_scipys_bootstrap_of_clusters() -> None:
    values, owner = gaps_of(80, 10, 0.4, seed=3)
    by_request = values.reshape(80, 10)

    found = Clustered(values, owner, (1,)).estimates((0.5,))
    expected = stats.bootstrap(
        (np.arange(80),),
        lambda drawn: np.median(by_request[drawn]),
        vectorized=False,
        method="percentile",
        n_resamples=1000,
        rng=np.random.default_rng(5),
    ).confidence_interval

    width = expected.high - expected.low
    assert found[0].low == pytest.approx(expected.low, abs=0.15 * width)
    assert found[0].high == pytest.approx(expected.high, abs=0.15 * width)


def test_it_covers_where_gaps_taken_for_independent_would_not() -> None:
    covered = plain = 0
    for seed in range(100):
        values, owner = gaps_of(40, 8, 0.4, seed=seed)
        found = Clustered(values, owner, (seed,)).estimates((0.5,))[0]
        covered += found.low <= 1.0 <= found.high
        naive = stats.quantile_test(values, p=0.5).confidence_interval(0.95)
        plain += naive.low <= 1.0 <= naive.high

    assert covered >= 0.88 * 100
    assert plain <= 0.7 * 100


def test_the_same_data_give_the_same_interval() -> None:
    values, owner = gaps_of(40, 12, 0.3)

    assert Clustered(values, owner, (7, 1)).estimates(SHARES) == Clustered(
        values, owner, (7, 1)
    ).estimates(SHARES)


def test_more_than_two_hundred_requests_are_drawn_in_groups() -> None:
    values, owner = gaps_of(5000, 8, 0.3)

    median = Clustered(values, owner, (1,)).estimates((0.5,))[0]

    assert median.low < 1.0 < median.high
    assert median.high - median.low < 0.1


def test_holes_in_the_numbers_of_requests_do_not_matter() -> None:
    values, owner = gaps_of(30, 12, 0.3)

    assert Clustered(values, owner * 7 + 3, (1,)).estimates((0.5,)) == Clustered(
        values, owner, (1,)
    ).estimates((0.5,))


def test_few_requests_have_no_interval_however_many_gaps() -> None:
    values, owner = gaps_of(9, 1000, 0.1)

    found = Clustered(values, owner, (1,)).estimates((0.5,))

    assert [each.quality for each in found] == [
        "not estimable: needs 10 requests with gaps, has 9"
    ] * 2
    assert all(math.isnan(each.value) for each in found)


def test_constant_gaps_are_worth_all_of_themselves() -> None:
    found = Clustered(np.full(400, 0.01), np.repeat(np.arange(40), 10), (1,)).estimates((0.99,))

    assert (found[0].low, found[0].value, found[0].high) == (0.01, 0.01, 0.01)
    assert found[0].n_eff == 400


def test_failed_requests_push_the_upper_bound_to_infinity() -> None:
    values, owner = gaps_of(100, 10, 0.2)
    values[owner >= 92] = np.inf

    p90 = Clustered(values, owner, (1,)).estimates((0.9,))

    assert math.isfinite(p90[0].value)
    assert p90[0].high == math.inf
    assert p90[1].high == math.inf  # the mean of good answers bounds nothing from above


def test_a_percentile_among_failed_requests_has_no_value() -> None:
    values, owner = gaps_of(100, 10, 0.2)
    values[owner >= 70] = np.inf

    p90 = Clustered(values, owner, (1,)).estimates((0.9,), "30 % of requests failed")[0]

    assert math.isnan(p90.value)
    assert p90.quality == "not estimable: 30 % of requests failed"


@settings(max_examples=15, deadline=None)
@given(st.integers(100, 160), st.integers(2, 12), st.floats(0.0, 1.0), st.integers(0, 1000))
def test_an_interval_holds_its_point_and_knows_neither_order_nor_unit(
    requests: int, gaps: int, spread: float, seed: int
) -> None:
    values, owner = gaps_of(requests, gaps, spread, seed)

    found, *_ = Clustered(values, owner, (1,)).estimates((0.5,))
    scaled, *_ = Clustered(1024 * values, owner, (1,)).estimates((0.5,))

    assert found.low <= found.value <= found.high
    assert 1 <= found.n_eff <= len(values)
    assert scaled.value == 1024 * found.value
    assert scaled.low == pytest.approx(1024 * found.low)
