"""Answers of the Prometheus HTTP API, as frames.

Every frame has the columns `metric` (the name, "" where an expression has none),
`labels` (canonical JSON of all labels but the name: sorted keys, no spaces),
`timestamp` (Unix s) and `value`, sorted by metric, labels, timestamp. No data is
a frame without rows, never a zero.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
from dataclasses import dataclass
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
from escalade.monitoring.matrix import matrix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

COLUMNS = ("metric", "labels", "timestamp", "value")
"""Columns of every frame of samples."""

_NAME = "__name__"
_UNAVAILABLE = 503


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
        if status == _UNAVAILABLE:
            raise PrometheusError(
                f"{asked}: the answer is HTTP 503: a Prometheus that still loads its data, or "
                "something before it that does not reach it. Ask again in a moment."
            ) from error
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


@dataclass(frozen=True, slots=True)
class Track:
    """The samples of one series in ascending time.

    Parameters
    ----------
    metric, labels
        As in the frames: the labels are canonical JSON.
    times
        Unix seconds.
    values
        One for each time.
    """

    metric: str
    labels: str
    times: NDArray[np.float64]
    values: NDArray[np.float64]


def name_of(labels: Mapping[str, str]) -> tuple[str, str]:
    """Name a series as the frames do: its metric, and the canonical JSON of its other labels."""
    return labels.get(_NAME, ""), labels_json(labels)


@functools.lru_cache(maxsize=1 << 14)
def _named(labels: str) -> tuple[str, str]:
    """Name a series by the JSON of its labels, which is the same in every piece of a window."""
    return name_of(json.loads(labels))


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
        every = np.repeat(np.array(codes, dtype=np.int32), lengths)
        self._keep(every, stamps, np.array(values, dtype=np.float64), start, end)
        return len(times)

    def add_answer(
        self, status: int, body: bytes, asked: str, start: float = -math.inf, end: float = math.inf
    ) -> int:
        """Take the same from a whole answer; of many samples in a fifth of the time of `decode`."""
        quick = matrix(body)
        try:
            names = [] if quick is None else [_named(labels) for labels in quick.labels]
        except (ValueError, AttributeError):
            quick = None
        if quick is None:
            return self.add(decode(status, body, asked), start, end)
        codes = np.array([self._number(name) for name in names], dtype=np.int32)
        self._keep(np.repeat(codes, quick.lengths), quick.times, quick.values, start, end)
        return len(quick.times)

    def join(self, other: Samples) -> None:
        """Take all that another one has taken."""
        place = [self._series.setdefault(key, len(self._series)) for key in other._series]
        own = np.array(place, dtype=np.int32)
        self._codes += [own[codes] for codes in other._codes]
        self._times += other._times
        self._values += other._values

    def __len__(self) -> int:
        """Give the number of samples."""
        return sum(len(times) for times in self._times)

    def tracks(self) -> Iterator[Track]:
        """Give series by series what was taken, sorted by metric, labels and timestamp."""
        names, codes, times, values = self._sorted()
        edges = np.flatnonzero(np.diff(codes, prepend=-1, append=-1))
        for begin, end in itertools.pairwise(edges.tolist()):
            metric, labels = names[codes[begin]]
            yield Track(metric, labels, times[begin:end], values[begin:end])

    def table(self) -> pa.Table:
        """Give what `frame` gives as an Arrow table."""
        import pyarrow as pa  # noqa: PLC0415 - the same as in `frame`

        names, codes, times, values = self._sorted()
        columns = {
            "metric": _spelled(codes, [metric for metric, _ in names]),
            "labels": _spelled(codes, [labels for _, labels in names]),
            "timestamp": pa.array(times),
            "value": pa.array(values),
        }
        return pa.table(columns)

    def frame(self) -> pd.DataFrame:
        """Give all that was taken, sorted by metric, labels and timestamp."""
        import pandas as pd  # noqa: PLC0415 - half a second that most steps do without

        names, codes, times, values = self._sorted()
        return pd.DataFrame(
            {
                "metric": _series(codes, [metric for metric, _ in names]),
                "labels": _series(codes, [labels for _, labels in names]),
                "timestamp": times,
                "value": values,
            }
        )

    def _sorted(
        self,
    ) -> tuple[list[tuple[str, str]], NDArray[np.int32], NDArray[np.float64], NDArray[np.float64]]:
        names = list(self._series)
        rank = np.empty(len(names), dtype=np.int32)
        rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
        codes = _joined(self._codes, np.int32)
        times = _joined(self._times, np.float64)
        order = np.lexsort((times, rank[codes]))
        return names, codes[order], times[order], _joined(self._values, np.float64)[order]

    def _keep(
        self,
        codes: NDArray[np.int32],
        times: NDArray[np.float64],
        values: NDArray[np.float64],
        start: float,
        end: float,
    ) -> None:
        inside = (times >= start) & (times < end)
        self._codes.append(codes[inside])
        self._times.append(times[inside])
        self._values.append(values[inside])

    def _code(self, labels: Mapping[str, str]) -> int:
        return self._number(name_of(labels))

    def _number(self, name: tuple[str, str]) -> int:
        return self._series.setdefault(name, len(self._series))


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


def _spelled(codes: NDArray[np.int32], words: list[str]) -> pa.Array:
    """Write out one word per row; Arrow does it without a Python string per row."""
    import pyarrow as pa  # noqa: PLC0415 - the same

    dictionary = pa.array(words, type=pa.large_string())
    return pa.DictionaryArray.from_arrays(pa.array(codes), dictionary).dictionary_decode()


def _series(codes: NDArray[np.int32], words: list[str]) -> pd.Series[str]:
    import pandas as pd  # noqa: PLC0415 - the same

    return pd.Series(pd.array(_spelled(codes, words), dtype="str"))


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
