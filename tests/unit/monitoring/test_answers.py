"""What Prometheus answers becomes a frame, or an error of the right kind."""

from __future__ import annotations

import json
import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalade.monitoring import faults
from escalade.monitoring.answers import COLUMNS, Samples, decode, labels_json

UP = {"__name__": "up", "job": "node"}


def matrix(*series: tuple[dict[str, str], list[list[Any]]]) -> dict[str, Any]:
    result = [{"metric": labels, "values": values} for labels, values in series]
    return {"resultType": "matrix", "result": result}


def frame_of(*answers: Any) -> pd.DataFrame:
    samples = Samples()
    for answer in answers:
        samples.add(answer)
    return samples.frame()


def test_labels_are_sorted_without_spaces_and_without_the_name() -> None:
    assert labels_json({"job": "a b", "__name__": "up", "cpu": "é"}) == '{"cpu":"é","job":"a b"}'


def test_no_data_is_a_frame_without_rows_but_with_columns_and_types() -> None:
    empty = frame_of(matrix())

    assert empty.empty
    assert tuple(empty.columns) == COLUMNS
    assert empty.dtypes.equals(frame_of(matrix((UP, [[1.0, "2"]]))).dtypes)


def test_rows_are_sorted_by_metric_labels_and_time() -> None:
    frame = frame_of(
        matrix(({"__name__": "up", "job": "z"}, [[3, "1"], [1, "0"]])),
        matrix(({"__name__": "load", "job": "z"}, [[9, "5"]]), (UP, [[2, "1"]])),
    )

    assert frame["metric"].tolist() == ["load", "up", "up", "up"]
    assert frame["labels"].tolist()[1] == '{"job":"node"}'
    assert frame["timestamp"].tolist() == [9, 2, 1, 3]


def test_a_window_includes_its_start_and_excludes_its_end() -> None:
    samples = Samples()

    found = samples.add(matrix((UP, [[9.999, "1"], [10, "2"], [10.5, "3"], [11, "4"]])), 10, 11)

    assert found == 4  # what came over the wire
    assert samples.frame()["value"].tolist() == [2, 3]


def test_infinities_and_nan_are_values() -> None:
    values = frame_of(matrix((UP, [[1, "+Inf"], [2, "-Inf"], [3, "NaN"]])))["value"].tolist()

    assert values[:2] == [math.inf, -math.inf]
    assert math.isnan(values[2])


def test_vectors_and_scalars_are_read_too() -> None:
    vector = {"resultType": "vector", "result": [{"metric": UP, "value": [7, "1"]}]}

    assert frame_of(vector)["value"].tolist() == [1]
    scalar = frame_of({"resultType": "scalar", "result": [7, "3"]})
    assert scalar.to_dict("list") == {
        "metric": [""],
        "labels": ["{}"],
        "timestamp": [7],
        "value": [3],
    }


def test_native_histograms_are_left_out() -> None:
    answer = {"resultType": "vector", "result": [{"metric": UP, "histogram": [7, {}]}]}

    assert frame_of(answer).empty


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.floats(allow_nan=False)),
        unique_by=lambda sample: sample[:2],
        max_size=30,
    ),
    st.integers(0, 50),
)
def test_two_pieces_give_the_same_frame_as_one(
    points: list[tuple[str, int, float]], cut: int
) -> None:
    answer = matrix(
        *(({"__name__": name}, [[at, repr(value)]]) for name, at, value in points),
    )
    pieces = Samples()
    pieces.add(answer, -math.inf, cut)
    pieces.add(answer, cut, math.inf)

    pd.testing.assert_frame_equal(pieces.frame(), frame_of(answer))


@pytest.mark.parametrize(
    ("kind", "words", "expected"),
    [
        ("bad_data", "1:3: parse error: unexpected end", faults.BadQueryError),
        ("bad_data", "exceeded maximum resolution of 11,000", faults.TooManyPointsError),
        ("execution", "vector cannot contain the same labelset", faults.BadQueryError),
        ("execution", "query processing would load too many samples", faults.TooLargeError),
        ("timeout", "query timed out in expression evaluation", faults.QueryTimeoutError),
        ("internal", "no space left on device", faults.PrometheusError),
    ],
)
def test_errors_have_their_own_class_and_the_words_of_prometheus(
    kind: str, words: str, expected: type[Exception]
) -> None:
    body = json.dumps({"status": "error", "errorType": kind, "error": words}).encode()

    with pytest.raises(expected, match="query 'x'.*" + words.replace("(", "\\(")) as caught:
        decode(400, body, "query 'x'")

    assert type(caught.value) is expected


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>It works!</html>", b'{"status":"success","da', b"[1]", b'"up"', b"{}", b"\xff"],
)
def test_a_foreign_or_truncated_answer_is_malformed(body: bytes) -> None:
    with pytest.raises(faults.MalformedAnswerError, match="HTTP 200"):
        decode(200, body, "query 'x'")


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"resultType": "matrix"},
        {"resultType": "string", "result": [1, "a"]},
        {"resultType": "matrix", "result": [{"metric": UP, "values": [[1, "one"]]}]},
        {"resultType": "matrix", "result": [{"metric": UP, "values": [[1]]}]},
        {"resultType": "matrix", "result": [{"metric": UP, "values": [["now", "1"]]}]},
        {"resultType": "vector", "result": [{"metric": [], "value": [1, "1"]}]},
    ],
)
def test_samples_in_an_unknown_form_are_malformed(data: Any) -> None:
    with pytest.raises(faults.MalformedAnswerError, match="unknown form"):
        Samples().add(data)
