"""Arrival processes: how many, in order, and distributed as they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalade.load.arrivals import Bursts, Constant, Gamma, Poisson, Process, Ramp, process_of

MANY = 20_000
rates = st.floats(0, 100, allow_subnormal=False)
ramps = st.lists(st.tuples(st.floats(0, 1), rates), min_size=0, max_size=6).flatmap(
    lambda inner: st.builds(
        lambda first, last: Ramp(((0.0, first), *sorted(inner), (1.0, last))),
        st.floats(0.1, 100),
        rates,
    )
)
bursts = st.builds(
    lambda period, share, inside: Bursts(period, share * period, inside),
    st.floats(0.5, 20),
    st.floats(0.05, 0.95),
    st.floats(0.01, 1),
)
processes = st.one_of(
    st.just(Constant()), st.just(Poisson()), st.builds(Gamma, st.floats(0.05, 20)), ramps, bursts
)


@settings(max_examples=100)
@given(processes, st.integers(0, 500), st.floats(0.1, 100), st.integers(0, 2**32))
def test_a_process_gives_as_many_arrivals_as_asked_in_order_and_inside(
    process: Process, count: int, seconds: float, seed: int
) -> None:
    drawn = process.draw(count, seconds, np.random.default_rng(seed))

    assert len(drawn) == count
    assert np.isfinite(drawn).all()
    assert (np.diff(drawn) >= 0).all()
    assert count == 0 or (drawn[0] >= 0 and drawn[-1] <= seconds)


@pytest.mark.parametrize("cv", [0.2, 1.0, 3.0])
def test_gamma_gaps_vary_as_asked(cv: float) -> None:
    gaps = np.diff(Gamma(cv).draw(MANY, 100.0, np.random.default_rng(1)))

    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)


def test_a_ramp_from_nothing_has_a_quarter_of_its_arrivals_in_the_first_half() -> None:
    drawn = Ramp(((0.0, 0.0), (1.0, 2.0))).draw(MANY, 10.0, np.random.default_rng(1))

    assert (drawn < 5.0).mean() == pytest.approx(0.25, abs=0.01)  # the integral of 2x up to 1/2
    assert (drawn < 9.0).mean() == pytest.approx(0.81, abs=0.01)


def test_a_jump_in_a_ramp_is_a_jump_of_the_rate() -> None:
    points = ((0.0, 1.0), (0.5, 1.0), (0.5, 3.0), (1.0, 3.0))
    drawn = Ramp(points).draw(MANY, 1.0, np.random.default_rng(1))

    assert (drawn < 0.5).mean() == pytest.approx(0.25, abs=0.01)
    assert Ramp(points).mean == 2.0


def test_a_ramp_that_stays_level_is_a_poisson_process() -> None:
    level = Ramp(((0.0, 3.0), (1.0, 3.0))).draw(MANY, 10.0, np.random.default_rng(1))

    assert level == pytest.approx(Poisson().draw(MANY, 10.0, np.random.default_rng(1)))


def test_bursts_hold_their_share_of_whole_periods() -> None:
    drawn = Bursts(10.0, 2.0, 0.6).draw(MANY, 100.0, np.random.default_rng(1))

    assert (drawn % 10 < 2).mean() == pytest.approx(0.6, abs=0.01)


def test_bursts_with_all_arrivals_leave_the_rest_empty() -> None:
    drawn = Bursts(10.0, 2.0, 1.0).draw(500, 35.0, np.random.default_rng(1))

    assert (drawn % 10 <= 2 + 1e-9).all()
    assert {int(at // 10) for at in drawn} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("kind", "parameters", "said"),
    [
        ("bursty", {}, "must be one of poisson, constant, gamma"),
        ("poisson", {"cv": 2.0}, "takes no parameter"),
        ("gamma", {"cv": 0.0}, "cv must be between"),
        ("bursts", {"period_seconds": 1, "burst_seconds": 1, "burst_share": 0.5}, "less than"),
        ("bursts", {"period_seconds": 2, "burst_seconds": 1, "burst_share": 0}, "burst_share"),
        ("ramp", {"points": [[0, 1]]}, "two or more"),
        ("ramp", {"points": [[0.1, 1], [1, 1]]}, "at 0 and the last at 1"),
        ("ramp", {"points": [[0, 1], [0.6, 1], [0.5, 1], [1, 1]]}, "must not fall"),
        ("ramp", {"points": [[0, 0], [1, 0]]}, "not all 0"),
        ("ramp", {"points": [[0, 1], [0.5, -1], [1, 1]]}, "0 or more"),
    ],
)
def test_an_impossible_process_is_refused(kind: str, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        process_of(kind, parameters)
