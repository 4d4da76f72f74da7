"""A quantile from buckets carries a bracket that surely holds the true one."""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.monitoring.windows.quantiles import BucketQuantile, bucket_quantile

BOUNDS = [0.1, 0.2, 0.5, 1.0, math.inf]


def buckets_of(observed: list[float], bounds: list[float]) -> dict[float, float]:
    """Fill cumulative buckets as a client library does: `le` is less or equal."""
    return {bound: float(sum(value <= bound for value in observed)) for bound in bounds}


def test_a_quantile_lies_between_the_bounds_of_its_bucket() -> None:
    # 100 observations: 50 up to 0.1, 40 up to 0.2, 8 up to 0.5, 2 up to 1. Rank 95 is the fifth
    # of the eight in (0.2, 0.5]: 0.2 + 0.3·5/8 = 0.3875
    growth = {0.1: 50.0, 0.2: 90.0, 0.5: 98.0, 1.0: 100.0, math.inf: 100.0}

    found = bucket_quantile(growth, 0.95)

    assert found == BucketQuantile(pytest.approx(0.3875), 0.2, 0.5, 100)


def test_between_two_buckets_the_bracket_has_both() -> None:
    # of 100, rank 50 is the last one up to 0.1 and rank 51 the first one above it
    growth = {0.1: 50.0, 0.2: 100.0, math.inf: 100.0}

    found = bucket_quantile(growth, 0.5)

    assert found is not None
    assert (found.low, found.value, found.high) == (0.0, pytest.approx(0.1), 0.2)


def test_above_the_highest_bound_there_is_a_lower_end_and_no_value() -> None:
    found = bucket_quantile({0.1: 50.0, 1.0: 90.0, math.inf: 100.0}, 0.99)

    assert found is not None
    assert (found.low, found.high) == (1.0, math.inf)
    assert math.isnan(found.value)


def test_nothing_observed_is_no_quantile() -> None:
    assert bucket_quantile({0.1: 0.0, math.inf: 0.0}, 0.5) is None
    assert bucket_quantile({}, 0.5) is None


def test_without_the_bucket_that_counts_all_there_is_none() -> None:
    assert bucket_quantile({0.1: 5.0, 0.2: 10.0}, 0.5) is None


def test_negative_bounds_have_no_floor() -> None:
    found = bucket_quantile({-1.0: 10.0, 0.0: 10.0, math.inf: 10.0}, 0.5)

    assert found == BucketQuantile(-1.0, -math.inf, -1.0, 10)


@given(
    observed=st.lists(st.floats(0, 2, allow_subnormal=False), min_size=1, max_size=200),
    bounds=st.lists(st.floats(0.001, 1.5), min_size=1, max_size=12, unique=True),
    share=st.floats(0.001, 0.999),
)
def test_the_bracket_holds_the_true_quantile(
    observed: list[float], bounds: list[float], share: float
) -> None:
    found = bucket_quantile(buckets_of(observed, [*bounds, math.inf]), share)

    assert found is not None
    assert found.count == len(observed)
    for method in ("linear", "inverted_cdf"):
        true = float(np.quantile(observed, share, method=method))
        assert found.low - 1e-12 <= true <= found.high + 1e-12
    if not math.isnan(found.value):
        assert found.low <= found.value <= found.high


@given(observed=st.lists(st.floats(0, 2), min_size=1, max_size=60), share=st.floats(0.01, 0.99))
def test_the_value_is_that_of_histogram_quantile(observed: list[float], share: float) -> None:
    """By the formula of PromQL's documentation, worked out apart from the code."""
    counts = list(buckets_of(observed, BOUNDS).values())
    rank = share * len(observed)
    bucket = bisect_left(counts, rank)

    found = bucket_quantile(buckets_of(observed, BOUNDS), share)

    assert found is not None
    if bucket == len(BOUNDS) - 1:
        assert math.isnan(found.value)
        return
    low, before = (BOUNDS[bucket - 1], counts[bucket - 1]) if bucket else (0.0, 0.0)
    expected = low + (BOUNDS[bucket] - low) * (rank - before) / (counts[bucket] - before)
    assert found.value == pytest.approx(expected)
