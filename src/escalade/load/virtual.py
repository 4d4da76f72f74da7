"""The truth server in virtual time: what it would do with a schedule, without waiting for it.

A ladder that takes an hour is simulated in a second, and its request log is in the format
of a real one: the analysis can be tried on as many campaigns as one likes, and a ladder on a
service of a guessed capacity before anything is measured. Rules are those of
`escalade.load.truth_server`; client and network take no time. Each step finds the server
empty, as after a drain.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace
from itertools import repeat
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from escalade.load.plan import SCHEMA
from escalade.load.records import Records
from escalade.load.rows import PlannedRows
from escalade.load.schedule import plans_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from escalade.load.schedule import StepPlan
    from escalade.load.truth_batch import BatchRules

FloatArray = npt.NDArray[np.float64]
PAUSE_SECONDS = 1.0
"""From the end of a step to the next one's epoch."""


@dataclass(frozen=True)
class Served:
    """When requests were answered, in seconds after the step's epoch.

    Parameters
    ----------
    ended
        Last byte of each, in order of arrival.
    tokens
        Times of the tokens of each; None when answers do not come in tokens.
    """

    ended: FloatArray
    tokens: Sequence[FloatArray] | None = None


class Server(Protocol):
    """Whatever answers the requests of a step."""

    def serve(self, rows: PlannedRows, rng: np.random.Generator) -> Served:
        """Answer them, first come, first served."""


@dataclass(frozen=True)
class Slots:
    """Plain requests in a number of slots: M/D/c or, with random times, M/M/c.

    Parameters
    ----------
    slots
        Requests served at once.
    service_seconds
        (Mean) time of each.
    exponential
        Whether times are random.
    collapse_beyond, collapse_factor
        A request whose service begins while more than so many wait takes so many times as
        long; 0 never collapses.
    """

    slots: int
    service_seconds: float
    exponential: bool = False
    collapse_beyond: int = 0
    collapse_factor: float = 2.0

    @property
    def capacity_qps(self) -> float:
        """Give the rate of a server that never runs dry and does not collapse, in 1/s."""
        return self.slots / self.service_seconds

    def serve(self, rows: PlannedRows, rng: np.random.Generator) -> Served:
        """Answer them, first come, first served."""
        arrivals = rows.offset_seconds
        if self.collapse_beyond:
            return Served(self._collapsing(arrivals, self._times(len(rows), rng)))
        if self.exponential:
            return Served(self._random(arrivals, self._times(len(rows), rng)))
        return Served(self._constant(arrivals))

    def _times(self, count: int, rng: np.random.Generator) -> Iterable[float]:
        if self.exponential:
            drawn: list[float] = rng.exponential(self.service_seconds, count).tolist()
            return drawn
        return repeat(self.service_seconds, count)

    def _constant(self, arrivals: FloatArray) -> FloatArray:
        """Serve in turn: with equal times every `slots`-th request has the same slot."""
        ended = np.empty(len(arrivals))
        for slot in range(min(self.slots, len(arrivals))):
            mine = arrivals[slot :: self.slots]
            busy = self.service_seconds * np.arange(len(mine))
            ended[slot :: self.slots] = np.maximum.accumulate(mine - busy) + busy
        return ended + self.service_seconds

    def _random(self, arrivals: FloatArray, times: Iterable[float]) -> FloatArray:
        free = [-inf] * self.slots
        ended = array("d")
        for at, seconds in zip(arrivals.tolist(), times, strict=True):
            over = max(at, free[0]) + seconds
            heapreplace(free, over)
            ended.append(over)
        return np.asarray(ended)

    def _collapsing(self, arrivals: FloatArray, times: Iterable[float]) -> FloatArray:
        free = [-inf] * self.slots
        ended, arrived, planned = array("d"), 0, arrivals.tolist()
        for number, (at, seconds) in enumerate(zip(planned, times, strict=True), start=1):
            begun = max(at, free[0])
            while arrived < len(planned) and planned[arrived] <= begun:
                arrived += 1
            waiting = arrived - number
            slow = self.collapse_factor if waiting > self.collapse_beyond else 1.0
            heapreplace(free, begun + slow * seconds)
            ended.append(begun + slow * seconds)
        return np.asarray(ended)


@dataclass(frozen=True)
class Batching:
    """Streams of tokens under continuous batching.

    Parameters
    ----------
    rules
        What the steps of decoding take.
    """

    rules: BatchRules

    def serve(self, rows: PlannedRows, rng: np.random.Generator) -> Served:  # noqa: ARG002 - as every server
        """Answer them, first come, first served."""
        arrivals, prompts = rows.offset_seconds.tolist(), rows.input_tokens.tolist()
        lengths = rows.output_tokens.tolist()
        ends, first, last = array("d"), array("q"), list[int]()
        now, came = 0.0, 0
        while came < len(arrivals) or last:
            if not last:
                now = max(now, arrivals[came])
            read = 0
            while came < len(arrivals) and len(last) < self.rules.sequences:
                if arrivals[came] > now:
                    break
                read += prompts[came]
                first.append(len(ends))
                heappush(last, len(ends) + lengths[came])
                came += 1
            now += self.rules.duration(len(last), read)
            ends.append(now)
            while last and last[0] == len(ends):
                heappop(last)
        over = np.asarray(ends)
        tokens = [over[begin : begin + n] for begin, n in zip(first, lengths, strict=True)]
        return Served(np.array([each[-1] for each in tokens]), tokens)


def measure(
    schedule: pd.DataFrame, server: Server, seed: int, repetition: int = 1
) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Run a ladder against a server, in virtual time.

    Parameters
    ----------
    schedule
        From `escalade.load.schedule.draw_schedule`.
    server
        What answers.
    seed
        Of the server's random times, per step.
    repetition
        What the column of that name says.

    Returns
    -------
    pyarrow.Table, list of dict
        The request log of all steps and the outcome of each, as `query_windows` writes them
        for a real cell. The client reports nothing of itself, for there is none.
    """
    clock, tables, outcomes = 0.0, [], []
    for plan in plans_of(schedule):
        rows = _rows_of(schedule, plan)
        served = server.serve(rows, np.random.default_rng([seed, plan.step]))
        tables.append(_records(rows, served).table(repetition, 0, 0.0, clock))
        outcomes.append(_outcome(rows, clock, float(served.ended.max())))
        clock = outcomes[-1]["drained_at"] + PAUSE_SECONDS
    return pa.concat_tables(tables), outcomes


def _rows_of(schedule: pd.DataFrame, plan: StepPlan) -> PlannedRows:
    mine = schedule[schedule["step"] == plan.step]
    return PlannedRows(
        plan=plan,
        in_window=(mine["phase"] == "window").to_numpy(),
        offset_seconds=mine["offset_seconds"].to_numpy(),
        payload_id=mine["payload_id"].to_numpy(),
        input_tokens=mine["input_tokens"].to_numpy(),
        output_tokens=mine["output_tokens"].to_numpy(),
        index=mine["index"].to_numpy(),
    )


def _records(rows: PlannedRows, served: Served) -> Records:
    records = Records(rows)
    count = len(rows)
    records.sent = array("d", rows.offset_seconds.tobytes())
    records.ended = array("d", served.ended.tobytes())
    records.status = array("h", [200]) * count
    if served.tokens is not None:
        records.chunks = [array("d", times.tobytes()) for times in served.tokens]
        records.input_tokens = array("i", rows.input_tokens.astype(np.intc).tobytes())
        records.output_tokens = array("i", rows.output_tokens.astype(np.intc).tobytes())
        records.cached_tokens = array("i", [0]) * count
    return records


def _outcome(rows: PlannedRows, epoch: float, last: float) -> dict[str, Any]:
    start, end = rows.plan.bounds("window")
    window = int(rows.in_window.sum())
    return {
        "schema": SCHEMA,
        "step": rows.plan.step,
        "target_qps": rows.plan.target_qps,
        "arrivals": rows.plan.arrivals,
        "outcome": "measured",
        "cause": None,
        "log_tail": [],
        "started_at": epoch,
        "window_start": epoch + start,
        "window_end": epoch + end,
        "drained_at": epoch + max(end, last),
        "drained": True,
        "client": None,
        "planned": {"warmup": len(rows) - window, "window": window},
    }
