"""The Universal Scalability Law: its peak by hand, and its fit to throughputs that follow it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.analysis.stats.scalability import Scalability, scalability

RATES = np.array([5.0, 10.0, 20.0, 40.0, 80.0])


def test_the_peak_and_where_it_lies_by_hand() -> None:
    law = Scalability(contention=0.01, crosstalk=0.0016)

    # 1 / (0.01 + 2 · 0.04) = 1 / 0.09, at r = 1 / 0.04 = 25
    assert law.peak == pytest.approx(100 / 9)
    assert law.throughput(np.array([25.0])) == pytest.approx([100 / 9])


def test_a_service_without_limits_answers_what_it_is_offered() -> None:
    law = scalability(RATES, RATES, np.ones(5))

    assert (law.contention, law.crosstalk) == (pytest.approx(0, abs=1e-12),) * 2
    assert Scalability(0.0, 0.0).peak == math.inf


@given(st.floats(1e-4, 0.1), st.floats(1e-6, 1e-2))
def test_the_law_is_found_in_throughputs_that_follow_it(
    contention: float, crosstalk: float
) -> None:
    truth = Scalability(contention, crosstalk)

    found = scalability(RATES, truth.throughput(RATES), np.ones(5))

    assert found.throughput(RATES) == pytest.approx(truth.throughput(RATES), rel=1e-6)
    assert found.peak == pytest.approx(truth.peak, rel=1e-4)


@given(st.lists(st.floats(0.1, 100.0), min_size=5, max_size=5))
def test_no_throughput_exceeds_the_peak_whatever_was_measured(measured: list[float]) -> None:
    found = scalability(RATES, np.array(measured), np.ones(5))

    assert found.contention >= 0
    assert found.crosstalk >= 0
    assert (found.throughput(RATES) <= found.peak * (1 + 1e-9)).all()
