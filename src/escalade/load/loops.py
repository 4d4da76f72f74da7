"""Engines of the loads that the service itself drives; see `escalade.load.closed`."""

from __future__ import annotations

from itertools import chain, islice
from math import isnan, nan
from typing import TYPE_CHECKING, Any

import gevent
import numpy as np

from escalade.load.clock import Timer, now
from escalade.load.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from escalade.load.arrival import Arrival
    from escalade.load.crews import Crew
    from escalade.load.plan import LoadStep
    from escalade.load.rows import PlannedRows

_TOGETHER = 50  # hand-outs until users get their turn


class ClosedEngine(Engine):
    """Keeps a fixed number of queries in flight, from the warm-up's begin to the window's end.

    A query is one request, or `samples_per_query` of them that leave together; the next one
    leaves when all of it has ended. A row's planned time is the one at which it became due:
    the end of the query before it.
    """

    def __init__(
        self,
        step: LoadStep,
        rows: PlannedRows,
        crews: Mapping[str, Crew],
        progress_file: Path | None = None,
    ) -> None:
        super().__init__(step, rows, crews, progress_file)
        counts = rows.plan.parameters
        self._together = int(counts["samples_per_query"])
        self._loops = len(range(step.worker, int(counts["concurrency"]), step.workers))
        coming = self._arrivals()
        self._coming = chain(list(islice(coming, 1)), coming)  # what it costs is over by the epoch
        self._left: dict[int, int] = {}  # samples in flight, by query
        self._handed = 0
        self._open = False
        self._used_up = nan

    def _users_wanted(self) -> float:
        return self._loops * self._together

    def _follow_schedule(self) -> None:
        _, end = self._rows.plan.bounds("window")
        with Timer() as timer:
            timer.sleep_until(self.epoch)
            self._open = True
            for _ in range(self._loops):
                self._send_query(self.epoch)
            timer.sleep_until(self.epoch + end)
        self._open = False
        if not self._is_over():
            self._all_finished.wait(self.step.drain_timeout_seconds)

    def _send_query(self, due: float) -> None:
        query = list(islice(self._coming, self._together))
        if len(query) < self._together:
            self._used_up = due if isnan(self._used_up) else self._used_up
            return
        self._left[query[0].row // self._together] = self._together
        for arrival in query:
            self._handed += 1
            self._rows.offset_seconds[arrival.row] = due - self.epoch
            arrival.planned = due
            arrival.release()
            self._hand_out(arrival)

    def _over(self, arrival: Arrival) -> None:
        query = arrival.row // self._together
        self._left[query] -= 1
        if self._left[query]:
            return
        del self._left[query]
        if self._open:
            self._send_query(now())

    def _is_over(self) -> bool:
        return not self._open and self._finished == self._handed

    def _finish(self, unfinished: str, *, complete: bool) -> None:
        """Write the log of what was sent; a row belongs to the phase in which it was."""
        if not self._closed:
            self.records.cut(self._handed)
            rows = self.records.rows
            sent = np.asarray(self.records.sent) - self.epoch
            at = np.where(np.isnan(sent), rows.offset_seconds, sent)
            start, _ = rows.plan.bounds("window")
            rows.in_window[:] = at >= start
        super()._finish(unfinished, complete=complete)

    def _facts(self) -> dict[str, Any]:
        used_up = None if isnan(self._used_up) else self._unix(self._used_up)
        return {**super()._facts(), "used_up_at": used_up}


class AtOnceEngine(Engine):
    """Sends everything at the epoch; the window ends when the last of it has, or at its planned end."""

    def _users_wanted(self) -> float:
        return len(self._rows)

    def _follow_schedule(self) -> None:
        _, end = self._rows.plan.bounds("window")
        with Timer() as timer:
            timer.sleep_until(self.epoch)
        for place, arrival in enumerate(self._arrivals(), start=1):
            arrival.release()
            self._hand_out(arrival)
            if place % _TOGETHER == 0:
                gevent.sleep(0)
        self._all_finished.wait(max(0.0, self.epoch + end - now()))

    def _window_end(self) -> float:
        return now()


ENGINES: dict[str, type[Engine]] = {"closed": ClosedEngine, "at_once": AtOnceEngine}
"""By kind of load; every other kind has a schedule, which `Engine` follows."""
