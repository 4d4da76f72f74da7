"""A large answer is read as JSON would be read, or left to JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.monitoring.answers import Samples
from escalade.monitoring.faults import MalformedAnswerError
from escalade.monitoring.matrix import matrix

VALUES = st.one_of(
    st.floats(allow_nan=False).map(repr), st.sampled_from(["NaN", "+Inf", "-Inf", "1e-05", "7"])
)
TIMES = st.integers(0, 2_000_000_000_000).map(lambda milliseconds: milliseconds / 1000)
LABELS = st.dictionaries(
    st.sampled_from(["__name__", "job", "path"]),
    st.text(max_size=12) | st.sampled_from(['"}],"values":[[1,"2"]]', "]]", '"metric":', "\\"]),
    max_size=3,
)


def answer(result: list[dict[str, object]], *, ascii_only: bool = False) -> bytes:
    data = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    return json.dumps(data, separators=(",", ":"), ensure_ascii=ascii_only).encode()


@given(
    series=st.lists(
        st.tuples(LABELS, st.lists(st.tuples(TIMES, VALUES), min_size=1, max_size=5)), max_size=5
    ),
    ascii_only=st.booleans(),
)
def test_it_reads_what_json_reads(
    series: list[tuple[dict[str, str], list[tuple[float, str]]]], *, ascii_only: bool
) -> None:
    result = [
        {"metric": labels, "values": [list(point) for point in points]} for labels, points in series
    ]

    found = matrix(answer(result, ascii_only=ascii_only))

    assert found is not None
    assert [json.loads(labels) for labels in found.labels] == [labels for labels, _ in series]
    points = [point for _, several in series for point in several]
    assert found.times.tolist() == [time for time, _ in points]
    expected = np.array([float(value) for _, value in points])
    assert np.array_equal(found.values, expected, equal_nan=True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"<html>",
        b'{"status":"error","errorType":"execution","error":"x"}',
        b'{"status":"success","data":{"resultType":"vector","result":[]}}',
        b'{"status": "success", "data": {"resultType": "matrix", "result": []}}',
        answer([{"metric": {}, "values": [[1, "2"]], "histograms": []}]),
        answer([{"metric": {}, "histograms": [[1, {}]]}]),
        answer([{"values": [[1, "2"]], "metric": {}}]),
        answer([{"metric": {}, "values": [[1, "x"]]}]),
        answer([{"metric": {}, "values": [[1, "2", "3"]]}]),
        answer([{"metric": {}, "values": []}]),
        answer([{"metric": {}, "values": [[1, "2"]]}])[:-8],
    ],
)
def test_everything_else_is_left_to_json(body: bytes) -> None:
    assert matrix(body) is None


def test_an_answer_of_either_form_gives_the_same_samples() -> None:
    body = answer([{"metric": {"__name__": "up"}, "values": [[k, f"{k}"] for k in range(10)]}])
    quick, slow = Samples(), Samples()

    assert quick.add_answer(200, body, "x", 2, 5) == 10
    assert slow.add_answer(200, body.replace(b",", b", "), "x", 2, 5) == 10

    assert quick.frame().equals(slow.frame())
    assert quick.frame()["value"].tolist() == [2.0, 3.0, 4.0]


def test_labels_that_are_no_json_are_told_as_an_answer_that_is_none() -> None:
    body = answer([{"metric": {"a": "b"}, "values": [[1, "2"]]}])

    for damaged in (b'{"a"', b"[]", b'{"a":"b"}x'):
        with pytest.raises(MalformedAnswerError):
            Samples().add_answer(200, body.replace(b'{"a":"b"}', damaged), "x")


def test_no_sample_is_an_answer_too() -> None:
    found = matrix(answer([]))

    assert found is not None
    assert len(found.times) == 0
    assert not math.isnan(found.values.sum())
