"""Sends a step's requests at their planned times, whatever the service does.

A dispatcher follows the schedule and hands each arrival to an idle user; the pool of
users grows when idle ones run short. This module knows greenlets but not locust:
`adapter` puts locust's users on it.

Latency counts from the planned send. A request that leaves late, since no user was
idle or the machine was busy, keeps its planned time; nothing is dropped or moved.
"""

from __future__ import annotations

import gc
import logging
from contextlib import contextmanager
from math import inf, isfinite, nan
from typing import TYPE_CHECKING, Any

import gevent
from gevent.event import Event
from gevent.hub import get_hub

from escalade.files import write_json
from escalade.load.abandonment import AFTER_SECONDS, AbandonedError
from escalade.load.arrival import Arrival
from escalade.load.clock import now, unix_offset
from escalade.load.connection import hand_over
from escalade.load.crews import Crews
from escalade.load.deadlines import Deadlines
from escalade.load.dispatch import Dispatcher
from escalade.load.epoch import agree
from escalade.load.faults import ABANDONED, error_class
from escalade.load.health import Heartbeat, Usage
from escalade.load.hopeless import Beyond
from escalade.load.live import open_counters
from escalade.load.plan import SCHEMA
from escalade.load.progress import Progress
from escalade.load.records import Records, write_requests
from escalade.load.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from escalade.load.crews import Crew
    from escalade.load.plan import LoadStep
    from escalade.load.rows import PlannedRows

LOG = logging.getLogger(__name__)

_LATENCY_GUESS_SECONDS = 1.5  # the first users last for rate x this


class Engine:
    """Runs one step.

    Parameters
    ----------
    step
        What to run, and where the results go.
    rows
        Its part of the schedule: that of its worker.
    crews
        The user classes by name.
    progress_file
        Rewritten once a second while the step runs; None for none.
    """

    def __init__(
        self,
        step: LoadStep,
        rows: PlannedRows,
        crews: Mapping[str, Crew],
        progress_file: Path | None = None,
    ) -> None:
        self.step = step
        self.records = Records(rows, max(1, len(step.hosts)))
        self.epoch = nan
        self._live = open_counters(step, (rows.plan.target_qps or 0.0) / step.workers)
        self._rows = rows
        self._leave_at = rows.extra.get(AFTER_SECONDS)
        self._leaving: dict[gevent.Greenlet, gevent.Timeout] = {}
        self._crews = Crews(crews, self._release)
        self._in_flight: dict[gevent.Greenlet, Arrival] = {}
        self._deadlines = Deadlines(
            self._in_flight, [part.request_timeout_seconds for part in step.parts]
        )
        self._finished = 0
        self._offset = unix_offset()
        self._heartbeat = Heartbeat()
        self._before: Usage | None = None
        self._all_finished = Event()
        self._closed = False
        self._crew_of = self._crews.shares(rows, step.seed)
        self._handed = 0
        self._given_up = False
        self._beyond = Beyond(step.bounds, self.records)
        until = step.give_up_file if step.bounds else None
        self._progress = Progress(progress_file, rows.plan, len(rows), until)
        self._rate = (rows.plan.target_qps or 1.0) / step.workers
        self._dispatcher = Dispatcher(self._hand_out, self._rate)
        self._turns = Turns(self.records, self._dispatcher, self._hand_out)

    def drive(self) -> None:
        """Run the step from the first user to the written files.

        Raises
        ------
        InfrastructureError
            When no user becomes ready, or a file can't be written.
        """
        helpers = [gevent.spawn(self._crews.grow), gevent.spawn(self._deadlines.run)]
        try:
            self._crews.make_ready(self._users_wanted())
            with _quiet_garbage():
                epoch = agree()
                self.epoch, self._offset = epoch.at, epoch.unix_offset
                self._before = Usage.read()
                helpers.append(gevent.spawn(self._announce))
                helpers.append(gevent.spawn(self._heartbeat.run))
                helpers.append(gevent.spawn(self._progress.run, self._figures, self.give_up))
                self._follow_schedule()
        finally:
            gevent.killall(helpers)
        self._finish("unfinished", complete=True)

    def give_up(self) -> None:
        """Send nothing more; what was sent is awaited, the rest of the rows stays `not_sent`."""
        self._given_up = True
        self._dispatcher.stop()

    def abort(self) -> None:
        """End the step before its time: write what there is, unless that is done."""
        self._finish("aborted", complete=False)

    def _finish(self, unfinished: str, *, complete: bool) -> None:
        """Write the log; rows without an end get the error `unfinished`.

        The first call counts: later ones, and requests that end later, change nothing.
        """
        hand_over()  # what has come of answers that have not ended
        if self._closed:
            return
        self._closed = True
        facts = self._facts() | {"complete": complete}
        self.records.close(unfinished)
        self._live.close(self.records)
        worker = self.step.worker
        table = self.records.table(self.step.repetition, worker, self.epoch, self._offset)
        write_requests(self.step.requests_file, table)
        write_json(self.step.client_file, facts)

    def next_arrival(self, kind: str) -> None:
        """Let the calling greenlet, a user, end its arrival and wait for the next one.

        Parameters
        ----------
        kind
            Name of the user's crew.
        """
        user = gevent.getcurrent()
        self._release(user)
        arrival = self._crews.idle(user, kind).pool.take()
        arrival.live.taken()
        self._deadlines.set(arrival)
        self._let_leave(user, arrival)
        self._in_flight[user] = arrival

    def _let_leave(self, user: gevent.Greenlet, arrival: Arrival) -> None:
        """Have the client go away at its time, if it is one that does."""
        if self._leave_at is None or not isfinite(seconds := self._leave_at[arrival.row]):
            return
        left = AbandonedError(f"the client left after {seconds:g} s")
        self._leaving[user] = gevent.Timeout(max(0.0, arrival.planned - now()) + seconds, left)
        self._leaving[user].start()

    def current(self) -> Arrival | None:
        """Give the arrival of the calling greenlet, or of the user that spawned it."""
        greenlet = gevent.getcurrent()
        while greenlet is not None and not self._closed:
            arrival = self._in_flight.get(greenlet)
            if arrival is not None:
                return arrival
            spawner = getattr(greenlet, "spawning_greenlet", None)
            greenlet = spawner() if spawner else None
        return None

    def failed(self, error: BaseException) -> None:
        """Note that the calling user's task broke off with an exception."""
        arrival = self.current()
        if arrival is not None and self.records.errors[arrival.row] is None:
            self.records.errors[arrival.row] = error_class(error, 0)

    def _users_wanted(self) -> float:
        return self._rate * _LATENCY_GUESS_SECONDS

    def _announce(self) -> None:
        """Say when the step began, in case this process dies with its memory."""
        content = {"schema": SCHEMA, "started_at": self._unix(self.epoch)}
        get_hub().threadpool.apply(write_json, (self.step.started_file, content))

    def _follow_schedule(self) -> None:
        _, end = self._rows.plan.bounds("window")
        self._turns.end = self.epoch + end
        self._dispatcher.follow(self._arrivals(), self.epoch + end)
        self._see_whether_all_finished()
        self._all_finished.wait(self.step.drain_timeout_seconds)

    def _hand_out(self, arrival: Arrival) -> None:
        crew = self._crew_of[arrival.row]
        self._handed = arrival.row + 1
        arrival.live = self._live
        self._live.scheduled()
        self._crews.put(crew, arrival)

    def _arrivals(self) -> Iterator[Arrival]:
        columns = (
            (self.epoch + self._rows.offset_seconds).tolist(),
            self._rows.payload_id.tolist(),
            self._rows.input_tokens.tolist(),
            self._rows.output_tokens.tolist(),
            self._rows.part_of.tolist(),
            self._rows.leaves_after.tolist(),
        )
        for row, planned in enumerate(zip(*columns, strict=True)):
            if planned[0] != inf:  # a later turn of a conversation has its time later
                yield Arrival(self.records, row, *planned)

    def _release(self, user: gevent.Greenlet) -> None:
        """End the arrival of a user, if it has one."""
        arrival = self._in_flight.pop(user, None)
        if arrival is None:
            return
        if (leaving := self._leaving.pop(user, None)) is not None:
            leaving.close()
        if self._closed:
            return
        self._dispatcher.learn(arrival)
        self.records.leave(arrival.row, now())
        self._live.left(self.records, arrival.row, arrival.planned)
        self._finished += 1 + self._turns.after(arrival)
        self._progress.finished(
            self.records.ended[arrival.row] - arrival.planned,
            failed=self.records.errors[arrival.row] not in (None, ABANDONED),
        )
        self._over(arrival)
        self._beyond.ended(arrival)
        self._see_whether_all_finished()

    def _over(self, arrival: Arrival) -> None:
        """Take note that an arrival is over."""

    def _see_whether_all_finished(self) -> None:
        if self._is_over():
            self._all_finished.set()

    def _is_over(self) -> bool:
        """Tell whether all rows have ended that are to be sent: when given up those that were."""
        return self._finished == (self._handed if self._given_up else len(self._rows))

    def _figures(self) -> dict[str, Any]:
        _, end = self._rows.plan.bounds("window")
        return {
            "sent": self._finished - self._turns.never_due + len(self._in_flight),
            "in_flight": len(self._in_flight),
            "window_end": self._unix(self.epoch + end),
            "now": self._unix(now()),
            "beyond": self._beyond.counts(self._in_flight.values(), now()),
        }

    def _window_end(self) -> float:
        _, end = self._rows.plan.bounds("window")
        return self.epoch + end

    def _facts(self) -> dict[str, Any]:
        start, _ = self._rows.plan.bounds("window")
        began = self._before is not None
        usage = Usage.read().since(self._before) if self._before else {}
        return {
            "schema": SCHEMA,
            "started_at": self._unix(self.epoch) if began else None,
            "window_start": self._unix(self.epoch + start) if began else None,
            "window_end": self._unix(self._window_end()) if began else None,
            "drained_at": self._unix(now()) if began else None,
            "given_up_at": self._given_up_at(),
            "drained": self._is_over(),
            "client": {
                **usage,
                "event_loop_lag_seconds": self._heartbeat.lag(),
                "users": len(self._crews),
                "backlog_max": self._crews.backlog_max,
                "suspended_seconds": self._heartbeat.suspended_seconds,
            },
        }

    def _given_up_at(self) -> float | None:
        """Give when the first request was planned that was not sent any more; None: all were."""
        if not self._given_up or self._handed == len(self._rows):
            return None
        return self._unix(self.epoch + float(self._rows.offset_seconds[self._handed]))

    def _unix(self, at: float) -> float:
        return at + self._offset


@contextmanager
def _quiet_garbage() -> Iterator[None]:
    """Keep the collector from stopping all greenlets whenever it likes."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()
