"""Large answers, read fast: the samples of a matrix without a Python object for each.

Most of the time of a collection would else go into objects of JSON. Only answers in the very
form that Prometheus writes are read here; for all others there is `answers.decode`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BEGIN = '{"status":"success","data":{"resultType":"matrix","result":['
_METRIC, _VALUES, _NEXT, _END = '{"metric":', ',"values":[[', "],[", "]]"
_PUNCTUATION = b'[]"'


@dataclass(frozen=True, slots=True)
class Matrix:
    """All samples of an answer, series by series.

    Parameters
    ----------
    labels
        Of each series, with its name: JSON, as it stands in the answer.
    lengths
        Its number of samples.
    times, values
        Of all series, one after the other.
    """

    labels: list[str]
    lengths: list[int]
    times: NDArray[np.float64]
    values: NDArray[np.float64]


def matrix(body: bytes) -> Matrix | None:
    """Read an answer; None when it is anything else than a matrix of plain samples.

    Notes
    -----
    A series' labels end where its samples begin: a quotation mark in a label has a backslash before
    it, so no text in them is taken for that. Its samples are numbers, plain and in quotes, up to the
    first "]]".

    Examples
    --------
    >>> found = matrix(
    ...     b'{"status":"success","data":{"resultType":"matrix","result":['
    ...     b'{"metric":{"a":"b"},"values":[[1.5,"+Inf"],[2.5,"3"]]}]}}'
    ... )
    >>> found.labels, found.times.tolist(), found.values.tolist()
    (['{"a":"b"}'], [1.5, 2.5], [inf, 3.0])
    """
    try:
        text = body.decode()
        if not text.startswith(_BEGIN):
            return None
        labels, samples = _series(text)
        numbers = _numbers(_NEXT.join(samples))
    except (ValueError, IndexError):
        return None
    lengths = [part.count(_NEXT) + 1 for part in samples]
    if len(numbers) != 2 * sum(lengths):
        return None
    return Matrix(labels, lengths, numbers[::2].copy(), numbers[1::2].copy())


def _series(text: str) -> tuple[list[str], list[str]]:
    """Divide the answer into labels and the text of the samples; ValueError where it is not so."""
    labels: list[str] = []
    samples: list[str] = []
    at = len(_BEGIN)
    while text[at] != "]":
        _insist(text, _METRIC, at)
        begin = text.index(_VALUES, at)
        end = text.index(_END, begin)
        labels.append(text[at + len(_METRIC) : begin])
        samples.append(text[begin + len(_VALUES) : end])
        at = end + len(_END)
        _insist(text, "}", at)
        at += 2 if text[at + 1] == "," else 1
    return labels, samples


def _insist(text: str, expected: str, at: int) -> None:
    if not text.startswith(expected, at):
        raise ValueError(expected)


def _numbers(text: str) -> NDArray[np.float64]:
    """Read numbers as Arrow does: in a third of the time that numpy takes, and no others."""
    import pyarrow as pa  # noqa: PLC0415 - a tenth of a second that small answers do without
    import pyarrow.compute as pc  # noqa: PLC0415

    plain = text.encode("ascii").translate(None, _PUNCTUATION)
    if not plain:
        return np.empty(0)
    words = pc.split_pattern(pa.array([plain], pa.string()), ",").values  # ArrowInvalid: ValueError
    numbers: NDArray[np.float64] = words.cast(pa.float64()).to_numpy()
    return numbers
