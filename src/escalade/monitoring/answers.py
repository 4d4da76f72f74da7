"""Answers of the Prometheus HTTP API, as frames.

Every frame has the columns `metric` (the name, "" where an expression has none),
`labels` (canonical JSON of all labels but the name: sorted keys, no spaces),
`timestamp` (Unix s) and `value`, sorted by metric, labels, timestamp. No data is
a frame without rows, never a zero.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from escalade.monitoring.faults import (
    BadQueryError,
    MalformedAnswerError,
    PrometheusError,
    QueryTimeoutError,
    TooLargeError,
    TooManyPointsError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

COLUMNS = ("metric", "labels", "timestamp", "value")
"""Columns of every frame of samples."""

_NAME = "__name__"


def decode(status: int, body: bytes, asked: str) -> Any:
    """Give the `data` of an answer.

    Parameters
    ----------
    status
        HTTP status.
    body
        The JSON document.
    asked
        What was asked; it begins the message of every error.

    Raises
    ------
    BadQueryError, TooManyPointsError, QueryTimeoutError, TooLargeError, PrometheusError
        By the error type that Prometheus names, with its own words.
    MalformedAnswerError
        When the body is not an answer of this API.
    """
    try:
        content = json.loads(body)
        if content["status"] == "success":
            return content.get("data")
        kind, words = str(content["errorType"]), str(content["error"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _malformed(status, body, asked) from error
    raise _refusal(kind, words, asked)


def labels_json(labels: Mapping[str, str]) -> str:
    """Give the canonical JSON of all labels but the metric's name.

    Examples
    --------
    >>> labels_json({"__name__": "up", "job": "node", "instance": "a:1"})
    '{"instance":"a:1","job":"node"}'
    """
    kept = {key: value for key, value in labels.items() if key != _NAME}
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class Samples:
    """Gathers the samples of several answers column by column."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], int] = {}
        self._codes: list[NDArray[np.int32]] = []
        self._times: list[NDArray[np.float64]] = []
        self._values: list[NDArray[np.float64]] = []

    def add(self, data: Any, start: float = -math.inf, end: float = math.inf) -> int:
        """Take what lies in [start, end) from the `data` of an answer.

        Parameters
        ----------
        data
            Of the type vector, matrix or scalar. Native histograms are left out.
        start, end
            Unix seconds.

        Returns
        -------
        int
            How many samples the answer held, inside or outside.

        Raises
        ------
        MalformedAnswerError
            When `data` is none of these types.
        """
        times: list[float] = []
        values: list[float] = []
        codes: list[int] = []
        lengths: list[int] = []
        try:
            for labels, points in _points(data):
                codes.append(self._code(labels))
                lengths.append(len(points))
                times.extend([point[0] for point in points])
                values.extend([float(point[1]) for point in points])
            stamps = np.array(times, dtype=np.float64)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise MalformedAnswerError(
                f"Prometheus gave samples in an unknown form ({error!r}). Expected a vector, "
                "a matrix or a scalar; does something else listen at that address?"
            ) from error
        inside = (stamps >= start) & (stamps < end)
        self._codes.append(np.repeat(np.array(codes, dtype=np.int32), lengths)[inside])
        self._times.append(stamps[inside])
        self._values.append(np.array(values, dtype=np.float64)[inside])
        return len(times)

    def frame(self) -> pd.DataFrame:
        """Give all that was taken, sorted by metric, labels and timestamp."""
        import pandas as pd  # noqa: PLC0415 - half a second that most steps do without

        names = list(self._series)
        rank = np.empty(len(names), dtype=np.int32)
        rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
        codes = _joined(self._codes, np.int32)
        times = _joined(self._times, np.float64)
        order = np.lexsort((times, rank[codes]))
        codes = codes[order]
        return pd.DataFrame(
            {
                "metric": _spelled(codes, [metric for metric, _ in names]),
                "labels": _spelled(codes, [labels for _, labels in names]),
                "timestamp": times[order],
                "value": _joined(self._values, np.float64)[order],
            }
        )

    def _code(self, labels: Mapping[str, str]) -> int:
        key = (labels.get(_NAME, ""), labels_json(labels))
        return self._series.setdefault(key, len(self._series))


def _points(data: Any) -> list[tuple[Mapping[str, str], Sequence[Any]]]:
    kind, result = data["resultType"], data["result"]
    if kind == "matrix":
        return [(series["metric"], series["values"]) for series in result if "values" in series]
    if kind == "vector":
        return [(series["metric"], [series["value"]]) for series in result if "value" in series]
    if kind == "scalar":
        return [({}, [result])]
    raise ValueError(kind)


def _joined(parts: list[NDArray[Any]], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=kind), *parts])


def _spelled(codes: NDArray[np.int32], words: list[str]) -> pd.Series[str]:
    """Write out one word per row; Arrow does it without a Python string per row."""
    import pandas as pd  # noqa: PLC0415 - the same
    import pyarrow as pa  # noqa: PLC0415

    dictionary = pa.array(words, type=pa.large_string())
    column = pa.DictionaryArray.from_arrays(pa.array(codes), dictionary).dictionary_decode()
    return pd.Series(pd.array(column, dtype="str"))


def _malformed(status: int, body: bytes, asked: str) -> MalformedAnswerError:
    start = body[:200].decode("utf-8", errors="replace")
    return MalformedAnswerError(
        f"{asked}: the answer (HTTP {status}) is none of the Prometheus HTTP API: {start!r}. "
        "Does something else listen at that address?"
    )


def _refusal(kind: str, words: str, asked: str) -> PrometheusError | BadQueryError:
    said = f"{asked}: Prometheus says: {words}"
    if kind == "bad_data" and "maximum resolution" in words:
        return TooManyPointsError(f"{said}. Ask for a shorter time or a longer step.")
    if kind == "execution" and "too many samples" in words:
        return TooLargeError(f"{said}. Ask for a shorter time or fewer series.")
    if kind == "timeout":
        return QueryTimeoutError(f"{said}. Ask for a shorter time or fewer series.")
    if kind in {"bad_data", "execution"}:
        return BadQueryError(f"{said}.")
    return PrometheusError(f"{said} ({kind}).")
