"""How far a value is from its limit: positive on the good side, a share of the limit where it has one."""

from __future__ import annotations

import pytest

from escalade.analysis.measured.cell import Slo
from escalade.analysis.verdicts.decisions import margins


def test_the_margin_is_what_is_left_to_an_upper_limit() -> None:
    slo = Slo("soon", "latency_seconds", "p90", 2.0)

    found = margins(slo, {"value": 1.5, "ci_low": 1.2, "ci_high": 2.5})

    # 2.0 - 1.5 = 0.5 s, a quarter of the limit; the worse end is half a second beyond it
    assert found == pytest.approx(
        {"margin": 0.5, "margin_ratio": 0.25, "margin_worse": -0.5, "margin_worse_ratio": -0.25}
    )


def test_a_limit_of_zero_has_no_shares() -> None:
    slo = Slo("no errors", "error_ratio", "value", 0.0)

    found = margins(slo, {"value": 0.0, "ci_low": 0.0, "ci_high": 0.01})

    assert (found["margin"], found["margin_worse"]) == (0.0, -0.01)
    assert found["margin_ratio"] is None
    assert found["margin_worse_ratio"] is None


def test_a_missing_value_has_no_margin() -> None:
    slo = Slo("soon", "latency_seconds", "p90", 2.0)

    assert set(margins(slo, {"value": None, "ci_low": None, "ci_high": None}).values()) == {None}
