"""The quantiles behind the intervals are scipy.stats' own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from escalade.analysis.stats import distributions

shares = st.floats(0.001, 0.999)


@given(share=shares, trials=st.integers(1, 5000), chance=st.floats(0.01, 0.99))
def test_the_binomial_quantile_is_the_first_to_reach_its_share(
    share: float, trials: int, chance: float
) -> None:
    found = distributions.binomial_quantile(share, trials, chance)

    # scipy.stats' own ppf falls to either side of a tie, so its cdf is the judge
    assert stats.binom.cdf(found, trials, chance) >= share - 1e-9
    assert stats.binom.cdf(found - 1, trials, chance) < share + 1e-9


@given(share=shares, freedom=st.integers(1, 10_000))
def test_students_quantiles_agree(share: float, freedom: int) -> None:
    expected = float(stats.t.ppf(share, freedom))

    assert distributions.student_quantile(share, freedom) == pytest.approx(expected, rel=1e-7)


@given(share=shares, freedom=st.integers(1, 10_000))
def test_chi_squared_quantiles_agree(share: float, freedom: int) -> None:
    expected = float(stats.chi2.ppf(share, freedom))

    assert distributions.chi_squared_quantile(share, freedom) == pytest.approx(expected, rel=1e-7)


def test_the_normal_quantile_is_the_known_one() -> None:
    assert distributions.normal_quantile(0.975) == pytest.approx(1.959964, abs=1e-6)


def test_the_binomial_cdf_is_worked_out_by_hand() -> None:
    # two coins: no head 1/4, at most one 3/4
    assert distributions.binomial_cdf(0, 2, 0.5) == pytest.approx(0.25)
    assert distributions.binomial_cdf(1, 2, 0.5) == pytest.approx(0.75)
