"""Live counters of a running worker, in memory that another process may read at any time.

A worker counts into a small file that it has mapped; `escalade.load.exporter` reads the
files of a node and serves them. Nothing is sent or locked, so a reader can't disturb the
worker, and what a killed worker counted stays to be read. The file belongs on a file system
that lives in memory: a disk may keep a writer waiting.

Every value is a float64 at a fixed place; counters stay exact up to 2^53.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass
from math import isnan
from typing import TYPE_CHECKING

from escalade.load.outcomes import OUTCOMES, answered
from escalade.runtime.processes import Identity, read_stat

if TYPE_CHECKING:
    from pathlib import Path

    from escalade.load.plan import LoadStep
    from escalade.load.records import Records

LOG = logging.getLogger(__name__)

SUFFIX = ".counters"
LATENCY_SECONDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0),
)
LAG_SECONDS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 1.0)

_MAGIC = 20261122.0  # changes with the layout
_HEAD = ("magic", "pid", "start_time", "worker", "step", "target_qps", "ended_at")
_COUNTERS = ("scheduled", "taken", "sent", "ended")
_AT = {name: place for place, name in enumerate((*_HEAD, *_COUNTERS))}
_OUTCOMES_AT = len(_AT)
_OUTCOME_AT = {name: _OUTCOMES_AT + place for place, name in enumerate(OUTCOMES)}
_LATENCY_AT = _OUTCOMES_AT + len(OUTCOMES)
_FIRST_AT = _LATENCY_AT + len(LATENCY_SECONDS) + 2  # one more for +Inf, one for the sum
_LAG_AT = _FIRST_AT + len(LATENCY_SECONDS) + 2
_SIZE = _LAG_AT + len(LAG_SECONDS) + 2
_LATENCY_SUM, _FIRST_SUM, _LAG_SUM = _FIRST_AT - 1, _LAG_AT - 1, _SIZE - 1
_SCHEDULED, _TAKEN, _SENT, _ENDED = (_AT[name] for name in _COUNTERS)


class NoCounters:
    """Counts nothing: where no one asked for live figures, or they can't be had."""

    def scheduled(self) -> None:
        """Note that an arrival was handed out for its planned time."""

    def taken(self) -> None:
        """Note that a user took an arrival."""

    def sent(self, lag: float) -> None:
        """Note that a request left, so many seconds after its planned send."""

    def left(self, records: Records, row: int, planned: float) -> None:
        """Note that a user is done with an arrival."""

    def close(self, records: Records) -> None:
        """Note that the step is over, and what became of every request."""


class LiveCounters(NoCounters):
    """Counts into a file.

    Parameters
    ----------
    path
        Made anew.
    worker, step
        Its labels.
    target_qps
        The rate of this worker, in 1/s; 0 where the step has none.

    Raises
    ------
    OSError
        When the file can't be made.
    """

    def __init__(self, path: Path, worker: int, step: int, target_qps: float) -> None:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.ftruncate(descriptor, _SIZE * 8)
            self._cells = memoryview(mmap.mmap(descriptor, _SIZE * 8)).cast("d")
        finally:
            os.close(descriptor)
        own = read_stat(os.getpid())
        head = (os.getpid(), own.start_time if own else 0, worker, step, target_qps)
        for place, value in enumerate(head, start=1):
            self._cells[place] = value
        self._cells[0] = _MAGIC

    def scheduled(self) -> None:
        """Note that an arrival was handed out for its planned time."""
        self._cells[_SCHEDULED] += 1

    def taken(self) -> None:
        """Note that a user took an arrival."""
        self._cells[_TAKEN] += 1

    def sent(self, lag: float) -> None:
        """Note that a request left, so many seconds after its planned send."""
        cells = self._cells
        cells[_SENT] += 1
        cells[_LAG_AT + bisect_left(LAG_SECONDS, lag)] += 1
        cells[_LAG_SUM] += lag

    def left(self, records: Records, row: int, planned: float) -> None:
        """Note that a user is done with an arrival."""
        cells = self._cells
        if not isnan(records.sent[row]):
            cells[_ENDED] += 1
        error = records.errors[row]
        cells[_OUTCOME_AT[error or answered(records.status[row])]] += 1
        if error is not None:
            return
        latency = records.ended[row] - planned
        cells[_LATENCY_AT + bisect_left(LATENCY_SECONDS, latency)] += 1
        cells[_LATENCY_SUM] += latency
        if chunks := records.chunks[row]:
            first = chunks[0] - planned
            cells[_FIRST_AT + bisect_left(LATENCY_SECONDS, first)] += 1
            cells[_FIRST_SUM] += first

    def close(self, records: Records) -> None:
        """Note that the step is over, and what became of every request."""
        rows = zip(records.errors, records.status, strict=True)
        outcomes = Counter(error or answered(status) for error, status in rows)
        for name, place in _OUTCOME_AT.items():
            self._cells[place] = max(self._cells[place], outcomes[name])
        self._cells[_AT["ended_at"]] = time.time()
        self._cells = memoryview(bytearray(_SIZE * 8)).cast("d")  # what comes later is not logged


def open_counters(step: LoadStep, target_qps: float) -> NoCounters:
    """Make the counters of a worker; ones that count nothing where there is no place for them."""
    if step.live is None:
        return NoCounters()
    path = step.live / f"{step.step}-{step.worker}{SUFFIX}"
    try:
        return LiveCounters(path, step.worker, step.step, target_qps)
    except OSError as error:
        LOG.warning("There are no live metrics of this worker: %s: %s", path, error.strerror)
        return NoCounters()


@dataclass(frozen=True)
class Distribution:
    """A histogram: how many values fell up to each bound and above the last, and their sum."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


@dataclass(frozen=True)
class Reading:
    """What the counters of a worker said at one moment.

    Attributes
    ----------
    worker, step, target_qps
        As in `LiveCounters`.
    running
        Whether the worker is there and its step not over.
    ended_at
        Unix seconds; 0.0 before its end, and for a worker that was killed.
    scheduled, sent
        Arrivals that were handed out, requests that left.
    in_flight
        Requests sent and not ended.
    backlog
        Arrivals that wait for a user.
    outcomes
        Requests that are over, by what became of them.
    latency, first_chunk, lag
        Of good answers and of sends, in seconds from the planned send.
    """

    worker: int
    step: int
    target_qps: float
    running: bool
    ended_at: float
    scheduled: int
    sent: int
    in_flight: int
    backlog: int
    outcomes: dict[str, int]
    latency: Distribution
    first_chunk: Distribution
    lag: Distribution


def read_counters(path: Path) -> Reading | None:
    """Read the counters of a worker; None while they are being made, or if they are none."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if len(content) != _SIZE * 8:
        return None
    cells = struct.unpack(f"{_SIZE}d", content)
    _, pid, start_time, worker, step, target_qps, ended_at = cells[: len(_HEAD)]
    if cells[0] != _MAGIC:
        return None
    scheduled, taken, sent, ended = (int(cells[_AT[name]]) for name in _COUNTERS)
    return Reading(
        worker=int(worker),
        step=int(step),
        target_qps=target_qps,
        running=not ended_at and Identity(int(pid), int(start_time)).alive(),
        ended_at=ended_at,
        scheduled=scheduled,
        sent=sent,
        in_flight=max(0, sent - ended),
        backlog=max(0, scheduled - taken),
        outcomes={name: int(cells[place]) for name, place in _OUTCOME_AT.items()},
        latency=_distribution(cells, _LATENCY_AT, LATENCY_SECONDS),
        first_chunk=_distribution(cells, _FIRST_AT, LATENCY_SECONDS),
        lag=_distribution(cells, _LAG_AT, LAG_SECONDS),
    )


def _distribution(cells: tuple[float, ...], place: int, bounds: tuple[float, ...]) -> Distribution:
    after = place + len(bounds) + 1
    return Distribution(bounds, tuple(int(count) for count in cells[place:after]), cells[after])


def read_all(folder: Path) -> list[Reading]:
    """Read the counters of all workers of a node, ordered by step and worker."""
    found = (read_counters(path) for path in sorted(folder.glob(f"*{SUFFIX}")))
    return sorted((one for one in found if one), key=lambda one: (one.step, one.worker))
