"""Later turns of conversations: each comes a think time after the answer before it.

That is closed by nature: within a conversation nothing is sent before the answer is there.
Only the first turns are an open loop.
"""

from __future__ import annotations

from math import inf, isnan
from typing import TYPE_CHECKING

import gevent
import numpy as np

from escalade.load.arrival import Arrival
from escalade.load.clock import Timer, now
from escalade.load.conversation import CONVERSATION, THINK, TURN

if TYPE_CHECKING:
    from collections.abc import Callable

    from escalade.load.dispatch import Dispatcher
    from escalade.load.records import Records

_FINE_SECONDS = 0.005  # before it a plain sleep, which is a millisecond late, will do


class Turns:
    """Knows which row follows which, and sends it when it is due.

    Parameters
    ----------
    records
        Of the step; a later turn's planned time goes there.
    dispatcher
        Whose lead the turns get, as all requests do.
    hand_out
        Gives an arrival to a user, without waiting.
    """

    def __init__(
        self, records: Records, dispatcher: Dispatcher, hand_out: Callable[[Arrival], None]
    ) -> None:
        self._records = records
        self._rows = records.rows
        self._dispatcher = dispatcher
        self._hand_out = hand_out
        self.end = inf
        self.never_due = 0
        self._next: dict[int, int] = {}
        self._left: dict[int, int] = {}
        if CONVERSATION in self._rows.extra:
            self._link()

    def after(self, arrival: Arrival) -> int:
        """Take a request that is over, and let its conversation go on or end.

        Returns
        -------
        int
            How many rows will never become due since it failed, or the window is over.
        """
        row = self._next.get(arrival.row)
        if row is None:
            return 0
        ended = self._records.ended[arrival.row]
        due = ended + float(self._rows.extra[THINK][row])
        if self._records.errors[arrival.row] is not None or isnan(ended) or due >= self.end:
            self.never_due += self._left[row]
            return self._left[row]
        self._records.due[row] = due
        turn = self.arrival(row, due)
        turn.history = [*arrival.asked, {"role": "assistant", "content": "".join(arrival.said)}]
        gevent.spawn(self._send, turn)
        return 0

    def arrival(self, row: int, planned: float) -> Arrival:
        """Make the arrival of a row."""
        rows = self._rows
        return Arrival(
            self._records,
            row,
            planned,
            int(rows.payload_id[row]),
            int(rows.input_tokens[row]),
            int(rows.output_tokens[row]),
            int(rows.part_of[row]),
            int(rows.leaves_after[row]),
        )

    def _send(self, arrival: Arrival) -> None:
        """Hand out and release a turn at its time, as the dispatcher does with the schedule."""
        gevent.sleep(max(0.0, arrival.planned - _FINE_SECONDS - now()))
        with Timer() as timer:
            timer.sleep_until(arrival.planned - self._dispatcher.lead)
            self._hand_out(arrival)
            timer.sleep_until(arrival.planned)
            arrival.release()

    def _link(self) -> None:
        conversation, turn = self._rows.extra[CONVERSATION], self._rows.extra[TURN]
        order = np.lexsort((turn, conversation))
        order = order[conversation[order] >= 0]
        for before, row in zip(order[:-1].tolist(), order[1:].tolist(), strict=True):
            if conversation[before] == conversation[row]:
                self._next[before] = row
        for row in reversed(order.tolist()):
            self._left[row] = 1 + (self._left[self._next[row]] if row in self._next else 0)
