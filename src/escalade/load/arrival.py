"""One planned request on its way, and what its user notes about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from gevent.hub import Waiter, get_hub

from escalade.load.abandonment import AbandonedError
from escalade.load.clock import now
from escalade.load.faults import ABANDONED, error_class
from escalade.load.live import NoCounters

if TYPE_CHECKING:
    from escalade.load.prompts import Messages
    from escalade.load.records import Records


_NO_COUNTERS = NoCounters()


class RequestTimeoutError(TimeoutError):
    """A request took longer than the step allows."""


@dataclass(slots=True)
class Arrival:
    """One planned request, in the hands of the user that sends it.

    Parameters
    ----------
    records
        Where its row is.
    row
        Index of the row.
    planned
        When it was to be sent, in `clock.now()`.
    payload_id, input_tokens, output_tokens
        What to send.
    part
        Place of its workload in the step's mix.
    history
        What was said in its conversation before, as messages.
    asked
        Messages that it was sent with, where another turn follows.
    said
        Pieces of the answer, where another turn follows.
    leaves_after
        Chunks after which its client goes away; 0: never.
    deadline
        When it ends as timed out, in `clock.now()`; set when a user takes it.
    live
        Where it is counted.
    was_held
        Whether its request passed `sending` before it left.
    read_at
        When the piece of the answer came that its user looks at; None: just now.
    """

    records: Records
    row: int
    planned: float
    payload_id: int
    input_tokens: int
    output_tokens: int
    part: int = 0
    leaves_after: int = 0
    deadline: float = inf
    live: NoCounters = _NO_COUNTERS
    history: Messages = field(default_factory=list)
    asked: Messages = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    was_held: bool = False
    read_at: float | None = None
    _due: bool = False
    _waiters: list[Waiter[None]] | None = None

    @property
    def request_id(self) -> str:
        """Its step and its place in it, as in the request log: "3-17"."""
        rows = self.records.rows
        return f"{rows.plan.step}-{int(rows.index[self.row])}"

    @property
    def was_abandoned(self) -> bool:
        """Whether its client has left, as planned."""
        return self.records.errors[self.row] == ABANDONED

    def sending(self) -> None:
        """Wait until it is due, then note that its request leaves now."""
        self.was_held = True
        if not self._due:
            waiter: Waiter[None] = Waiter()
            if self._waiters is None:
                self._waiters = [waiter]
            else:
                self._waiters.append(waiter)
            waiter.get()
        self.left(now())

    def left(self, at: float) -> None:
        """Note that its request left; later requests of the same task don't move that."""
        if self.records.send(self.row, at):
            self.live.sent(at - self.planned)

    def release(self) -> None:
        """Let its request leave: its planned time has come."""
        self._due = True
        for waiter in self._waiters or ():
            get_hub().loop.run_callback(waiter.switch, None)

    @property
    def replica(self) -> int:
        """Place of the copy of the service that it goes to, from 0."""
        return self.records.replica[self.row] if self.records.replica else 0

    def turn_to(self, replica: int) -> None:
        """Note that it goes to another copy."""
        if self.records.replica:
            self.records.replica[self.row] = replica

    @property
    def turn(self) -> int:
        """Number of its turn in its conversation, from 1; 0 for a request of its own."""
        turn = self.records.rows.turn
        return 0 if turn is None else int(turn[self.row])

    def says(self, text: str) -> None:
        """Note a piece of the answer's text, which the next turn of a conversation carries."""
        if self.records.rows.turn is not None:
            self.said.append(text)

    def chunk(self) -> None:
        """Note a piece of the answer that carries a token, as of when it came."""
        self.records.chunk(self.row, now() if self.read_at is None else self.read_at)

    def is_patient(self) -> bool:
        """Whether nobody waits for the next piece: the first was noted, and no client leaves."""
        return not self.leaves_after and self.records.chunk_count(self.row) > 0

    def stay(self) -> None:
        """Go on reading the answer.

        Raises
        ------
        AbandonedError
            When the client has read as much as it was going to.
        """
        if 0 < self.leaves_after <= self.records.chunk_count(self.row):
            raise AbandonedError(f"the client left after {self.leaves_after} tokens")

    def received(self, count: int) -> None:
        """Note bytes of the answer's body."""
        self.records.bytes_in[self.row] += count

    def tokens(self, received: int | None, generated: int | None, cached: int | None) -> None:
        """Note the server's own token counts: prompt, answer, prompt from cache."""
        self.records.tokens(self.row, received, generated, cached)

    def note(self, name: str, value: float | None) -> None:
        """Note a figure of the workload's own, in the column `note_<name>` of the request log.

        None says that the figure belongs to this request and is not known (yet): it makes
        the column, and an empty field is missing, never zero.
        """
        self.records.note(self.row, name, value)

    def answered(self, at: float, status: int, failure: BaseException | None) -> None:
        """Note the end of a request: its HTTP status (0 = none) and what was wrong.

        No request ends before its last chunk: a user that looks at a piece some time after it
        came notes it by then, and its end may be known more exactly.
        """
        chunks = self.records.chunks[self.row]
        at = max(at, chunks[-1]) if chunks else at
        error = None if failure is None else error_class(failure, status)
        self.records.end(self.row, at, status, error)
