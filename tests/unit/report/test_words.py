"""Numbers and names as they are printed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.analysis.kpis.catalogue import METRICS
from escalade.report import words

NAN = math.nan


def spoken(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("value", "low", "high", "unit", "text"),
    [
        (2.94, 2.84, 3.04, "requests/s", "2.9 requests/s [2.8, 3.0]"),
        (0.6123, 0.5501, 0.7012, "s", "0.61 s [0.55, 0.70]"),
        (0.0412, 0.0401, 0.0424, "s", "41 ms [40, 42]"),
        (0.00012, NAN, NAN, "s", "120 µs"),
        (262144000.0, NAN, NAN, "bytes", "250 MiB"),
        (0.25, 0.2, 0.3, "ratio", "25 % [20, 30]"),
        (1.6, 1.2, math.inf, "s", "1.6 s [1.2, ∞)"),
        (12345.6, NAN, NAN, "1/s", "12 346/s"),
        (0.0, 0.0, 0.094, "requests/s", "0 requests/s [0, 0.09]"),
        (NAN, 1.0, 2.0, "s", "—"),
    ],
)
def test_a_number_has_the_digits_that_its_interval_supports(
    value: float, low: float, high: float, unit: str, text: str
) -> None:
    assert spoken(words.amount(value, low, high, unit)) == text


@given(st.floats(allow_nan=True, allow_infinity=True), st.sampled_from(["s", "bytes", "1/s", ""]))
def test_any_number_can_be_written(value: float, unit: str) -> None:
    text = words.single(value, unit)

    assert (text == words.NOTHING) == (not math.isfinite(value))


@given(st.floats(1e-6, 1e6))
def test_a_written_number_reads_back_within_half_a_percent(value: float) -> None:
    text = words.plain(value).replace("\N{NARROW NO-BREAK SPACE}", "")

    assert float(text) == pytest.approx(value, rel=5.1e-3)


def test_a_number_that_rounding_left_is_written_with_its_power_of_ten() -> None:
    assert words.single(2.78e-18, "ratio") == "2.78e−16\N{NO-BREAK SPACE}%"
    assert words.plain(-5e-9) == "−5e−9"
    assert words.plain(1e-6) == "0.000001"
    assert words.plain(1e-9, 3) == "0.000"  # beside an interval that supports no more
    assert words.amount(3e-9, 1e-9, 6e-9, "") == "3e−9 [1e−9,\N{NO-BREAK SPACE}6e−9]"


@given(st.floats(1e-300, 1e-6, exclude_max=True), st.sampled_from([1, -1]))
def test_a_tiny_number_reads_back_too(size: float, sign: int) -> None:
    text = words.plain(sign * size)

    assert len(text) < 12
    assert float(text.replace("−", "-")) == pytest.approx(sign * size, rel=5.1e-3)


def test_a_change_has_its_sign() -> None:
    assert spoken(words.change(-0.25)) == "−25.0 %"
    assert spoken(words.change(0.031)) == "+3.1 %"
    assert words.change(math.inf) == "—"


def test_steps_are_named_in_runs() -> None:
    assert words.steps([3]) == "step 3"
    assert words.steps([2, 1]) == "steps 1 and 2"
    assert words.steps([1, 2, 3, 6, 6]) == "steps 1 to 3 and 6"


def test_a_rate_is_written_as_the_plan_names_it() -> None:
    assert [words.rate(rate) for rate in (0.5, 2.0, 2.25, 100.0)] == ["0.5", "2", "2.25", "100"]


def test_an_interval_from_json_is_open_where_one_bound_is_null() -> None:
    assert words.bounds(1.0, None) == (1.0, math.inf)
    assert words.bounds(None, 2.0) == (-math.inf, 2.0)
    assert all(math.isnan(bound) for bound in words.bounds(None, None))


def test_a_sentence_leaves_names_as_they_are() -> None:
    assert words.sentence("the cell failed") == "The cell failed."
    assert words.sentence("p90 is missing.") == "p90 is missing."


def test_a_verdicts_reason_is_told_without_the_numbers_beside_it() -> None:
    reason = "p90 1.44 s, 95 % [1.11, unbounded], limit 1.5 s; about 6 more requests would decide"

    assert words.remaining_reason(reason) == "about 6 more requests would decide"
    assert words.remaining_reason("p90 0.6 s, 95 % [0.5, 0.7], limit 1.5 s") == ""
    assert words.remaining_reason("gate late_ratio: too late") == "gate late_ratio: too late"


def test_text_loses_what_could_fake_other_text() -> None:
    assert words.clean("a\x00b\x1b[31m\u202ec\n") == "a b [31m c"


def test_every_metric_of_the_catalogue_has_a_title() -> None:
    assert [metric.name for metric in METRICS if metric.name not in words.TITLES] == []
