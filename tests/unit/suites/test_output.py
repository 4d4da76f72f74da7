"""What a program prints becomes iterations, or one clear message."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.errors import InputError
from escalade.suites.output import Output


def read(text: str, pattern: str | None = None) -> list:
    output = Output("Component x", pattern)
    found = [row for line in text.split("\n") for row in output.take(line)]
    output.end()
    return found


def test_a_number_a_line_is_an_iteration() -> None:
    assert read("1.5\n\n 2e-3 \n") == [{"": 1.5}, {"": 0.002}]


def test_an_object_gives_its_numbers_by_path() -> None:
    line = '{"latency": {"p50": 1, "unit": "ms"}, "ok": true, "rate": 2.5}'

    assert read(line) == [{"latency.p50": 1.0, "rate": 2.5}]


def test_a_list_gives_an_iteration_for_each_entry() -> None:
    assert read('[1, 2.5]\n[{"a": 3}]') == [{"": 1.0}, {"": 2.5}, {"a": 3.0}]


def test_json_over_several_lines_is_one_document() -> None:
    document = {"jobs": [{"name": "a", "read": {"iops": 12.5}}], "both": [1, 2]}
    text = f"{json.dumps(document, indent=1)}\n7"

    assert read(text) == [{"jobs.0.read.iops": 12.5, "both.0": 1.0, "both.1": 2.0}, {"": 7.0}]


def test_a_pattern_reads_numbers_out_of_text() -> None:
    text = "PING\n64 bytes: time=0.045 ms\n64 bytes: time=0.051 ms"

    assert read(text, r"time=(?P<ms>[\d.]+)") == [{"ms": 0.045}, {"ms": 0.051}]


def test_other_lines_are_counted() -> None:
    output = Output("Component x")

    assert output.take("Starting …") == []
    assert output.take("done") == []
    assert (output.ignored, output.first_ignored) == (2, "Starting …")


@pytest.mark.parametrize(
    "text", ["nan", "-inf", '{"a": NaN}', "[1, Infinity]", f'{{"a": 1{"0" * 400}}}']
)
def test_what_is_not_finite_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"line 1: .* is not finite; expected a number"):
        read(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": "text"}', "holds no number"),
        ("{}", "holds no number"),
        ('["text"]', "expected numbers or objects of numbers"),
        ('{"a": 1,', "JSON that does not end"),
    ],
)
def test_json_without_numbers_is_refused(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(text)


def test_a_group_that_is_no_number_is_refused() -> None:
    with pytest.raises(InputError, match=r"the group 'ms' of the pattern is 'x'"):
        read("time=x", r"time=(?P<ms>\w+)")


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_numbers_come_back_as_they_were_printed(values: list[float]) -> None:
    plain = read("\n".join(map(repr, values)))
    document = read(json.dumps([{"a": value} for value in values], indent=2))

    assert plain == [{"": value} for value in values]
    assert document == [{"a": value} for value in values]


@given(st.text(max_size=60))
def test_any_text_gives_finite_numbers_or_one_message(text: str) -> None:
    try:
        found = read(text)
    except InputError:
        return
    assert all(abs(number) < float("inf") for row in found for number in row.values())
