"""Requests of a step as arrays, and what of them belongs to the window.

A window is half-open, [start, end). The *cohort* of a window are the requests
planned inside it, whatever became of them: latency, errors and goodput follow
it. Completions and tokens belong to the window in which they happen.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from escalade.errors import NoDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

TIMES = ("planned_at", "sent_at", "first_chunk_at", "last_chunk_at", "ended_at")
TOKENS = ("input_tokens", "output_tokens", "cached_tokens")
ABANDONED, NOT_DUE = "abandoned", "not_due"
NOTE = "note_"
"""What the columns of a workload's own figures begin with."""
LISTS = (np.ndarray, list, tuple)
COLUMNS = ("step", "index", *TIMES, "chunk_offsets", "error", *TOKENS)


@dataclass(frozen=True)
class Window:
    """Half-open piece of time, [start, end), in Unix seconds."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """Length."""
        return self.end - self.start

    def holds(self, times: FloatArray) -> BoolArray:
        """Say for each time whether it lies inside; NaN does not."""
        return (times >= self.start) & (times < self.end)

    def blocks(self, number: int) -> FloatArray:
        """Give the `number` + 1 edges of equal blocks."""
        return np.linspace(self.start, self.end, number + 1)


def window_of(outcome: Mapping[str, Any]) -> Window | None:
    """Give the window of a step, or None when the step has none (it did not run to its end)."""
    start, end = outcome.get("window_start"), outcome.get("window_end")
    if start is None or end is None or not end > start:
        return None
    return Window(float(start), float(end))


@dataclass(frozen=True)
class Chunks:
    """Chunk offsets of several requests, laid end to end.

    Attributes
    ----------
    offsets
        Seconds after each request's first chunk, all requests one after the other.
    counts
        Number of chunks of each request.
    """

    offsets: FloatArray
    counts: IntArray

    @classmethod
    def of(cls, column: Iterable[Any]) -> Chunks:
        """Flatten a column of lists; a request without chunks may hold None, NaN or [].

        A column that Arrow holds is taken as it is, without an object per request.
        """
        import pandas as pd  # noqa: PLC0415 - half a second that who needs a window only does without
        import pyarrow as pa  # noqa: PLC0415 - the same
        import pyarrow.compute as pc  # noqa: PLC0415 - the same

        if isinstance(column, pd.Series) and isinstance(column.dtype, pd.ArrowDtype):
            held = pa.chunked_array(pa.array(column)).combine_chunks()
            counts = pc.fill_null(pc.list_value_length(held), 0).to_numpy(zero_copy_only=False)
            offsets = pc.list_flatten(held).to_numpy(zero_copy_only=False)
            return cls(offsets.astype(np.float64, copy=False), counts.astype(np.int64))
        lists = [row if isinstance(row, LISTS) else () for row in column]
        counts = np.fromiter(map(len, lists), dtype=np.int64, count=len(lists))
        if not counts.sum():
            return cls(np.empty(0), counts)
        return cls(np.concatenate(lists).astype(np.float64), counts)

    @property
    def owner(self) -> IntArray:
        """Place of the request that each chunk belongs to."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def gaps(self, of: BoolArray | None = None) -> tuple[FloatArray, IntArray]:
        """Give the times between neighbouring chunks of one request, and that request's place.

        Only of the requests in the mask `of`, where one is given.
        """
        mine = self.counts > 0 if of is None else (self.counts > 0) & of
        places = np.flatnonzero(mine)
        if not len(places):
            return np.empty(0), places
        counts = self.counts[places]
        offsets = self.offsets if mine.all() else self.offsets[np.repeat(mine, self.counts)]
        within = np.ones(len(offsets) - 1, dtype=bool)
        within[np.cumsum(counts)[:-1] - 1] = False
        return np.diff(offsets)[within], np.repeat(places, counts - 1)


@dataclass(frozen=True)
class RequestLog:
    """Requests as arrays, in the order in which they were planned.

    Attributes
    ----------
    planned, sent, first, last, ended
        Unix seconds; NaN where it never happened.
    success
        Whether the request was answered without error.
    abandoned
        Whether its client left before the end, as planned.
    leaving
        Whether its client was to leave, be it that the answer ended or failed before.
    turn
        Number of its turn in its conversation, 0 for a request of its own.
    input_tokens, output_tokens, cached_tokens
        From the server's usage; NaN where it gave none.
    rows
        Place of each request in the table that it was read from.
    """

    planned: FloatArray
    sent: FloatArray
    first: FloatArray
    last: FloatArray
    ended: FloatArray
    success: BoolArray
    abandoned: BoolArray
    leaving: BoolArray
    turn: IntArray
    input_tokens: FloatArray
    output_tokens: FloatArray
    cached_tokens: FloatArray
    rows: IntArray

    def __len__(self) -> int:
        return len(self.planned)

    def only(self, mask: BoolArray) -> RequestLog:
        """Keep the requests of `mask`."""
        return RequestLog(**{field.name: getattr(self, field.name)[mask] for field in fields(self)})

    @cached_property
    def latency(self) -> FloatArray:
        """Planned send to last byte, in seconds; infinite for a request that failed."""
        return np.where(self.success, self.ended - self.planned, np.inf)

    @cached_property
    def ttft(self) -> FloatArray:
        """Planned send to first chunk, in seconds; infinite where it failed or never came."""
        came = self.success & ~np.isnan(self.first)
        return np.where(came, self.first - self.planned, np.inf)

    @cached_property
    def dispatch_lag(self) -> FloatArray:
        """Planned to actual send, in seconds; infinite for a request that was never sent."""
        return np.where(np.isnan(self.sent), np.inf, self.sent - self.planned)

    @property
    def judged(self) -> BoolArray:
        """Whether each request counts for latency, errors and goodput.

        Those whose client was to leave don't, unless they failed: of those that were to
        leave at some time only quick ones come to an end, and these must not stand for all.
        """
        return ~(self.leaving & (self.success | self.abandoned))

    @property
    def failures(self) -> int:
        """Number of requests without a good answer, but for those that were abandoned."""
        return int((~self.success & ~self.abandoned).sum())


def request_log(requests: pd.DataFrame, step: int, *, from_send: bool = False) -> RequestLog:
    """Take the requests of one step, warm-up included, in planned order.

    With `from_send` the send stands for the plan, as in a closed loop, which has none; a
    request that was never sent keeps the time at which it was due.

    Turns of conversations that never became due are no requests.

    Raises
    ------
    NoDataError
        When the table lacks a column that KPIs are computed from.
    """
    absent = [column for column in COLUMNS if column not in requests.columns]
    if absent:
        raise NoDataError(
            f"the request log lacks the column(s) {', '.join(absent)}; it has "
            f"{', '.join(map(str, requests.columns))}. It was not written by this version of "
            "Escalade, or it was changed: `escalade replay` checks a campaign against its manifest."
        )
    due = (requests["error"] != NOT_DUE).to_numpy(dtype=bool, na_value=True)
    rows = np.flatnonzero((requests["step"].to_numpy() == step) & due)
    index, planned = requests["index"].to_numpy()[rows], requests["planned_at"].to_numpy()[rows]
    if from_send:
        sent = _floats(requests["sent_at"])[rows]
        planned = np.where(np.isnan(sent), planned, sent)
    order = np.lexsort((index, planned))
    rows, planned = rows[order], planned[order]
    mine = requests[[*TIMES, *TOKENS, "error"]].iloc[rows]
    abandoned = (mine["error"] == ABANDONED).to_numpy(dtype=bool, na_value=False)
    times = {name: _floats(mine[name]) for name in (*TIMES, *TOKENS)}
    return RequestLog(
        planned=planned.astype(np.float64),
        sent=times["sent_at"],
        first=times["first_chunk_at"],
        last=times["last_chunk_at"],
        ended=times["ended_at"],
        success=mine["error"].isna().to_numpy() & ~np.isnan(times["ended_at"]),
        abandoned=abandoned,
        leaving=abandoned | _true(requests, "leaving", rows),
        turn=_turns(requests, rows),
        input_tokens=times["input_tokens"],
        output_tokens=times["output_tokens"],
        cached_tokens=times["cached_tokens"],
        rows=rows,
    )


def has(requests: pd.DataFrame, column: str) -> bool:
    """Say whether a request log tells of what only some workloads have."""
    return column in requests and bool(requests[column].notna().any())


def _true(requests: pd.DataFrame, column: str, rows: IntArray) -> BoolArray:
    """Give a column of truths that may have nulls, or not be there; unknown is false."""
    if column not in requests:
        return np.zeros(len(rows), dtype=bool)
    return (requests[column].iloc[rows] == True).to_numpy(dtype=bool, na_value=False)  # noqa: E712 - of objects


def _turns(requests: pd.DataFrame, rows: IntArray) -> IntArray:
    if "turn" not in requests:
        return np.zeros(len(rows), dtype=np.int64)
    found = _floats(requests["turn"].iloc[rows])
    return np.where(np.isnan(found), 0, found).astype(np.int64)


def _floats(column: pd.Series[Any]) -> FloatArray:
    import pandas as pd  # noqa: PLC0415 - as above

    return pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)


def cohort(log: RequestLog, window: Window) -> RequestLog:
    """Keep the requests planned inside the window."""
    return log.only(window.holds(log.planned))


def completions(log: RequestLog, window: Window) -> int:
    """Count the good answers that ended inside the window, whenever they were planned."""
    return int((log.success & window.holds(log.ended)).sum())


def tokens_per_block(
    log: RequestLog, chunks: Chunks, window: Window, blocks: int
) -> FloatArray | None:
    """Count the output tokens that arrived in each of equal blocks of the window.

    None when no answer had chunks or a token count. A request's tokens are spread evenly over its chunks. Without a count from
    the server each chunk is one token; without chunks the tokens of a good
    answer arrive at its end.
    """
    streamed = chunks.counts > 0
    times = np.repeat(log.first, chunks.counts) + chunks.offsets
    share = np.divide(log.output_tokens, chunks.counts, out=np.ones(len(log)), where=streamed)
    weights = np.repeat(np.where(np.isnan(share), 1.0, share), chunks.counts)
    whole = ~streamed & log.success & ~np.isnan(log.output_tokens)
    times = np.concatenate([times, log.ended[whole]])
    weights = np.concatenate([weights, log.output_tokens[whole]])
    if not len(times):
        return None
    inside = window.holds(times)
    place = ((times[inside] - window.start) * (blocks / window.seconds)).astype(np.int64)
    arrived = np.bincount(np.minimum(place, blocks - 1), weights[inside], minlength=blocks)
    return arrived.astype(np.float64)


def gap_cv(times: FloatArray) -> float | None:
    """Give the coefficient of variation of the gaps of ascending times; None for fewer than two gaps."""
    gaps = np.diff(times)
    if len(gaps) < 2 or gaps.mean() <= 0:
        return None
    return float(gaps.std() / gaps.mean())


@dataclass(frozen=True)
class Occupancy:
    """Number of requests somewhere over time: `counts[i]` from `times[i]` to `times[i + 1]`."""

    times: FloatArray
    counts: FloatArray

    @property
    def mean(self) -> float:
        """Time-weighted mean."""
        return float((self.counts * np.diff(self.times)).sum() / (self.times[-1] - self.times[0]))

    @property
    def maximum(self) -> float:
        """Largest number that lasted longer than an instant."""
        return float(self.counts[np.diff(self.times) > 0].max())

    def block_means(self, number: int) -> FloatArray:
        """Give the time-weighted means over `number` equal blocks."""
        edges = np.linspace(self.times[0], self.times[-1], number + 1)
        area = np.concatenate([[0.0], np.cumsum(self.counts * np.diff(self.times))])
        means: FloatArray = np.diff(np.interp(edges, self.times, area)) / np.diff(edges)
        return means


def occupancy(entered: FloatArray, left: FloatArray, window: Window) -> Occupancy:
    """Count the requests that have entered and not left, over the window.

    Parameters
    ----------
    entered, left
        Unix seconds, one pair per request. NaN in `entered`: it never was
        there; NaN in `left`: it never left.
    """
    there = ~np.isnan(entered)
    arrivals = entered[there]
    departures = left[there & ~np.isnan(left)]
    events = np.concatenate([arrivals, departures])
    changes = np.concatenate([np.ones(len(arrivals)), -np.ones(len(departures))])
    before = float(changes[events <= window.start].sum())
    inside = (events > window.start) & (events < window.end)
    order = np.argsort(events[inside], kind="stable")
    times = np.concatenate([[window.start], events[inside][order], [window.end]])
    counts = before + np.concatenate([[0.0], np.cumsum(changes[inside][order])])
    return Occupancy(times, counts)
